"""Whether kernels of Triton are to be had, and right: found out once for each device.

Triton is not there on every system, compiles with a compiler of C that may be missing, and knows
no cards of before 2017. Wherever something fails, operations of torch give the same.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

from spatialembed.embedding import scaled_distance
from spatialembed.terms.hinges import Hinges, torch_hinges
from spatialembed.terms.objects import gather_objects
from spatialembed.terms.reach import Margins, sort_into_cells

INTERPRETED = False
"""True takes kernels of Triton on the CPU, where its interpreter runs them, as tests do."""

NEWEST_WITHOUT = (6, 2)
"""Last compute capability that Triton does not know."""


def has_triton(position: Tensor) -> bool:
    """Whether kernels of Triton may take these (B, D, P) positions.

    Not in torch's deterministic mode: they add up in the order in which threads come.
    """
    if position.dtype != torch.float32 or torch.are_deterministic_algorithms_enabled():
        return False
    if not INTERPRETED:
        if position.device.type != "cuda" or find_spec("triton") is None:
            return False
        if torch.cuda.get_device_capability(position.device) <= NEWEST_WITHOUT:
            return False
    return _is_right(position.device, position.shape[1])


@lru_cache
def _is_right(device: torch.device, dims: int) -> bool:
    """Whether a small scene costs with them what it costs without; says why if not."""
    try:
        for without, found in zip(
            _of_a_scene(device, dims, False), _of_a_scene(device, dims, True), strict=True
        ):
            torch.testing.assert_close(found, without, rtol=1e-3, atol=1e-5)
    except Exception as error:  # of a compiler, a driver, a card: whatever it is, there is torch
        what = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"the loss runs slower than it could: kernels of Triton do not work here "
            f"({type(error).__name__}: {what})",
            stacklevel=2,
        )
        return False
    return True


def _of_a_scene(device: torch.device, dims: int, triton: bool) -> Hinges:
    """Two images with some objects each, of random embeddings."""
    generator = torch.Generator().manual_seed(0)
    label_mask = torch.randint(0, 4, (2, 600), generator=generator).to(device)
    valid = torch.ones_like(label_mask, dtype=torch.bool)
    position = torch.rand(dims, 1200, generator=generator).to(device)
    center = torch.rand(dims, 6, generator=generator).to(device)
    objects = gather_objects(label_mask, valid)
    width = torch.full_like(center, 20.0)
    margins = Margins.of(center, width, torch.full_like(center[0], 3.0), objects.image)
    own = position[:, objects.pixel] - center[:, objects.owner]
    distance = scaled_distance(own, 0, width[:, objects.owner])
    cells = sort_into_cells(position, valid.flatten(), objects.object_of, margins, 2)
    return torch_hinges(position, own, distance, cells, margins, objects, triton)
