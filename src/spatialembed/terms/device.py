"""Whether compiled kernels do the work, or operations of torch over all objects at once."""

from __future__ import annotations

from torch import Tensor

KERNELS = True
"""False takes the way of other devices on the CPU as well: so are they tested without a card."""


def has_kernels(tensor: Tensor) -> bool:
    """Whether the compiled kernels, and sums in the CPU's order, are for this tensor's device."""
    return KERNELS and tensor.device.type == "cpu"
