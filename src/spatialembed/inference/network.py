"""What runs a network, in torch or from an exported file."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Float


class Network(Protocol):
    """What a :class:`Model` runs: :class:`TorchNetwork` or :class:`OnnxNetwork`."""

    def __call__(self, image: Float[np.ndarray, "C H W"]) -> Float[np.ndarray, "M H W"]:
        """Raw output (2 + n_sigma + K, H, W) float32 of a normalised image of any size."""
