"""A torch network as a model runs it: one normalised image in, its raw output out."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from spatialembed.errors import UserError
from spatialembed.models import forward_any_size, strides
from spatialembed.models.axes import LAYOUT

Precision = Literal["float32", "bf16"]


class TorchNetwork:
    """A network in torch, on whatever device its weights are.

    Args:
        module: maps (B, C, *S) float to (B, D + n_sigma + K, *S) raw output. It stays on
            its device; whatever mode its layers are in while training is left as it was.
        precision: "float32", or "bf16" to run its convolutions in bfloat16.

    Raises:
        UserError: another precision.
    """

    def __init__(self, module: nn.Module, precision: Precision = "float32") -> None:
        self.module = module
        self.precision = checked(precision)

    @property
    def stride(self) -> int:
        """Of what the sides of planes are multiples in the network."""
        return strides(self.module, 2)[0]

    def __call__(self, image: Float[np.ndarray, "C *S"]) -> Float[np.ndarray, "M *S"]:
        """Raw output (D + n_sigma + K, *S) float32 of a normalised image of any size."""
        weights = next(self.module.parameters())
        batch = torch.from_numpy(image)[None].to(weights.device, weights.dtype)
        batch = batch.contiguous(memory_format=LAYOUT[batch.ndim - 2])
        low = torch.autocast(batch.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), evaluating(self.module), low:
            output = forward_any_size(self.module, batch)
        result: np.ndarray = output[0].float().cpu().numpy()
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As it is sent to another process: torch copies a traced network without its strides."""
        copied: Self = pickle.loads(pickle.dumps(self))
        return copied


def checked(precision: Precision) -> Precision:
    """A precision that there is.

    Raises:
        UserError: another.
    """
    if precision not in ("float32", "bf16"):
        raise UserError(f"precision is 'float32' or 'bf16', not {precision!r}")
    return precision


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU if there is one.

    Raises:
        UserError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type == "meta" or (device.type == "cpu" and device.index):
            raise RuntimeError("no device that computes")
        torch.empty(1, device=device)
    except Exception as error:  # each kind of device ends in its own
        raise UserError(f"device '{name}' is not available here; use auto or cpu") from error
    return device


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Run ``network`` in evaluation mode, then put every layer back as it was.

    Layer by layer: a stage that trains with frozen batch norms has them in another mode than the
    rest, and ``network.train()`` would thaw them.
    """
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
