"""What is kept of an image to find its equals and neighbours: a digest, and its four borders."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.images.windows import WindowedImage

LONGEST = 512
"""Values of a border that are kept; of a longer one, means of as many pixels as it takes."""

BEYOND = 1e30
"""No picture has such values; their squares are numbers still."""


class Border(NamedTuple):
    """The outermost line of pixels at one side of an image."""

    length: int
    """Pixels."""
    line: NDArray[np.float32]
    """(n,) mean over channels, n at most :data:`LONGEST`; from the left, or from the top."""
    step: float
    """Mean square of the step from this line to the next one inside."""


Borders = tuple[Border, Border, Border, Border]
"""Those of an image, in this order:"""

TOP, BOTTOM, LEFT, RIGHT = range(4)


def borders_of(image: WindowedImage) -> Borders | None:
    """Those of an image, of which nothing else is read; None where it has no two lines."""
    height, width = image.shape
    if min(height, width) < 2:
        return None
    every = slice(None)
    return (
        _border(image.read(slice(0, 2), every)),
        _border(image.read(slice(height - 2, height), every)[::-1]),
        _border(image.read(every, slice(0, 2)).swapaxes(0, 1)),
        _border(image.read(every, slice(width - 2, width)).swapaxes(0, 1)[::-1]),
    )


def _border(lines: NDArray[np.generic]) -> Border:
    """Of the two outermost lines (2, L, C), the outer one first."""
    finite = np.nan_to_num(lines.astype(np.float64), nan=0.0)
    grey = np.clip(finite, -BEYOND, BEYOND).mean(-1)
    length = grey.shape[1]
    pixels = math.ceil(length / LONGEST)
    kept = grey[:, : length // pixels * pixels].reshape(2, -1, pixels).mean(-1)
    return Border(length, kept[0].astype(np.float32), float(np.mean((kept[0] - kept[1]) ** 2)))


def digest_of(image: NDArray[np.generic]) -> bytes | None:
    """Equal for images (H, W, C) whose pixels are equal, whatever type of integers holds them.

    None for an image of one value, whose equals are no copies.
    """
    low, high = image.min(), image.max()
    if low == high:
        return None
    kind: np.dtype[np.generic] = np.dtype(np.float64)
    if image.dtype.kind in "bui":
        kind = np.min_scalar_type(high) if low >= 0 else np.dtype(np.int64)
    pixels = np.ascontiguousarray(image, dtype=kind)
    return blake2b(pixels.tobytes(), digest_size=16, person=str(image.shape).encode()[:16]).digest()
