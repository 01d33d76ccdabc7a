"""What runs a network: in torch, on a card, or from an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from spatialembed.embedding import Array


class Network(Protocol):
    """What a :class:`Model` runs: TorchNetwork, CpuNetwork, CudaNetwork or EngineNetwork."""

    def __call__(self, image: Float[np.ndarray, "C *S"]) -> Array:
        """Raw output (D + n_sigma + K, *S) of a normalised image of any size.

        float32 of numpy, or of a :class:`CardNetwork` a tensor.
        """


@runtime_checkable
class CardNetwork(Protocol):
    """A network on a card: what it is given goes there, and what it says stays there."""

    @property
    def side(self) -> int:
        """Side of the largest image that the card takes at once."""

    def __call__(self, image: Array) -> Array:
        """Raw output (M, H, W) of one image (C, H, W), of numpy or on the card."""

    def many(self, images: Sequence[Array]) -> Sequence[Array]:
        """Raw outputs (M, H, W) of images (C, H, W) of one shape, as many at a time as fit."""

    def uploaded(self, array: np.ndarray) -> Array:
        """An array's copy on the card."""

    def levels(self, pixels: np.ndarray) -> Array:
        """(H, W, C) int32 on the card: pixels of uint8 or uint16."""

    def counted(self, levels: Array, values: int) -> Int[np.ndarray, "C V"]:
        """How many of such pixels have each of so many values, channel by channel."""

    def looked_up(self, levels: Array, table: Float[np.ndarray, "V C"]) -> Array:
        """(C, H, W) float32 on the card: what ``table`` says of such pixels, (H, W, C or 1)."""
