"""Weights between those that a training started from and those that it came to.

Wortsman et al., *Robust fine-tuning of zero-shot models*, CVPR 2022: on the straight line between
the two lie networks that know what either knows, often better than both.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
"""A network's parameters and batch-norm statistics by name."""


def mixed(start: Weights, tuned: Weights, share: float) -> dict[str, Tensor]:
    """``(1 - share) * start + share * tuned`` of all parameters and batch-norm statistics.

    At a ``share`` of 0 and 1 exactly one of the two. What is no fraction, such as a number of
    batches, is that of ``tuned``, and of ``start`` at 0.
    """
    if share == 0:
        return dict(start)
    return {
        name: torch.lerp(start[name], tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in tuned.items()
    }
