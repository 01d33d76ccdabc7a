"""A running average of a network's weights, which scores better and steadier than the last ones."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential running average of weights and batch-norm statistics.

    torch's AveragedModel averages all buffers or none, the count of batches too.

    Args:
        network: whose state is averaged; the average starts as a copy of it. It keeps its tensors,
            whose values alone change.
        decay: share of the average kept at each step, in [0, 1); young averages keep less,
            ``(1 + step) / (10 + step)``, so that the first weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        self._own, self._trained = _tensors(self.network), _tensors(network)

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's present state."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        (mine, counts), (theirs, their_counts) = self._own, self._trained
        # All in a few launches: on a GPU hundreds of small ones take their time.
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        if counts:
            torch._foreach_copy_(counts, their_counts)

    def state_dict(self) -> dict[str, Any]:
        """The averaged state and the number of updates."""
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.network.load_state_dict(state["network"])
        self.updates = state["updates"]


def _tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """What is averaged of a network, and its counts, which are not."""
    tensors = [*network.parameters(), *network.buffers()]
    averaged = [tensor for tensor in tensors if tensor.is_floating_point()]
    return averaged, [tensor for tensor in tensors if not tensor.is_floating_point()]
