"""Colours: any image as RGB, and colours by which objects are told apart.

Colours are made in OKLCH (B. Ottosson, *A perceptual color space for image processing*, 2020),
where equal steps look equal, so that no object shouts louder than another.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

RGB: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8 picture."""

Color: TypeAlias = tuple[int, int, int]

GOLDEN_ANGLE = 137.508
PALETTE = 18
STRETCH = (0.1, 99.8)
REACH = 8
"""Objects nearer to each other than about this many pixels never get similar colours."""


def to_rgb(image: NDArray[Any]) -> RGB:
    """Any image as an RGB picture a person can see something on.

    8-bit photographs stay as they are. Other types, and 8-bit images that use less than half of
    their range, are stretched between percentiles: for RGB over all channels, which keeps hues,
    otherwise per channel. Two channels become green and magenta, more than three a projection of
    one hue each. NaN and infinities are black.

    Args:
        image: (H, W) or (H, W, C) of any real or boolean type.

    Raises:
        ValueError: the array is not an image of at least one pixel and one channel.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.size == 0:
        raise ValueError(f"an image is (H, W) or (H, W, C) and not empty, not {image.shape}")
    channels = image.shape[2]
    if image.dtype == np.uint8 and channels in (1, 3) and np.percentile(image, STRETCH[1]) >= 128:
        return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    value = np.nan_to_num(image.astype(np.float32), nan=0, posinf=0, neginf=0)
    low, high = np.percentile(value, STRETCH, axis=None if channels == 3 else (0, 1))
    if image.dtype == np.bool_:
        low, high = np.zeros_like(low), np.ones_like(high)
    span = np.where(high > low, high - low, 1)
    value = np.clip((value - low) / span, 0, 1).astype(np.float32)
    if channels not in (1, 3):
        value = _project(value)
    return np.ascontiguousarray(
        np.broadcast_to((value * 255 + 0.5).astype(np.uint8), (*image.shape[:2], 3))
    )


def oklch(lightness: ArrayLike, chroma: ArrayLike, hue: ArrayLike) -> RGB:
    """OKLCH to sRGB uint8; arguments broadcast, hue in degrees, the result has a last axis of 3."""
    lab = _oklab(lightness, chroma, hue)
    cones = (lab @ _LAB_TO_CONES.T) ** 3
    linear = np.clip(cones @ _CONES_TO_LINEAR.T, 0, 1)
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.asarray(curved * 255 + 0.5).astype(np.uint8)


def distinct_colors(n: int) -> RGB:
    """The first ``n`` of an endless row of colours, (n, 3) uint8; neighbours in it differ most."""
    return oklch(*_row(n))


def colors_of_objects(label_map: NDArray[Any]) -> tuple[NDArray[Any], RGB]:
    """A colour for every object, clearly different from those of the objects near it.

    Greedy colouring of the graph of objects within :data:`REACH` pixels of each other, so that
    500 touching nuclei read as well as five. Deterministic.

    Args:
        label_map: (H, W) integer, 0 is background; ids may have gaps.

    Returns:
        The ranks (H, W) of the objects by id, 0 being background, and their colours
        (n + 1, 3) uint8; row 0 belongs to the background and is black.
    """
    ids, ranks = np.unique(label_map, return_inverse=True)
    ranks = ranks.reshape(label_map.shape)
    if len(ids) == 0 or ids[0] != 0:
        ranks, ids = ranks + 1, np.concatenate([[0], ids])
    n = len(ids) - 1
    palette = min(PALETTE, max(n, 1))
    lab = _oklab(*_row(palette))
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    near = _near(ranks, n)
    chosen = np.zeros(n + 1, np.intp)
    for k in range(1, n + 1):
        preferred = (k - 1 + np.arange(palette)) % palette
        taken = chosen[[j for j in near[k] if j < k]]
        if len(taken):
            apart = distance[np.ix_(preferred, taken)].min(axis=1)
            preferred = preferred[apart >= 0.85 * apart.max()]
        chosen[k] = preferred[0]
    colors = distinct_colors(palette)[chosen]
    colors[0] = 0
    return ranks, colors


def _near(ranks: NDArray[np.intp], n: int) -> list[list[int]]:
    """For each rank the ranks found at a few fixed displacements from its pixels."""
    found = []
    height, width = ranks.shape
    # A few displacements instead of distances between all objects: a colour may be chosen with an
    # object missed that lies askew, and a picture of thousands of objects takes no longer for it.
    for step in (1, REACH // 2, REACH):
        for dy, dx in ((0, step), (step, 0), (step, step), (step, -step)):
            left, right = max(-dx, 0), max(dx, 0)
            a = ranks[: max(height - dy, 0), left : max(width - right, 0)]
            b = ranks[dy:, right : max(width - left, 0)]
            differ = (a != b) & (a > 0) & (b > 0)
            found.append(np.unique(a[differ].astype(np.int64) * (n + 1) + b[differ]))
    near: list[list[int]] = [[] for _ in range(n + 1)]
    for pair in np.unique(np.concatenate(found)).tolist():
        first, second = divmod(pair, n + 1)
        near[first].append(second)
        near[second].append(first)
    return near


def _row(n: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    k = np.arange(n)
    lightness = np.choose(k % 3, [0.76, 0.66, 0.84])
    return lightness, np.choose(k % 3, [0.15, 0.18, 0.13]), 250 + k * GOLDEN_ANGLE


def _oklab(lightness: ArrayLike, chroma: ArrayLike, hue: ArrayLike) -> NDArray[Any]:
    turn = np.radians(np.asarray(hue, np.float64))
    a, b = chroma * np.cos(turn), chroma * np.sin(turn)
    return np.stack(np.broadcast_arrays(np.asarray(lightness, np.float64), a, b), axis=-1)


def _project(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, C) in [0, 1] to RGB: each channel in its hue, the brightest wins."""
    n = value.shape[2]
    hues = np.array([145.0, 328.0]) if n == 2 else 29 + np.arange(n) * 360 / n
    colors = oklch(0.8, 0.2, hues).astype(np.float32) / 255
    result = np.zeros((*value.shape[:2], 3), np.float32)
    for channel in range(n):
        np.maximum(result, value[..., channel, None] * colors[channel], out=result)
    return result


_LAB_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_CONES_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
