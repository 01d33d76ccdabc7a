"""Bandwidths within their range while training, with a way back for those that left it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spatialembed.embedding import SIGMA_RANGE, clamped


def clamped_with_return(sigma: Tensor) -> Tensor:
    """:func:`spatialembed.embedding.clamped`, whose gradient outside of the range leads inside.

    A plain clamp has none there: a bandwidth that one large step threw out would stay out for good.
    A gradient that would lead further out stays 0, since the loss does not change there.
    """
    result: Tensor = _Clamp.apply(sigma)
    return result


class _Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sigma: Tensor) -> Tensor:
        ctx.save_for_backward(sigma)
        within: Tensor = clamped(sigma)
        return within

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (sigma,) = ctx.saved_tensors
        low, high = SIGMA_RANGE
        # Descent goes against the gradient: a positive one leads down.
        leads = ((sigma <= high) | (upstream > 0)) & ((sigma >= low) | (upstream < 0))
        return torch.where(leads, upstream, 0)
