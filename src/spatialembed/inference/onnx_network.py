"""An exported network as a model runs it: by OpenVINO or else ONNX Runtime, without torch."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float

from spatialembed.errors import UserError
from spatialembed.models.spec import ModelSpec

if TYPE_CHECKING:
    import openvino

SPEC_KEY, EXPORT_KEY = "spatialembed", "spatialembed_export"
"""Metadata of the file: the model's :class:`ModelSpec`, and what is particular to the export."""

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
        if not path.exists():
            raise UserError(f"there is no model at {path}; name a file that was exported")
        self._run, metadata = _open(path, self.threads)
        try:
            self.spec = ModelSpec.from_dict(json.loads(metadata[SPEC_KEY]))
            export = json.loads(metadata[EXPORT_KEY])
            self.precision, self._stride = str(export["precision"]), int(export["stride"])
        except (KeyError, UserError) as error:
            raise UserError(
                f"{path} was not exported by this version of spatialembed; export the model again, "
                "or update"
            ) from error

    def __call__(self, image: Float[np.ndarray, "C H W"]) -> Float[np.ndarray, "M H W"]:
        """Raw output (2 + n_sigma + K, H, W) float32 of a normalised image of any size."""
        height, width = image.shape[1:]
        border = (0, 0), (0, -height % self._stride), (0, -width % self._stride)
        output = self._run(np.pad(image, border, mode="edge")[None])
        return np.ascontiguousarray(output[0, :, :height, :width])


def _open(path: Path, threads: int) -> tuple[Run, dict[str, str]]:
    """What runs the file's network on (1, C, H, W), and the file's metadata."""
    try:
        core = _core()
    except ImportError:
        return _open_in_onnx_runtime(path, threads)
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise _damaged(path) from error
    places = {key: ["framework", key] for key in (SPEC_KEY, EXPORT_KEY)}
    metadata = {
        key: model.get_rt_info(place).astype(str)
        for key, place in places.items()
        if model.has_rt_info(place)
    }
    # Left alone, OpenVINO computes float32 files in bfloat16 where the processor can.
    in_bf16 = json.loads(metadata.get(EXPORT_KEY, "{}")).get("precision") == "bf16"
    precision = "bf16" if in_bf16 else "f32"
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
    compiled = core.compile_model(model, "CPU", hints)
    return lambda batch: compiled(batch)[0], metadata


@functools.cache
def _core() -> openvino.Core:
    """The process's only OpenVINO.

    Each sets up a stack for signal handlers, and puts back the one before when it goes. Of two that
    go in the order they came, the second puts back the stack of the first, which is gone: the next
    signal, such as that of a child's end, then crashes the process.
    """
    import openvino

    return openvino.Core()


def _open_in_onnx_runtime(path: Path, threads: int = 0) -> tuple[Run, dict[str, str]]:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{path} is an exported model; running it needs pip install 'spatialembed[openvino]'"
        ) from error
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own are of no common kind
        raise _damaged(path) from error
    [given] = session.get_inputs()
    return (
        lambda batch: session.run(None, {given.name: batch})[0],
        session.get_modelmeta().custom_metadata_map,
    )


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is not an ONNX file, or is damaged; export the model again")
