"""What runs a network on the processor without torch, and how it is given an image of any size."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from spatialembed.inference.forked import engine_hints

if TYPE_CHECKING:
    import openvino

    from spatialembed.inference.network import Network

PLANNED = 2**21
"""Pixels or voxels from which on memory is planned."""

Run = Callable[[np.ndarray], np.ndarray]
"""(1, C, *S) float32, sides multiples of strides, to the raw output (1, M, *S)."""


class EngineNetwork:
    """A network by whatever runs it.

    Args:
        run: what does; it is called from one thread at a time, whichever call this network.
        strides: what the sides of its images, or of volumes, are multiples of.

    Attributes:
        threads: of the networks that are opened from now on in this process; 0 for as many as the
            engine takes by itself.
    """

    threads: ClassVar[int] = 0

    def __init__(self, run: Run, strides: tuple[int, ...]) -> None:
        self._run = run
        self._strides = strides
        self._one_at_a_time = threading.Lock()  # OpenVINO refuses another, and uses all cores

    @property
    def stride(self) -> int:
        """That of planes."""
        return self._strides[-1]

    def __call__(self, image: Float[np.ndarray, "C *S"]) -> Float[np.ndarray, "M *S"]:
        """Raw output (D + n_sigma + K, *S) float32 of a normalised image of any size."""
        sides = image.shape[1:]
        missing = [(0, -n % stride) for n, stride in zip(sides, self._strides, strict=True)]
        batch = np.pad(image, [(0, 0), *missing], mode="edge")[None]
        window: Any = (0, slice(None), *(slice(n) for n in sides))
        with self._one_at_a_time:
            output: np.ndarray = self._run(batch)[window].copy()
        return output


def difference(one: Network, other: Network, channels: int, dims: int) -> float:
    """Largest between the outputs of two networks that should be one, of an image or volume."""
    noise = np.random.default_rng(0).random((channels, *(9, 70, 90)[-dims:]), np.float32)
    return float(np.abs(one(noise) - other(noise)).max())


def in_openvino(network: Any, precision: str = "float32") -> Run:
    """A network made ready by OpenVINO for this processor.

    Args:
        network: an ``openvino.Model``, or the path of a file that it reads.
        precision: "bf16" computes in bfloat16, anything else in what the network has.

    Returns:
        What runs it. Its result is good until the next call.

    Raises:
        ImportError: OpenVINO is not installed.
        RuntimeError: it cannot run the network, or read the file.
    """
    core = _core()
    # Left alone, OpenVINO computes float32 networks in bfloat16 where the processor can.
    hint = "bf16" if precision == "bf16" else "f32"
    hints = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": EngineNetwork.threads}
    model = network if hasattr(network, "reshape") else core.read_model(network)
    return _Planned(model, lambda it: core.compile_model(it, "CPU", {**hints, **engine_hints()}))


class _Planned:
    """A network for images of any size, and for one large size with its memory planned.

    Of sizes that it knows OpenVINO uses memory again within a network: half of it for two
    megapixels, a quarter for ten, and what is not used need not be cleared. It is the first size
    that comes, then one that comes twice: to plan takes a third of a second.
    """

    def __init__(self, model: Any, compile: Callable[[Any], Any]) -> None:
        self._model, self._compile = model, compile
        self._any_size = compile(model)
        self._planned: Any = None
        self._size = self._last = (0,)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        size = batch.shape[2:]
        large = math.prod(size) >= PLANNED
        if large and size != self._size and size == (self._last if self._planned else size):
            self._planned = None  # and its memory
            model = self._model.clone()
            model.reshape(list(batch.shape))
            self._planned, self._size = self._compile(model), size
        self._last = size
        run = self._planned if size == self._size else self._any_size
        result: np.ndarray = run(batch, share_outputs=True)[0]
        return result


@functools.cache
def _core() -> openvino.Core:
    """The process's only OpenVINO.

    Each sets up a stack for signal handlers, and puts back the one before when it goes. Of two that
    go in the order they came, the second puts back the stack of the first, which is gone: the next
    signal, such as that of a child's end, then crashes the process.
    """
    import openvino

    return openvino.Core()
