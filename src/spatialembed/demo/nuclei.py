"""Generated images of fluorescent nuclei, with exact masks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from spatialembed.errors import UserError

_LARGEST = 15
"""Half the length of the longest nucleus, in pixels, where the size is 1."""


def draw_nuclei(
    seed: int = 3, side: int = 224, count: int = 90, size: float = 1.0, overlap: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw bright ellipses of uneven texture on a dark ground, blurred and noisy.

    Args:
        seed: not negative; the same draws the same image.
        side: of the image, in pixels.
        count: nuclei that are tried; those that find no place are left out.
        size: 1 for nuclei of 14 to 30 pixels, about what the shipped model of nuclei knows.
        overlap: the greatest share of a nucleus that may lie on others, 0 to 1; it covers them.

    Returns:
        The image (side, side) uint16 and its label mask (side, side) uint16, 0 on the ground.

    Raises:
        UserError: a value out of range.
    """
    _check(seed, side, count, size, overlap)
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    image, mask = np.full((side, side), 300.0), np.zeros((side, side), np.uint16)
    margin = 8 * size
    for _ in range(count):
        cy, cx = rng.uniform(margin, side - margin, 2)
        long, short = size * rng.uniform(9, _LARGEST), size * rng.uniform(7, 10)
        turn = rng.uniform(0, np.pi)
        along = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        across = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        inside = (along / long) ** 2 + (across / short) ** 2 < 1
        if (mask[inside] > 0).mean() > overlap:
            continue
        mask[inside] = mask.max() + 1
        texture = ndimage.gaussian_filter(rng.normal(size=(side, side)), 2) * 4
        image[inside] = (rng.uniform(2500, 6000) * (1 + 0.25 * texture))[inside]
    image = ndimage.gaussian_filter(image, 1.0) + rng.normal(0, 60, image.shape)
    return image.clip(0, 65535).astype(np.uint16), mask


def _check(seed: int, side: int, count: int, size: float, overlap: float) -> None:
    if min(seed, count) < 0:
        raise UserError(f"seed and count of nuclei cannot be negative: {seed}, {count}")
    if not 0 < size <= side / (2 * _LARGEST):  # not either if it is NaN
        raise UserError(
            f"nuclei of size {size} do not fit an image of {side} pixels: give a size above 0 and "
            f"at most {side / (2 * _LARGEST):.3g}"
        )
    if not 0 <= overlap <= 1:
        raise UserError(f"an overlap is a share, 0 to 1, not {overlap}")
