"""An exported network as a model runs it: by OpenVINO or else ONNX Runtime, without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.errors import UserError
from spatialembed.files.described import parse_json
from spatialembed.inference.engine import EngineNetwork, Run, in_openvino
from spatialembed.inference.onnx_file import damaged, read_metadata
from spatialembed.models.spec import described

SPEC_KEY, EXPORT_KEY = "spatialembed", "spatialembed_export"
"""Metadata of the file: the model's :class:`ModelSpec`, and what is particular to the export."""

PRECISIONS = ("float32", "bf16", "int8")
MOST_STRIDE = {2: 128, 3: 32}
"""Of a network's sides, in pixels, by the number of spatial axes; tiles begin at these."""

FATAL = 4
"""Severity of ONNX Runtime's log."""

_REMEDY = "export the model again"


class OnnxNetwork(EngineNetwork):
    """A network from a file that ``spatialembed export`` wrote.

    Args:
        path: the file.

    Attributes:
        spec: how the network is used.
        precision: "float32", "bf16" or "int8"; it is the file's.

    Raises:
        UserError: no such file, it is damaged or was not exported by spatialembed, or neither
            OpenVINO nor ONNX Runtime is installed.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"there is no model at {path}; name a file that was exported")
        self._path, self._digest = path.absolute(), _digest_of(path)
        metadata = read_metadata(path)
        if not {SPEC_KEY, EXPORT_KEY} <= metadata.keys():
            raise UserError(
                f"{path} was not exported by this version of spatialembed; {_REMEDY}, or update"
            )
        self.spec = described(metadata[SPEC_KEY], str(path), _REMEDY)
        export = parse_json(metadata[EXPORT_KEY], f"{path}: its description", _REMEDY)
        self.precision, strides = _checked(path, export, self.spec.dims)
        super().__init__(_open(path, self.precision, self.threads), strides)
        self._try(path)

    def __reduce__(self) -> tuple[Callable[[Path, str], OnnxNetwork], tuple[Path, str]]:
        """Another process opens the file itself: what runs a network cannot be sent."""
        return _reopened, (self._path, self._digest)

    def _try(self, path: Path) -> None:
        """Refuse a file whose network is not the one that it describes."""
        try:
            given = np.zeros((self.spec.in_channels, *self._strides), np.float32)
            output = self(given)
        except Exception as error:  # the runtimes' own are of no common kind
            raise damaged(path) from error
        if len(output) != self.spec.channels:
            raise damaged(path)
        if not np.isfinite(output).all():
            raise UserError(
                f"{path}: what its network gives is NaN or infinite; nothing can be found with it, "
                f"{_REMEDY}"
            )


def _reopened(path: Path, digest: str) -> OnnxNetwork:
    """The network of a file again, whose description came with it.

    Raises:
        UserError: the file is gone, or another by now.
    """
    network = OnnxNetwork(path)
    if network._digest != digest:
        raise UserError(
            f"{path} is another file than when the model was loaded that was sent or copied; load "
            "it anew"
        )
    return network


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(path: Path, export: Any, dims: int) -> tuple[str, tuple[int, ...]]:
    """Precision, and stride along each axis, of what an export says of itself."""
    known = export if isinstance(export, dict) else {}
    precision, stride = known.get("precision"), known.get("stride")
    strides: Any = [stride] * 2 if dims == 2 else stride  # one of both axes; of z, y and x
    fits = isinstance(strides, list) and len(strides) == dims
    most = MOST_STRIDE[dims]
    right = fits and all(type(n) is int and 1 <= n <= most for n in strides)
    if precision not in PRECISIONS or not right:
        raise UserError(
            f"{path}: its description has no precision of {', '.join(PRECISIONS)} and no stride "
            f"from 1 to {most}{' along z, y and x' * (dims == 3)}; {_REMEDY}"
        )
    return precision, tuple(strides)


def _open(path: Path, precision: str, threads: int) -> Run:
    """What runs the file's network on (1, C, *S)."""
    try:
        return in_openvino(path, precision)
    except ImportError:
        return _open_in_onnx_runtime(path, threads)
    except (RuntimeError, MemoryError) as error:
        raise damaged(path) from error


def _open_in_onnx_runtime(path: Path, threads: int = 0) -> Run:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{path} is an exported model; running it needs pip install openvino"
        ) from error
    onnxruntime.set_default_logger_severity(FATAL)  # what is wrong is said by us
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own are of no common kind
        raise damaged(path) from error
    given, *more = session.get_inputs()
    if more:
        raise damaged(path)
    return lambda batch: session.run(None, {given.name: batch})[0]
