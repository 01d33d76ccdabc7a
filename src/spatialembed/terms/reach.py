"""Which (object, pixel) pairs matter, in torch; kernels/reach.py is compiled, for the CPU.

A pixel far from an object's center has φ ≈ 0 and adds nothing to that object's loss, so the loss
looks only at pairs within reach. The embeddings of the whole batch are sorted into a grid of cells,
image by image. What an object can reach then lies in a few runs of neighbouring cells, one for each
row of them, and runs are cut into tiles of :data:`TILE` places of the sorted order: a tile meets
one object, so that all numbers of the object are there once and its pixels beside each other. There
is no loop over objects, and the host is told two sizes, whatever is in the images.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

TILE = 32
"""Pixels side by side in the order of cells, as many as a card's threads that run together."""

CELL = 16
"""Pixels to a cell if they lay evenly: few beside what an object reaches, and few cells to find."""

ROWS = 1 << 10
"""Rows of cells in an image at most."""


class Margins(NamedTuple):
    """What the objects reach: Σ_d s_d (e_d − C_d)² < cutoff, within their image."""

    center: Float[Tensor, "D objects"]
    width: Float[Tensor, "D objects"]
    """Inverse squared widths s."""
    cutoff: Float[Tensor, " objects"]
    """φ > ε where the scaled distance is below ln(1/ε)."""
    image: Int[Tensor, " objects"]
    far: Float[Tensor, "D objects"]
    """How far they reach along each axis, and a little more: rounding must not leave out a pixel in
    reach; one too many is found to be out of it."""
    usable: Bool[Tensor, " objects"]
    """Which objects reach anything: of numbers that are finite."""

    @classmethod
    def of(cls, center: Tensor, width: Tensor, cutoff: Tensor, image: Tensor) -> Margins:
        """Margins, with the rest from these."""
        far = (cutoff / width).sqrt_().mul_(1 + 1e-3).add_(center.abs(), alpha=1e-6)
        return cls(center, width, cutoff, image, far, (far < torch.inf).all(0))


class Cells(NamedTuple):
    """The pixels of a batch in the order of their cells; those that nothing reaches come last."""

    pixel: Int[Tensor, " B*P"]
    """Flat pixel at each place of the order."""
    position: Float[Tensor, "blocks D TILE"]
    """Embedding at each place; 0 at those that nothing reaches and behind the last."""
    owner: Int[Tensor, "blocks TILE"]
    """Object that the pixel at each place belongs to, or −1; int32."""
    start: Int[Tensor, " B*cells+1"]
    """First place of each cell, int32."""
    low: Float[Tensor, "D 1"]
    density: Float[Tensor, "D 1"]
    """Lower corner of the grid, and its cells per unit of coordinate."""
    side: int
    """Cells along each axis."""


class Tiles(NamedTuple):
    """Tiles of an object each, object by object."""

    object: Int[Tensor, " tiles"]
    block: Int[Tensor, " tiles"]
    """Places ``block`` · TILE and on."""
    first: Int[Tensor, " tiles"]
    end: Int[Tensor, " tiles"]
    """Range of places from there on that the object reaches, perhaps beyond either end."""


class Chunk(NamedTuple):
    """Some objects one after the other, their own pixels, and the tiles that they reach."""

    objects: slice
    own: slice
    tiles: Tiles
    tile_counts: Int[Tensor, " objects"]


