"""Colours: any image as RGB, and colours by which objects are told apart.

Colours are made in OKLCH (B. Ottosson, *A perceptual color space for image processing*, 2020),
where equal steps look equal, so that no object shouts louder than another.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialembed.kernels.painting import chosen_apart, pairs_at
from spatialembed.models.normalization import every_level
from spatialembed.models.percentiles import counted, is_counted, percentiles

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
    photo = image.dtype == np.uint8 and channels in (1, 3)
    if photo and percentiles(counted([image]), STRETCH)[1] >= 128:
        return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    low, high = _bounds(image)
    few = is_counted(image.dtype)  # values, so that each is stretched once and then looked up
    seen = every_level(image.dtype, channels) if few else image
    value = _stretched(seen, low, high)
    if channels in (1, 3):
        value = (value * 255 + 0.5).astype(np.uint8)
    if few:
        value = np.stack([value[:, c].take(image[..., c]) for c in range(channels)], axis=-1)
    if channels not in (1, 3):
        value = (_project(value) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(value, (*image.shape[:2], 3)))


def _bounds(image: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What becomes black and white of an image (H, W, C): of RGB for all channels, else of each."""
    together = image.shape[2] == 3
    if image.dtype == np.bool_:
        return np.zeros(1, np.float32), np.ones(1, np.float32)
    if is_counted(image.dtype):
        parts = [[image]] if together else [[image[..., c]] for c in range(image.shape[2])]
        bounds = np.array([percentiles(counted(part), STRETCH) for part in parts])
    else:
        bounds = np.percentile(_finite(image), STRETCH, axis=None if together else (0, 1)).T
    low, high = bounds.astype(np.float32).T
    return low, high


def _stretched(
    image: NDArray[Any], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.float32]:
    span = np.where(high > low, high - low, np.float32(1))
    return np.clip((_finite(image) - low) / span, 0, 1)


def _finite(image: NDArray[Any]) -> NDArray[np.float32]:
    return np.nan_to_num(image.astype(np.float32), nan=0, posinf=0, neginf=0)


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
        label_map: (H, W) or (Z, H, W) integer, 0 is background; ids may have gaps.

    Returns:
        The ranks (*S) of the objects by id, 0 being background, and their colours
        (n + 1, 3) uint8; row 0 belongs to the background and is black.
    """
    ranks, n = _ranked(label_map)
    palette = min(PALETTE, max(n, 1))
    lab = _oklab(*_row(palette))
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    # A few displacements instead of distances between all objects: a colour may be chosen with an
    # object missed that lies askew, and a picture of thousands of objects takes no longer for it.
    steps = [step for s in (1, REACH // 2, REACH) for step in ((0, s), (s, 0), (s, s), (s, -s))]
    if ranks.ndim == 3:  # its planes below each other, where the next one is so many rows away
        steps.append((ranks.shape[1], 0))
    flat = ranks.reshape(-1, ranks.shape[-1])
    near = np.unique(pairs_at(flat, np.array(steps), n))
    colors = distinct_colors(palette)[chosen_apart(near, distance, n)]
    colors[0] = 0
    return ranks, colors


def _ranked(label_map: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    """The ranks (*S) of the objects by id, and how many there are."""
    highest = int(label_map.max(initial=0))
    if highest <= label_map.size and label_map.min(initial=0) == 0:  # counted, not sorted
        there = np.bincount(label_map.ravel().astype(np.intp), minlength=highest + 1) > 0
        if there[1:].all():
            return np.ascontiguousarray(label_map, np.int32), highest
        rank = there[1:].cumsum(dtype=np.int32)
        return np.concatenate([np.zeros(1, np.int32), rank])[label_map], int(rank[-1])
    ids, ranks = np.unique(label_map, return_inverse=True)
    before = int(ids[0] != 0)
    return (ranks.reshape(label_map.shape) + before).astype(np.int32), len(ids) - 1 + before


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
