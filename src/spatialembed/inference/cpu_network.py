"""A network of torch on the processor, in float32: by OpenVINO as soon as that pays.

Both have the same kernels, so that outputs differ by rounding at most. OpenVINO joins what torch
does one after the other, and takes two thirds of the time.
"""

from __future__ import annotations

import warnings
from contextlib import suppress

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from spatialembed.inference.engine import EngineNetwork, difference, in_openvino
from spatialembed.inference.network import Network
from spatialembed.inference.torch_network import TorchNetwork, evaluating
from spatialembed.models import strides

WORTH = 2**21
"""Pixels that torch computes first: what they take is what making a network ready takes."""

TOLERANCE = 1e-3
"""Largest difference between the two, in units of the raw output."""


class CpuNetwork(TorchNetwork):
    """A network in torch until it has seen so many pixels, from then on by OpenVINO.

    Where OpenVINO is not installed, cannot run a network or says something else, torch goes on.

    Args:
        module: maps (B, C, *S) float32 to (B, D + n_sigma + K, *S) raw output, on the CPU.
        channels: of its images.
        dims: 2, or of volumes 3.
    """

    def __init__(self, module: nn.Module, channels: int, dims: int = 2) -> None:
        super().__init__(module)
        self._channels, self._dims = channels, dims
        self._network: Network = TorchNetwork(module)
        self._seen = 0

    def __call__(self, image: Float[np.ndarray, "C *S"]) -> Float[np.ndarray, "M *S"]:
        """Raw output (D + n_sigma + K, *S) float32 of a normalised image of any size."""
        if self._seen < WORTH:
            self._seen += image[0].size
            if self._seen >= WORTH:
                with suppress(ImportError, RuntimeError, AttributeError):
                    self._network = self._faster()
        result: np.ndarray = self._network(image)
        return result

    def __reduce__(self) -> tuple[type[CpuNetwork], tuple[nn.Module, int, int]]:
        """Another process begins with torch: what OpenVINO made cannot be sent."""
        return CpuNetwork, (self.module, self._channels, self._dims)

    def _faster(self) -> EngineNetwork:
        steps = strides(self.module, self._dims)
        example = torch.zeros(1, self._channels, *(2 * step for step in steps), device="cpu")
        found = EngineNetwork(in_openvino(traced(self.module, example)), steps)
        if not difference(found, self._network, self._channels, self._dims) <= TOLERANCE:
            raise RuntimeError("OpenVINO's output is another")
        return found


def traced(module: nn.Module, example: torch.Tensor) -> object:
    """A network as an ``openvino.Model``, for any number and size of images as (1, C, *S).

    By OpenVINO's frontend itself: ``openvino.convert_model`` takes three times as long, and reports
    its use to its makers.

    Raises:
        ImportError: OpenVINO is not installed.
        RuntimeError: it does not know an operation of the network.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.inference_mode(), evaluating(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's: there are newer ways, which take longer
        script = torch.jit.trace(module, example, check_trace=False)
        decoder = TorchScriptPythonDecoder(script)  # in a variable: nothing else keeps it
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    model.reshape([-1, example.shape[1], *[-1] * (example.ndim - 2)])
    return model
