"""Enlarging and shrinking: of images on their way into a network, and of what comes out of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PIL import Image


def resized(
    image: Float[np.ndarray, "C H W"], shape: tuple[int, int]
) -> Float[np.ndarray, "C h w"]:
    """An image at another size, float32: interpolated, or smoothed first where it shrinks."""
    if image.shape[1:] == shape:
        return image
    channels = [
        Image.fromarray(np.ascontiguousarray(channel)).resize(
            (shape[1], shape[0]), Image.Resampling.BILINEAR
        )
        for channel in image
    ]
    return np.stack([np.asarray(channel) for channel in channels])


def sampled(maps: Float[np.ndarray, "C H W"], shape: tuple[int, int]) -> Float[np.ndarray, "C h w"]:
    """Maps at the pixel centers of another size, interpolated between the nearest four pixels.

    Unlike :func:`resized` it does not smooth: what two objects say is mixed at their border alone.
    """
    if maps.shape[1:] == shape:
        return maps
    for axis, size in zip((1, 2), shape, strict=True):
        last = maps.shape[axis] - 1
        place = ((np.arange(size) + 0.5) * ((last + 1) / size) - 0.5).clip(0, last)
        below = np.floor(place).astype(np.intp)
        share = np.expand_dims((place - below).astype(np.float32), (0, 3 - axis))
        above = np.minimum(below + 1, last)
        maps = maps.take(below, axis) * (1 - share) + maps.take(above, axis) * share
    return maps
