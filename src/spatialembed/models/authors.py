"""Files of the authors' own training: the original's, and EmbedSeg's of images and of volumes.

They hold a pickled dict whose ``model_state_dict`` is a branched ERFNet's. Only tensors and plain
values are unpickled. Every size is read from the tensors' shapes; what the shapes do not tell
(grid step, normalisation) is the original's constants or EmbedSeg's two JSON files. Of files of
volumes all is by analogy with those of images: no such file was at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from spatialembed.errors import UserError
from spatialembed.files.described import read_json
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec
from spatialembed.models.torch_file import read_pickled
from spatialembed.models.weights import require_finite, unlike_weights, with_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

ORIGINAL_PITCH = (2 / 2047, 1 / 1023)
"""Grid step (x, y) of the original's training: 2 over 2048 columns, 1 over 1024 rows."""

DEFAULT_MIN_SIZE = 128

_ORIGINAL_SETTINGS = {
    "pitch": ORIGINAL_PITCH,
    "normalization": Normalization("range", white=255),
    "min_size": DEFAULT_MIN_SIZE,
    "trained_on": "a file of the original's training (Neven et al. 2019)",
}

PROPERTIES_FILE, NORMALIZATION_FILE = "data_properties.json", "normalization.json"

_OTHER = "name a model file or a run folder"
_FIRST = "encoder.initial_block.conv.weight"
_EMBEDDING = "decoders.0.output_conv.weight"
_SEED = "decoders.1.output_conv.weight"
_NON_COMMERCIAL = "see the licence of the authors' file (CC BY-NC where they published it)"


def load_authors_model(path: str | Path) -> tuple[nn.Module, ModelSpec]:
    """Read a ``.pth`` file of the original's or of EmbedSeg's training.

    A file of volumes or of two bandwidths, or with one of EmbedSeg's JSON files beside it, is
    EmbedSeg's and needs both ``data_properties.json`` (``n_x``, ``n_y``; of volumes ``n_z`` and
    ``pixel_z``, too) and ``normalization.json`` in its folder or the folder above. Any other is the
    original's: steps 2/2047 and 1/1023, images in [0, 1].

    Returns:
        The network on the CPU in evaluation mode, and its spec.

    Raises:
        UserError: there is no file, it is damaged, not such a network, or a JSON file lacks
            something.
    """
    path = Path(path)
    state = _state_dict(path)
    dims = state[_FIRST].ndim - 2
    n_sigma, n_classes = state[_EMBEDDING].shape[1] - dims, state[_SEED].shape[1]
    in_channels = state[_FIRST].shape[1]
    if n_sigma not in (1, dims):
        raise UserError(f"{path} has {n_sigma} bandwidths a pixel; only 1 or {dims} can be used")
    is_embedseg = (
        n_sigma > 1
        or dims == 3
        or any(_beside(path, n) for n in (PROPERTIES_FILE, NORMALIZATION_FILE))
    )
    spec = ModelSpec(
        network="branched_erfnet",
        in_channels=in_channels,
        class_names=_class_names(n_classes, in_channels, is_embedseg),
        n_sigma=n_sigma,
        dims=dims,
        licence=_NON_COMMERCIAL,
        **(_embedseg_settings(path, dims) if is_embedseg else _ORIGINAL_SETTINGS),
    )
    network = spec.outline()
    if unlike := unlike_weights(network, {name: tuple(v.shape) for name, v in state.items()}):
        raise UserError(f"{path} does not hold a branched ERFNet's weights: {unlike}; {_OTHER}")
    require_finite(str(path), state, "get it again")
    return with_weights(network, state), spec


