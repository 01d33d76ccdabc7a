"""Labels of any type of number, as integers that every operation of torch knows."""

from __future__ import annotations

import torch
from torch import Tensor

KNOWN = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
"""Taken as they are. Of the larger unsigned types torch knows little more than how to convert."""


def as_integers(labels: Tensor, name: str) -> Tensor:
    """Labels as integers, different ones where they differ; ids from 2**63 up become negative.

    Args:
        labels: of any type of number, or bool.
        name: what an error calls them.

    Raises:
        ValueError: numbers that are not whole, or so large that their type skips some.
    """
    if labels.dtype in KNOWN:
        return labels
    if labels.is_complex():
        raise ValueError(f"{name} holds complex numbers; give integers")
    if labels.is_floating_point():
        exact = 2 / torch.finfo(labels.dtype).eps
        if not ((labels == labels.round()) & (labels.abs() <= exact)).all():
            raise ValueError(
                f"{name} is {labels.dtype} and not whole numbers up to {exact:.0f} throughout; "
                "give integers"
            )
    return labels.long()
