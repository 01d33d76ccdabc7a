"""Tensors of a file as the weights of a network: the right ones, whole, and numbers all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from spatialembed.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn


def unlike_weights(network: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """How the tensors of a file differ from the network's; None where they do not.

    Args:
        network: with or without weights.
        shapes: of the file's tensors, by their names in the network's state.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name, shape in own.items():
        if name not in shapes:
            return f"it lacks {name}"
        if shapes[name] != shape:
            return f"{name} has the shape {shapes[name]}, not {shape}"
    further = next((name for name in shapes if name not in own), None)
    return None if further is None else f"it has {further}, which the network has not"


def require_finite(where: str, tensors: Mapping[str, Tensor], remedy: str) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        UserError: names one such tensor and counts them; ends with ``remedy``.
    """
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise UserError(
            f"{where}: {len(broken)} of {len(tensors)} tensors of weights hold NaN or infinity, "
            f"such as {broken[0]}; nothing can be found with them, {remedy}"
        )


def with_weights(outline: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """An outline (:meth:`ModelSpec.outline`), become a network with these weights, for evaluation.

    Each fitting tensor is copied, for it may be a view of its file, and takes the network's type.
    """
    own = outline.state_dict()
    typed = {name: tensor.to(own[name].dtype, copy=True) for name, tensor in tensors.items()}
    outline.load_state_dict(typed, assign=True)
    return outline.eval()


def digest(tensors: Mapping[str, Tensor], description: str) -> str:
    """A checksum of names, types, shapes and bytes of tensors, and of what describes them."""
    import torch

    found = hashlib.sha256(description.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        found.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
