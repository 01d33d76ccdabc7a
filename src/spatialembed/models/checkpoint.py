"""Model files: a network's weights and everything prediction needs to know, in one file.

A model file is safetensors; its metadata holds the :class:`ModelSpec` as JSON, so that reading a
file runs no code and any tool can show what it is. A checksum of both stands beside it. Equal
weights and descriptions make equal files, byte for byte. The files of the authors' own training are
read by :mod:`spatialembed.models.authors`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.models.spec import ModelSpec, described
from spatialembed.models.weights import digest, require_finite, unlike_weights, with_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT_VERSION = 1
"""Raised whenever an older library could misread a file."""

MODEL_FILE = "model.safetensors"
"""Name of the model file inside a run folder."""

_VERSION_KEY, _SPEC_KEY = "spatialembed_format", "spatialembed"
_DIGEST_KEY = "spatialembed_digest"
"""Files of before there was one lack it."""

_REMEDY = "get or train it again"


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
    from safetensors.torch import save

    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
        if not all(v.isfinite().all() for v in tensors.values()):
            raise UserError(f"{path}: a weight is too large for float16; save it whole")
    description = spec.to_dict() | {"format_version": FORMAT_VERSION}
    text = json.dumps(description, allow_nan=False)
    metadata = {
        "format": "pt",
        _VERSION_KEY: str(FORMAT_VERSION),
        _SPEC_KEY: text,
        _DIGEST_KEY: digest(tensors, text),
    }
    with atomic_write(path) as temporary:
        temporary.write_bytes(_in_order(save(tensors, metadata)))


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its header sorted; the library writes metadata in any order."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:start]), sort_keys=True, separators=(",", ":"))
    padded = header.encode() + b" " * (-len(header) % 8)
    return len(padded).to_bytes(8, "little") + padded + content[start:]


def load_model(path: str | Path) -> tuple[nn.Module, ModelSpec]:
    """Read a model file, or that of a run folder.

    Returns:
        The network on the CPU in evaluation mode, and its spec.

    Raises:
        UserError: there is no file, it is damaged, not a model file of this library, from a newer
            version, or its network is unknown. A network is never returned without its weights.
    """
    path = _model_file(path)
    spec, network, tensors = _read(path)
    require_finite(str(path), tensors, _REMEDY)
    return with_weights(network, tensors), spec


def read_spec(path: Path) -> ModelSpec:
    """What a model file says of its network; its weights stay unread, and torch unloaded.

    Raises:
        UserError: no model file of this library, a damaged one, or one of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return _spec(path, dict(file.metadata() or {}))
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is not a model file, or is damaged ({error}); {_REMEDY}")


def _model_file(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir():
        if not (path / MODEL_FILE).is_file():
            raise UserError(
                f"{path} holds no {MODEL_FILE}: it is not the folder of a run that has finished "
                "a validation; name a run folder or a model file"
            )
        return path / MODEL_FILE
    if not path.is_file():
        raise UserError(
            f"there is no model at {path}; name a run folder, a model file or a shipped model "
            "(`spatialembed models` lists them)"
        )
    return path


def _read(path: Path) -> tuple[ModelSpec, nn.Module, dict[str, Tensor]]:
    """The description first: no tensor is read before it is known to belong to the network."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata, names = dict(file.metadata() or {}), list(file.keys())
            spec = _spec(path, metadata)
            network = _outline(path, spec)
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            if unlike := unlike_weights(network, shapes):
                raise UserError(
                    f"{path}: the weights are not those of the network the file describes "
                    f"({unlike}); it is damaged, {_REMEDY}"
                )
            tensors = {name: file.get_tensor(name) for name in names}
    except UserError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if metadata.get(_DIGEST_KEY, whole := digest(tensors, metadata[_SPEC_KEY])) != whole:
        raise UserError(
            f"{path}: its weights or their description are not as they were saved; it is damaged, "
            f"{_REMEDY}"
        )
    return spec, network, tensors


def _outline(path: Path, spec: ModelSpec) -> nn.Module:
    try:
        return spec.outline()
    except UserError as error:
        raise UserError(f"{path}: {error}; {_REMEDY}") from error


def _spec(path: Path, metadata: dict[str, str]) -> ModelSpec:
    if _SPEC_KEY not in metadata:
        raise UserError(
            f"{path} holds weights but was not written by spatialembed; name a model file that it "
            "wrote"
        )
    try:
        version = int(metadata[_VERSION_KEY])
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: its description is damaged; {_REMEDY}") from error
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}, this spatialembed reads up to "
            f"{FORMAT_VERSION}; update it: pip install --upgrade spatialembed"
        )
    return described(metadata[_SPEC_KEY], str(path), _REMEDY)
