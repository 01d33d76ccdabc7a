"""An exported network as a model runs it: by OpenVINO or else ONNX Runtime, without torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from spatialembed.errors import UserError
from spatialembed.files.described import parse_json
from spatialembed.inference.onnx_file import damaged, read_metadata
from spatialembed.models.spec import described

if TYPE_CHECKING:
    import openvino

SPEC_KEY, EXPORT_KEY = "spatialembed", "spatialembed_export"
"""Metadata of the file: the model's :class:`ModelSpec`, and what is particular to the export."""

PRECISIONS = ("float32", "bf16", "int8")
MOST_STRIDE = 128
"""Of a network's sides, in pixels."""

FATAL = 4
"""Severity of ONNX Runtime's log."""

_REMEDY = "export the model again"

Run = Callable[[np.ndarray], np.ndarray]


class OnnxNetwork:
    """A network from a file that ``spatialembed export`` wrote.

    Args:
        path: the file.

    Attributes:
        spec: how the network is used.
        precision: "float32", "bf16" or "int8"; it is the file's.
        threads: of the networks that are opened from now on in this process; 0 for as many as the
            runtime takes by itself.

    Raises:
        UserError: no such file, it is damaged or was not exported by spatialembed, or neither
            OpenVINO nor ONNX Runtime is installed.
    """

    threads: ClassVar[int] = 0

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"there is no model at {path}; name a file that was exported")
        metadata = read_metadata(path)
        if not {SPEC_KEY, EXPORT_KEY} <= metadata.keys():
            raise UserError(
                f"{path} was not exported by this version of spatialembed; {_REMEDY}, or update"
            )
        self.spec = described(metadata[SPEC_KEY], str(path), _REMEDY)
        export = parse_json(metadata[EXPORT_KEY], f"{path}: its description", _REMEDY)
        self.precision, self._stride = _checked(path, export)
        self._run = _open(path, self.precision, self.threads)
        self._try(path)

    def _try(self, path: Path) -> None:
        """Refuse a file whose network is not the one that it describes."""
        try:
            given = np.zeros((self.spec.in_channels, self._stride, self._stride), np.float32)
            output = self(given)
        except Exception as error:  # the runtimes' own are of no common kind
            raise damaged(path) from error
        if len(output) != 2 + self.spec.n_sigma + len(self.spec.class_names):
            raise damaged(path)
        if not np.isfinite(output).all():
            raise UserError(
                f"{path}: what its network gives is NaN or infinite; nothing can be found with it, "
                f"{_REMEDY}"
            )

    def __call__(self, image: Float[np.ndarray, "C H W"]) -> Float[np.ndarray, "M H W"]:
        """Raw output (2 + n_sigma + K, H, W) float32 of a normalised image of any size."""
        height, width = image.shape[1:]
        border = (0, 0), (0, -height % self._stride), (0, -width % self._stride)
        output = self._run(np.pad(image, border, mode="edge")[None])
        return np.ascontiguousarray(output[0, :, :height, :width])


def _checked(path: Path, export: Any) -> tuple[str, int]:
    """Precision and stride of what an export says of itself."""
    known = export if isinstance(export, dict) else {}
    precision, stride = known.get("precision"), known.get("stride")
    if precision not in PRECISIONS or type(stride) is not int or not 1 <= stride <= MOST_STRIDE:
        raise UserError(
            f"{path}: its description has no precision of {', '.join(PRECISIONS)} and no stride "
            f"from 1 to {MOST_STRIDE}; {_REMEDY}"
        )
    return precision, stride


def _open(path: Path, precision: str, threads: int) -> Run:
    """What runs the file's network on (1, C, H, W)."""
    try:
        core = _core()
    except ImportError:
        return _open_in_onnx_runtime(path, threads)
    # Left alone, OpenVINO computes float32 files in bfloat16 where the processor can.
    hint = "bf16" if precision == "bf16" else "f32"
    hints = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    try:
        compiled = core.compile_model(core.read_model(path), "CPU", hints)
    except (RuntimeError, MemoryError) as error:
        raise damaged(path) from error
    return lambda batch: compiled(batch)[0]


@functools.cache
def _core() -> openvino.Core:
    """The process's only OpenVINO.

    Each sets up a stack for signal handlers, and puts back the one before when it goes. Of two that
    go in the order they came, the second puts back the stack of the first, which is gone: the next
    signal, such as that of a child's end, then crashes the process.
    """
    import openvino

    return openvino.Core()


def _open_in_onnx_runtime(path: Path, threads: int = 0) -> Run:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{path} is an exported model; running it needs pip install 'spatialembed[openvino]'"
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
