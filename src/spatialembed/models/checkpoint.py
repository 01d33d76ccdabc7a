"""Model files: a network's weights and everything prediction needs to know, in one file.

A model file is safetensors; its metadata holds the :class:`ModelSpec` as JSON, so that reading a
file runs no code and any tool can show what it is. The files of the authors' own training are
read by :mod:`spatialembed.models.authors`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialembed.errors import UserError, atomic_write
from spatialembed.models.authors import load_authors_model
from spatialembed.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["ModelSpec", "load_authors_model", "load_model", "save_model"]

FORMAT_VERSION = 1
"""Raised whenever an older library could misread a file."""

MODEL_FILE = "model.safetensors"
"""Name of the model file inside a run folder."""

_VERSION_KEY, _SPEC_KEY = "spatialembed_format", "spatialembed"


def save_model(path: str | Path, network: nn.Module, spec: ModelSpec, half: bool = False) -> None:
    """Write a model file, whole or not at all; a file that was there stays until then.

    Args:
        path: the file to write; its folder is made if needed.
        network: built as ``spec`` says, on any device, in any memory format.
        spec: how the network is used.
        half: store weights in float16, for a file of half the size. Loading makes them float32.

    Raises:
        UserError: the disk is full or the folder cannot be written; a weight beyond float16.
    """
    description = spec.to_dict() | {"format_version": FORMAT_VERSION}
    metadata = {
        "format": "pt",
        _VERSION_KEY: str(FORMAT_VERSION),
        _SPEC_KEY: json.dumps(description, allow_nan=False),
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
        if not all(v.isfinite().all() for v in tensors.values()):
            raise UserError(f"{path}: a weight is too large for float16; save it whole")
    with atomic_write(path) as temporary:
        temporary.write_bytes(_serialized(tensors, metadata))


def _serialized(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file, the same for equal content: metadata are by name, not as hashing has it.

    The file is the length of its header in 8 bytes, the header as JSON, and the tensors.
    """
    from safetensors.torch import save

    whole = save(tensors, metadata)
    start = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + whole[start:]


def load_model(path: str | Path) -> tuple[nn.Module, ModelSpec]:
    """Read a model file.

    Args:
        path: the file, or a run folder that holds ``model.safetensors``.

    Returns:
        The network on the CPU in evaluation mode, and its spec.

    Raises:
        UserError: there is no file, it is damaged, not a model file of this library, from a newer
            version, or its network is unknown. A network is never returned without its weights.
    """
    path = _model_file(path)
    metadata, tensors = _read(path)
    spec = _spec(path, metadata)
    network = spec.build()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"{path}: the weights are not those of the network the file describes; "
            "it is damaged, get or train it again"
        ) from error
    return network.eval(), spec


def _model_file(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir():
        if not (path / MODEL_FILE).is_file():
            raise UserError(
                f"{path} holds no {MODEL_FILE}: it is not the folder of a run that has finished "
                "a validation; name a run folder or a model file"
            )
        return path / MODEL_FILE
    if not path.exists():
        raise UserError(
            f"there is no model at {path}; name a run folder, a model file or a shipped model"
        )
    return path


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return dict(file.metadata() or {}), tensors
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} is not a model file, or is damaged ({error}); get or train it again"
        ) from error


def _spec(path: Path, metadata: dict[str, str]) -> ModelSpec:
    if _SPEC_KEY not in metadata:
        raise UserError(
            f"{path} holds weights but was not written by spatialembed; name a model file of its"
        )
    try:
        version = int(metadata[_VERSION_KEY])
        values: dict[str, Any] = json.loads(metadata[_SPEC_KEY])
        values.pop("format_version", None)
    except (KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: its description is damaged; get or train it again") from error
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}, this spatialembed reads up to "
            f"{FORMAT_VERSION}; update it: pip install --upgrade spatialembed"
        )
    try:
        return ModelSpec.from_dict(values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {error}") from error
