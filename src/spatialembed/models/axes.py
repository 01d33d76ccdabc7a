"""Layers for images and for volumes: one table, by which a network is written once for both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTION: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, Any] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
ENLARGING: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLING: dict[int, Any] = {2: nn.functional.max_pool2d, 3: nn.functional.max_pool3d}
DROPOUT: dict[int, Any] = {2: nn.Dropout2d, 3: nn.Dropout3d}
LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}
"""By the number of spatial axes."""


@dataclass(frozen=True)
class Axes:
    """The axes of a network that halves its input level by level; level 0 is the input's size.

    Attributes:
        dims: 2 (y, x) or 3 (z, y, x).
        flat: of volumes, levels whose planes lie further apart than their pixels: z is not halved
            after them, and convolutions there stay in the plane.
    """

    dims: int = 2
    flat: int = 0

    def factor(self, level: int) -> tuple[float, ...]:
        """By how much each axis shrinks after a level."""
        return tuple(float(n) for n in self._twos(level))

    def square(self, level: int) -> int:
        """Pixels of a level that become one of the next."""
        return math.prod(self._twos(level))

    def convolution(
        self,
        level: int,
        in_channels: int,
        out_channels: int,
        halves: bool = False,
        bias: bool = True,
    ) -> Any:
        """A convolution of 3 at a level, of stride 2 where it halves it."""
        sizes = [1 if n == 1 else 3 for n in self._twos(level)]
        kind = CONVOLUTION[self.dims]
        return kind(
            in_channels,
            out_channels,
            tuple(sizes),
            self._twos(level) if halves else 1,
            padding=tuple(n // 2 for n in sizes),
            bias=bias,
        )

    def pointwise(self, in_channels: int, out_channels: int) -> Any:
        """A convolution of 1, without a bias."""
        return CONVOLUTION[self.dims](in_channels, out_channels, 1, bias=False)

    def norm(self, channels: int) -> Any:
        """Batch norm."""
        return NORM[self.dims](channels)

    def enlarging(self, level: int, in_channels: int, out_channels: int) -> Any:
        """A transposed convolution from the next level up to a level, without overlaps or bias."""
        size = self._twos(level)
        return ENLARGING[self.dims](in_channels, out_channels, size, stride=size, bias=False)

    def in_squares(self, image: Tensor) -> Tensor:
        """(B, C, *S) at level 0 -> (B, C * square, *S of level 1): its pixels as channels."""
        if self.dims == 2:
            return nn.functional.pixel_unshuffle(image, 2)
        # Without the shape, which tracing (folding.py) does not know.
        for axis, two in zip((4, 3, 2), self._twos(0)[::-1], strict=True):
            image = image.unflatten(axis, (-1, two))
        return image.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)

    def from_squares(self, squares: Tensor) -> Tensor:
        """The inverse of :meth:`in_squares`."""
        if self.dims == 2:
            return nn.functional.pixel_shuffle(squares, 2)
        parts: Tensor = squares.unflatten(1, (-1, *self._twos(0)))
        return parts.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)

    def _twos(self, level: int) -> tuple[int, ...]:
        depth = () if self.dims == 2 else (1 if level < self.flat else 2,)
        return (*depth, 2, 2)


def flat_for(ratio: float, levels: int) -> int:
    """How many levels are best flat where planes lie ``ratio`` times as far apart as pixels.

    After them both distances are about the same.
    """
    return min(max(round(math.log2(ratio)), 0), levels)


def in_layout(network: nn.Module) -> nn.Module:
    """The network itself, its weights laid out as processors and cards are fastest with."""
    flat = all(p.dim() < 5 for p in network.parameters())
    return network.to(memory_format=LAYOUT[2 if flat else 3])  # type: ignore[call-overload, no-any-return]  # torch types it of tensors