def _state_dict(path: Path) -> dict[str, Tensor]:
    from torch import Tensor

    if not path.is_file():
        raise UserError(f"there is no model at {path}; {_OTHER}")
    refusal = f"{path} cannot be read as a PyTorch file of weights"
    scalars = _numpy_scalars()  # ``best_iou`` may be one
    content = read_pickled(path, refusal, scalars, "get it again")
    state = content.get("model_state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, Mapping) or not state:
        raise UserError(
            f"{path} holds no 'model_state_dict'; it is not a file of the authors'; {_OTHER}"
        )
    state = {str(key).removeprefix("module."): value for key, value in state.items()}
    of = (_FIRST, _EMBEDDING, _SEED)
    missing = [key for key in of if getattr(state.get(key), "ndim", 0) not in (4, 5)]
    if missing:
        raise UserError(
            f"{path} is not a branched ERFNet of the authors': it has no {missing[0]}; {_OTHER}"
        )
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds more than tensors among its weights; get it again")
    return state


def _numpy_scalars() -> list[Any]:
    core = np._core.multiarray  # type: ignore[attr-defined]  # private, yet what files name
    kinds = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    return [
        np.dtype,
        *(type(np.dtype(kind)) for kind in kinds),
        (core.scalar, "numpy.core.multiarray.scalar"),
        (core.scalar, "numpy._core.multiarray.scalar"),
    ]


def _class_names(n_classes: int, in_channels: int, is_embedseg: bool) -> tuple[str, ...]:
    if n_classes > 1:
        return tuple(f"class {k + 1}" for k in range(n_classes))
    return ("car",) if in_channels == 3 and not is_embedseg else ("object",)


def _embedseg_settings(path: Path, dims: int) -> dict[str, Any]:
    properties = _read_json(path, PROPERTIES_FILE)
    min_size = properties.get("min_object_size")
    return {
        "pitch": tuple(_step(path, properties, axis, dims) for axis in "xyz"[:dims]),
        "normalization": _normalization(path, _read_json(path, NORMALIZATION_FILE)),
        "min_size": max(1, int(min_size)) if _is_number(min_size) else DEFAULT_MIN_SIZE,
        "trained_on": "a file of EmbedSeg's training (Lalit et al. 2022)",
    }


def _step(path: Path, properties: Mapping[str, Any], axis: str, dims: int) -> float:
    """Of the grid along an axis: its length over its steps."""
    size = properties.get(f"n_{axis}", properties.get(f"grid_{axis}"))
    if not _is_number(size) or not size >= 2:
        raise UserError(
            f"{PROPERTIES_FILE} beside {path} has no n_{axis}: add the grid's size along {axis} "
            "in pixels, 2 or more"
        )
    # Along x and y the grid is of length 1. Along z nothing known to us says so for every file.
    length = 1.0 if dims == 2 else properties.get(f"pixel_{axis}", None if axis == "z" else 1.0)
    if not _is_number(length) or not length > 0:
        raise UserError(
            f"{PROPERTIES_FILE} beside {path} has no pixel_{axis}: add the length of the "
            f"training's grid along {axis}, above 0 (along x it is 1 where no pixel_x is given)"
        )
    return length / (int(size) - 1)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value < math.inf


def _normalization(path: Path, values: Mapping[str, Any]) -> Normalization:
    try:
        found = _understood(values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{NORMALIZATION_FILE} beside {path}: {error}") from error
    if found is None:
        raise UserError(
            f"{NORMALIZATION_FILE} beside {path} says nothing this library understands (it has "
            f'{", ".join(values) or "nothing"}): write {{"kind": "range"}} for integers divided '
            'by their largest value, {"kind": "percentile", "low": 1, "high": 99.8}, or '
            '{"kind": "mean-std", "mean": [...], "std": [...]}'
        )
    return found


def _understood(values: Mapping[str, Any]) -> Normalization | None:
    """Fixed means, percentiles, or division by the largest value of the data's type."""
    if "kind" in values:
        names = ("kind", "low", "high", "mean", "std", "white")
        known = {k: values[k] for k in names if k in values}
        return Normalization.from_dict(known)
    if "mean" in values and "std" in values:
        return Normalization("mean-std", mean=_tuple(values["mean"]), std=_tuple(values["std"]))
    for low, high in (("low", "high"), ("pmin", "pmax"), ("p_low", "p_high")):
        if low in values and high in values:
            return Normalization("percentile", low=float(values[low]), high=float(values[high]))
    types = (str(value).replace("-", "").lower() for value in values.values())
    whites = [_WHITE[name] for name in types if name in _WHITE]
    return Normalization("range", white=whites[0]) if whites else None


_WHITE = {"8bit": 255, "uint8": 255, "16bit": 65535, "uint16": 65535}
"""Of the type that EmbedSeg's files name."""


def _tuple(value: Any) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list) else (float(value),)


def _beside(path: Path, name: str) -> Path | None:
    folder = path.resolve().parent
    return next((f / name for f in (folder, folder.parent) if (f / name).is_file()), None)


def _read_json(path: Path, name: str) -> dict[str, Any]:
    """All keys of a JSON object, those of nested objects too: the outermost of a name counts."""
    found = _beside(path, name)
    if found is None:
        raise UserError(
            f"{path} is a file of EmbedSeg's, which needs its {PROPERTIES_FILE} and "
            f"{NORMALIZATION_FILE} beside it; there is no {name}"
        )
    content = read_json(found, "write it anew")
    flat: dict[str, Any] = {}
    for key, value in _entries(content):
        flat.setdefault(key, value)
    return flat


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        yield from content.items()
        for value in content.values():
            yield from _entries(value)
