"""Whether kernels of Triton are to be had, and right: found out once for each device.

Triton is not there on every system, compiles with a compiler of C that may be missing, and knows
no cards of before 2017. Wherever something fails, operations of torch give the same.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from spatialembed.embedding import scaled_distance
from spatialembed.terms import near
from spatialembed.terms.hinges import torch_hinges
from spatialembed.terms.objects import gather_objects
from spatialembed.terms.reach import Margins, sort_into_cells

INTERPRETED = False
"""True takes kernels of Triton on the CPU, where its interpreter runs them, as tests do."""

NEWEST_WITHOUT = (6, 2)
"""Last compute capability that Triton does not know."""


def way_of(position: Tensor) -> ModuleType:
    """near_triton.py where its kernels may take these (B, D, P) positions, else near.py.

    Not in torch's deterministic mode: they add up in the order in which threads come.
    """
    if not _may_have_triton(position) or not _is_right(position.device, position.shape[1]):
        return near
    from spatialembed.terms import near_triton

    return near_triton


def _may_have_triton(position: Tensor) -> bool:
    if position.dtype != torch.float32 or torch.are_deterministic_algorithms_enabled():
        return False
    if INTERPRETED:
        return True
    if position.device.type != "cuda" or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(position.device) > NEWEST_WITHOUT


@lru_cache
def _is_right(device: torch.device, dims: int) -> bool:
    """Whether a small scene costs with them what it costs without; says why if not."""
    try:
        from spatialembed.terms import near_triton

        for work in (_hinges, _keys):
            found, expected = work(device, dims, near_triton), work(device, dims, near)
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    except Exception as error:  # of a compiler, a driver, a card: whatever it is, there is torch
        what = str(error).strip().partition("\n")[0]
        warnings.warn(
            f"the loss runs slower than it could: kernels of Triton do not work here "
            f"({type(error).__name__}: {what})",
            stacklevel=2,
        )
        return False
    return True


def _hinges(device: torch.device, dims: int, way: Any) -> tuple[Tensor, ...]:
    """Of two images with some objects each, of random embeddings."""
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
    cells = sort_into_cells(position, valid.flatten(), objects.object_of, margins, 2, way)
    return tuple(torch_hinges(position, own, distance, cells, margins, objects, way))


def _keys(device: torch.device, dims: int, way: Any) -> Tensor:
    """Of larger batches than that one, in units of logit."""
    distance = torch.logspace(-9, 3, 99, device=device)
    segment = torch.arange(99, device=device, dtype=torch.int32) // 33
    middle = torch.arange(3, device=device, dtype=torch.int32) * (way.SPAN << 16)
    keys: Tensor = way.logit_keys(distance, 50, segment, middle, 1 << 16) / 2**16
    return keys
