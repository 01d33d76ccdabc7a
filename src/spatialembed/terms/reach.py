"""Which (object, pixel) pairs matter, in torch; kernels/reach.py is compiled, for the CPU.

A pixel far from an object's center has φ ≈ 0 and adds nothing to that object's loss, so the loss
looks only at pairs within reach. They are found by sorting the embeddings of the whole batch into a
coarse grid of cells, in which the pixels an object can reach are a few runs of neighbouring cells.
There is no loop over objects, on any device.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spatialembed.embedding import scaled_distance
from spatialembed.kernels.grid import make_grid

CELLS = 1 << 14
"""Upper limit of grid cells per image: enough to tell objects apart, few enough to count fast."""

CANDIDATES = 1 << 22
"""Pairs examined at a time, a bound on memory."""


@torch.no_grad()
def pairs_within_reach(
    position: Float[Tensor, "D pixels"],
    pixel_image: Int[Tensor, " pixels"],
    center: Float[Tensor, "D objects"],
    width: Float[Tensor, "D objects"],
    object_image: Int[Tensor, " objects"],
    cutoff: Float[Tensor, " objects"],
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """Find every pair of an object and a pixel of its image with Σ_d s_d (e_d − C_d)² < cutoff.

    Args:
        position: (D, P) embeddings of the pixels of all images.
        pixel_image: (P,) index of the image a pixel is in.
        center: (D, N) object centers.
        width: (D, N) inverse squared widths s of the objects.
        object_image: (N,) index of the image an object is in.
        cutoff: (N,) scaled distance each object reaches; φ > ε where it is below ln(1/ε).

    Returns:
        Objects (M,) and pixels (M,) of the pairs, grouped by object.
    """
    empty = pixel_image.new_zeros(0)
    if position.shape[1] == 0 or center.shape[1] == 0:
        return empty, empty
    grid = _Cells(position, pixel_image, reach=(cutoff / width).sqrt())
    objects, starts, lengths = grid.runs(center, object_image)
    found = []
    for chunk in _chunks(lengths):
        run = torch.repeat_interleave(lengths[chunk])
        first = lengths[chunk].cumsum(0) - lengths[chunk]
        slot = torch.arange(len(run), device=run.device) + (starts[chunk] - first)[run]
        k, pixel = objects[chunk][run], grid.order[slot]
        near = scaled_distance(position[:, pixel], center[:, k], width[:, k]) < cutoff[k]
        found.append((k[near], pixel[near]))
    if not found:
        return empty, empty
    return torch.cat([k for k, _ in found]), torch.cat([pixel for _, pixel in found])


class _Cells:
    """Pixels sorted by the cell their embedding falls in, image by image."""

    def __init__(
        self,
        position: Float[Tensor, "D pixels"],
        pixel_image: Int[Tensor, " pixels"],
        reach: Float[Tensor, "D objects"],
    ) -> None:
        position = position.nan_to_num()
        self.reach = reach
        # Not torch's median, which has no deterministic implementation on CUDA.
        typical = reach.nan_to_num().sort(1).values[:, (reach.shape[1] - 1) // 2]
        numbers = torch.stack([position.amin(1), position.amax(1), typical])
        low, high, typical = numbers.cpu().double().numpy()  # one wait for the device, not three
        grid = make_grid(low, high - low, np.maximum(typical / 4, 1e-9), CELLS)
        self.origin, self.density, self.last = (
            torch.as_tensor(array)[:, None].to(position)
            for array in (grid.origin, grid.density, grid.counts - 1)
        )
        self.stride = np.cumprod([1, *grid.counts]).tolist()
        flat = pixel_image * self.stride[-1]
        for axis, cell in enumerate(self._cell_of(position)):
            flat = flat + cell * self.stride[axis]
        self.order = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=self.stride[-1] * (int(pixel_image.max()) + 1))
        self.starts = torch.nn.functional.pad(counts.cumsum(0), (1, 0))

    def _cell_of(self, position: Float[Tensor, "D points"]) -> Int[Tensor, "D points"]:
        """``cell_along`` of kernels/grid.py; of no number, the first."""
        cell = ((position - self.origin) * self.density).nan_to_num()
        return torch.minimum(cell.clamp(min=0), self.last).long()

    def runs(
        self, center: Float[Tensor, "D objects"], object_image: Int[Tensor, " objects"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Runs of ``order`` that hold all pixels in reach: object, start and length of each."""
        low = self._cell_of(center - self.reach)
        span = self._cell_of(center + self.reach) - low + 1
        rows = span[1:].prod(0)
        k = torch.repeat_interleave(rows)
        rest = torch.arange(len(k), device=k.device) - (rows.cumsum(0) - rows)[k]
        first = object_image[k] * self.stride[-1] + low[0, k]
        for axis in range(1, len(center)):
            first = first + (low[axis, k] + rest % span[axis, k]) * self.stride[axis]
            rest = rest // span[axis, k]
        starts = self.starts[first]
        lengths = self.starts[first + span[0, k]] - starts
        kept = lengths > 0
        return k[kept], starts[kept], lengths[kept]


def _chunks(lengths: Int[Tensor, " runs"]) -> list[slice]:
    """Cut the runs so that each chunk holds about ``CANDIDATES`` pairs."""
    if len(lengths) == 0:
        return []
    number = (lengths.cumsum(0) - 1) // CANDIDATES
    ends = torch.unique_consecutive(number, return_counts=True)[1].cumsum(0).tolist()
    return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
