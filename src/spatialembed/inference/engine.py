"""What runs a network on the processor without torch, and how it is given an image of any size."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import openvino

Run = Callable[[np.ndarray], np.ndarray]
"""(1, C, H, W) float32, sides multiples of a stride, to the raw output (1, M, H, W)."""


class EngineNetwork:
    """A network by whatever runs it.

    Args:
        run: what does; called from one thread at a time.
        stride: what the sides of its images are multiples of.

    Attributes:
        threads: of the networks that are opened from now on in this process; 0 for as many as the
            engine takes by itself.
    """

    threads: ClassVar[int] = 0

    def __init__(self, run: Run, stride: int) -> None:
        self._run = run
        self._stride = stride

    def __call__(self, image: Float[np.ndarray, "C H W"]) -> Float[np.ndarray, "M H W"]:
        """Raw output (2 + n_sigma + K, H, W) float32 of a normalised image of any size."""
        height, width = image.shape[1:]
        border = (0, 0), (0, -height % self._stride), (0, -width % self._stride)
        output = self._run(np.pad(image, border, mode="edge")[None])
        return np.ascontiguousarray(output[0, :, :height, :width])


def in_openvino(network: Any, precision: str = "float32") -> Run:
    """A network made ready by OpenVINO for this processor.

    Args:
        network: an ``openvino.Model``, or the path of a file that it reads.
        precision: "bf16" computes in bfloat16, anything else in what the network has.

    Raises:
        ImportError: OpenVINO is not installed.
        RuntimeError: it cannot run the network, or read the file.
    """
    core = _core()
    # Left alone, OpenVINO computes float32 networks in bfloat16 where the processor can.
    hint = "bf16" if precision == "bf16" else "f32"
    hints = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": EngineNetwork.threads}
    compiled = core.compile_model(network, "CPU", hints)
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
