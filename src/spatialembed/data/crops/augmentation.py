"""What may change about a crop: its placing, magnification and blur (warp.py), and its shading.

:class:`Augmentation` holds the ranges, as a recipe states them; :class:`Change` is one draw from
them. Without torch, so that configurations load quickly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spatialembed.errors import UserError
from spatialembed.files.described import fit_fields

SOMETIMES = 0.5
"""Share of crops that are blurred at all, and likewise of those that get noise."""


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which each crop's change is drawn; the paper's settings have none.

    Brightness and noise are in the units of the normalised image, where its contrast spans
    about 1. A value of 0 (or ``False``, or a scale of 1 to 1) turns a change off.

    Args:
        flip: mirror left-right, on half of the crops; of volumes top-bottom, too.
        turn: turn by 0, 90, 180 or 270 degrees, equally often. With ``flip`` all 8 symmetries. Of
            volumes the planes are turned.
        scale: smallest and largest magnification, log-uniform; above 1 objects get larger.
        brightness: largest shift added to the image, uniform in ±brightness.
        contrast: factor about the crop's mean, uniform in 1 ± contrast; below 1.
        gamma: exponent over the crop's own range of values, log-uniform in
            [1 / (1 + gamma), 1 + gamma], the same for all channels.
        noise: largest standard deviation of Gaussian noise, on half of the crops.
        blur: largest standard deviation of a Gaussian blur, in crop pixels, on half of the crops.
        invert: share of crops, in [0, 1], that are shown dark for bright: as 1 - x.
        color: how far channels are mixed, in [0, 1]: each becomes (1 - a) of its own and a of a
            random mean of all, a uniform up to this, so that no hue and no order can be relied on.

    Raises:
        UserError: a value of another type or out of its range.
    """

    flip: bool = True
    turn: bool = True
    scale: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    invert: float = 0.0
    color: float = 0.0

    def __post_init__(self) -> None:
        fit_fields(self)
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise UserError(
                f"augmentation.scale is a smallest and a largest factor above 0, such as "
                f"[0.8, 1.25], not {self.scale!r}"
            )
        for name in ("brightness", "contrast", "gamma", "noise", "blur"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise UserError(f"augmentation.{name} must be a number from 0 up, not {value!r}")
        for name in ("invert", "color"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"augmentation.{name} lies between 0 and 1: {getattr(self, name)}")
        if self.contrast >= 1:
            raise UserError(f"augmentation.contrast must be below 1, not {self.contrast!r}")

    def draw(self, rng: np.random.Generator, dims: int = 2) -> Change:
        """Draw one change. Always takes ten numbers, so that no option shifts another's draw; or
        twelve, where crops may be inverted or their channels mixed; of volumes one more."""
        u = rng.random(10)
        of_kinds = self.invert > 0 or self.color > 0
        inverts, mix = rng.random(2) if of_kinds else (1.0, 0.0)
        upturned = bool(rng.random() < 0.5) if dims == 3 else False
        low, high = (math.log(s) for s in self.scale)
        return Change(
            flip=self.flip and bool(u[0] < 0.5),
            turns=int(u[1] * 4) if self.turn else 0,
            scale=math.exp(low + (high - low) * u[2]),
            brightness=self.brightness * (2 * u[3] - 1),
            contrast=1 + self.contrast * (2 * u[4] - 1),
            gamma=(1 + self.gamma) ** (2 * u[5] - 1),
            noise=self.noise * u[6] if u[7] < SOMETIMES else 0.0,
            blur=self.blur * u[8] if u[9] < SOMETIMES else 0.0,
            invert=bool(inverts < self.invert),
            mix=self.color * mix,
            upturned=self.flip and upturned,
        )


@dataclass(frozen=True)
class Change:
    """One draw from an :class:`Augmentation`; the default changes nothing."""

    flip: bool = False
    turns: int = 0
    """Quarter turns, counter-clockwise as one looks at the picture (as ``numpy.rot90``)."""
    scale: float = 1.0
    brightness: float = 0.0
    contrast: float = 1.0
    gamma: float = 1.0
    noise: float = 0.0
    blur: float = 0.0
    invert: bool = False
    mix: float = 0.0
    upturned: bool = False
    """Whether the planes of a volume come in reversed order."""

    def matrix(self) -> NDArray[np.float64]:
        """(2, 2): from crop pixels about the crop's center to source pixels, in the order y, x."""
        # np.rot90 reads its pixel (y, x) about the center at (x, -y) of the source.
        turn = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), self.turns % 4)
        mirror = np.diag([1, -1 if self.flip else 1])
        return np.asarray(mirror @ turn / self.scale, np.float64)


def shade(
    image: NDArray[np.float32], change: Change, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Mix channels, invert, apply gamma, contrast, brightness and noise to a normalised (C, S, S)
    image, or (C, P, S, S) volume, in that order.

    In numpy throughout: its results do not depend on the number of threads.
    """
    if change.mix > 0:
        image = _mixed(image, change.mix, rng)
    if change.invert:
        image = 1 - image
    if change.gamma != 1:
        image = _gamma(image, change.gamma)
    if change.contrast != 1:
        mean = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
        image = (image - mean) * np.float32(change.contrast) + mean
    if change.brightness != 0:
        image = image + np.float32(change.brightness)
    if change.noise > 0:
        noise = _normal(image.shape, rng)
        noise *= np.float32(change.noise)
        image = image + noise
    return image


def _mixed(
    image: NDArray[np.float32], share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Each channel becomes (1 - share) of its own and ``share`` of a random mean of all."""
    channels = len(image)
    means = rng.dirichlet(np.ones(channels), channels)
    matrix = ((1 - share) * np.eye(channels) + share * means).astype(np.float32)
    return np.tensordot(matrix, image, 1)


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Standard normal values, each the quantile of 16 random bits."""
    # rng.standard_normal takes 5 times as long, with SFC64 4 times (2026-11-27, 3 x 256 x 256).
    bits = np.random.SFC64(int(rng.integers(2**63))).random_raw(-(-math.prod(shape) // 4))
    return _quantiles().take(bits.view(np.uint16)[: math.prod(shape)]).reshape(shape)


@lru_cache(maxsize=1)
def _quantiles() -> NDArray[np.float32]:
    """(65536,) float32 quantiles of the standard normal distribution, from -4.3 to 4.3."""
    from scipy.special import ndtri

    quantiles: NDArray[np.float64] = ndtri((np.arange(2**16) + 0.5) / 2**16)
    return quantiles.astype(np.float32)


def _gamma(image: NDArray[np.float32], exponent: float) -> NDArray[np.float32]:
    """Raise values to ``exponent`` within each channel's own range, which it keeps."""
    axes = tuple(range(1, image.ndim))
    low = image.min(axis=axes, keepdims=True)
    span = image.max(axis=axes, keepdims=True) - low
    span[span == 0] = 1
    unit: NDArray[np.float32] = (image - low) / span
    # Not np.power, as fast (0.95 times as long, 2026-11-27) but rounded otherwise: crops would no
    # longer be the same to the last bit. A value above 0 has a logarithm.
    np.maximum(unit, np.float32(1e-30), out=unit)
    np.log(unit, out=unit)
    unit *= np.float32(exponent)
    np.exp(unit, out=unit)
    unit *= span
    unit += low
    return unit