def sort_into_cells(
    position: Float[Tensor, "D B*P"],
    valid: Bool[Tensor, " B*P"],
    owner: Int[Tensor, " B*P"],
    margins: Margins,
    images: int,
) -> Cells:
    """Bin all pixels of a batch of ``images`` into one grid over all that its objects reach."""
    dims, number = position.shape
    side = cells_along(number // images, dims)
    # Endless where no object reaches anything, and then no pixel is within.
    low = torch.where(margins.usable, margins.center - margins.far, torch.inf).amin(1, keepdim=True)
    high = torch.where(margins.usable, margins.center + margins.far, -torch.inf)
    # No further than there are pixels: one margin wider than the image makes no coarse cells. NaN
    # is no limit.
    first, last = position.aminmax(dim=1, keepdim=True)
    low, high = torch.fmax(low, first), torch.fmin(high.amax(1, keepdim=True), last)
    density = side / ((high - low) * (1 + 1e-4)).clamp(min=1e-9)
    key, pixel = cell_keys(position, valid, low, density, side, images).sort()
    none = images * side**dims
    start = torch.searchsorted(key, _range(none + 1, key), out_int32=True)
    missing = -number % TILE
    pad = torch.nn.functional.pad
    # Others share tiles, where 0 times NaN would be NaN.
    at = pad(torch.where(key < none, position.index_select(1, pixel), 0), (0, missing))
    return Cells(
        pixel,
        at.view(dims, -1, TILE).transpose(0, 1).contiguous(),
        pad(owner.index_select(0, pixel), (0, missing), value=-1).view(-1, TILE),
        start, low, density, side,
    )  # fmt: skip


def cell_keys(
    position: Float[Tensor, "D B*P"],
    valid: Bool[Tensor, " B*P"],
    low: Float[Tensor, "D 1"],
    density: Float[Tensor, "D 1"],
    side: int,
    images: int,
) -> Int[Tensor, " B*P"]:
    """Number of the cell that each pixel is in, image by image; that behind the last for none.

    Args:
        position: embeddings.
        valid: pixels that are in a cell at all.
        low, density: lower corner of the grid, and its cells per unit of coordinate.
        side: cells along each axis.
        images: of the batch.
    """
    dims = len(position)
    place = (position - low) * density
    within = ((place >= 0) & (place < side)).all(0) & valid
    stride = side ** torch.arange(dims, device=position.device).unsqueeze(1)
    cell = (place.clamp(0, side - 1).long() * stride).sum(0).view(images, -1)
    cell = cell + torch.arange(images, device=position.device).unsqueeze(1) * side**dims
    last = images * side**dims
    # Half as many bits are sorted in half the time.
    dtype = torch.int32 if last < 2**31 else torch.int64
    return torch.where(within, cell.flatten(), last).to(dtype)


def cells_along(pixels: int, dims: int) -> int:
    """Cells along each axis of a grid for an image of so many pixels."""
    side = int((pixels // CELL) ** (1 / dims))
    return max(1, min(side, int(ROWS ** (1 / (dims - 1)))) if dims > 1 else side)


def chunks_in_reach(
    cells: Cells, margins: Margins, own: Int[Tensor, " objects"], candidates: int
) -> Iterator[Chunk]:
    """All that objects reach, some objects at a time: a bound on memory.

    Args:
        cells: the pixels.
        margins: of at least one object.
        own: (N,) how many pixels are the objects' own.
        candidates: pairs to look at, about, at a time; a single object may have more.
    """
    rows, low, span = _blocks(cells, margins)
    behind = rows.cumsum(0)
    k = torch.repeat_interleave(rows, output_size=int(behind[-1]))
    first, end = _runs(cells, margins, k, _range(len(k), k) - (behind - rows)[k], low, span)
    tiles = torch.where(end > first, (end - 1) // TILE - first // TILE + 1, 0)
    before = torch.nn.functional.pad(tiles.cumsum(0), (1, 0))
    behind_tiles = before[behind]
    tile_counts = behind_tiles.diff(prepend=behind_tiles.new_zeros(1))
    ends = torch.stack([behind_tiles, behind, own.cumsum(0)]).cpu().numpy()
    numbers = np.pad(ends, ((0, 0), (1, 0)))  # of tiles, runs and own pixels
    group = np.maximum(numbers[0, 1:] - 1, 0) * TILE // candidates
    borders = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(group)]
    for a, b in pairwise(borders):
        runs = slice(numbers[1, a], numbers[1, b])
        many = int(numbers[0, b] - numbers[0, a])
        run = torch.repeat_interleave(tiles[runs], output_size=many) + int(numbers[1, a])
        nth = _range(many, run) - (before[run] - int(numbers[0, a]))
        start = first[run]
        block = start // TILE + nth
        found = Tiles(k[run], block, start - block * TILE, end[run] - block * TILE)
        own_some = slice(int(numbers[2, a]), int(numbers[2, b]))
        yield Chunk(slice(a, b), own_some, found, tile_counts[a:b])


def _range(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device, dtype=like.dtype)


def _cell_of(cells: Cells, coordinate: Tensor, axis: int | slice) -> Tensor:
    """Cell along an axis, the first or last one beyond the grid; never decreasing."""
    place = (coordinate - cells.low[axis]) * cells.density[axis]
    return place.clamp(0, cells.side - 1).long()


def _blocks(cells: Cells, margins: Margins) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of cells in each object's block; (D, N) its lowest cells and their number."""
    low = _cell_of(cells, margins.center - margins.far, slice(None))
    span = _cell_of(cells, margins.center + margins.far, slice(None)) - low + 1
    return span[1:].prod(0) * margins.usable, low, span


def _runs(
    cells: Cells, margins: Margins, k: Tensor, rest: Tensor, low: Tensor, span: Tensor
) -> tuple[Tensor, Tensor]:
    """First place, and the one behind the last, of the run of each row of cells.

    Args:
        k: object of each.
        rest: which of the object's rows it is.
        low, span: the objects' blocks.
    """
    dims = len(low)
    center, width = margins.center[:, k], margins.width[:, k]
    row = margins.image[k] * cells.side**dims
    # The other axes take their part of the reach; along x what is left. The block's whole rows
    # would be right as well, and hold the corners around the ellipse.
    left = margins.cutoff[k] * (1 + 1e-3)
    for d in range(1, dims):
        size = span[d, k]
        cell = low[d, k] + rest % size
        rest = rest // size
        row = row + cell * cells.side**d
        half = 0.51 / cells.density[d]
        middle = cells.low[d] + (cell + 0.5) / cells.density[d]
        gap = ((center[d] - middle).abs_() - half - center[d].abs() * 1e-6).clamp_(min=0)
        left = left - width[d] * gap.square_()
    far = (left.clamp(min=0) / width[0]).sqrt_().mul_(1 + 1e-3).add_(center[0].abs(), alpha=1e-6)
    first = cells.start[row + _cell_of(cells, center[0] - far, 0)].long()
    end = cells.start[row + _cell_of(cells, center[0] + far, 0) + 1].long()
    return first, torch.where(left > 0, end, first)
