"""Masks of COCO files as pixels: run lengths, plain or compressed, and polygons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def decode_counts(text: str | bytes) -> list[int]:
    """Run lengths of COCO's compressed counts string.

    Each is a signed number in groups of 5 bits, least first, one character (48 + 32 * more + group)
    a group; from the third on as the difference to the one two before.

    Raises:
        ValueError: the string ends within a number or has a character that is none of these.
    """
    data = text.encode("ascii") if isinstance(text, str) else text
    counts: list[int] = []
    value = shift = 0
    for byte in data:
        group = byte - 48
        if not 0 <= group < 64:
            raise ValueError(f"{chr(byte)!r} is no character of compressed run lengths")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("compressed run lengths end within a number")
    return counts


def runs_to_mask(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    """(height, width) bool of run lengths: columns one after the other, first run background.

    Raises:
        ValueError: a negative run, or runs that do not add up to the image's pixels.
    """
    runs = np.asarray(counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(
            f"run lengths must be 0 or more and add up to {height * width} pixels of a "
            f"{width}x{height} image"
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def polygon_to_mask(polygon: Sequence[float], height: int, width: int) -> np.ndarray:
    """(height, width) bool: the pixels whose centers (x + 0.5, y + 0.5) the polygon encloses.

    Every line of pixel centers is crossed by the edges an even number of times; pixels between
    an odd and the next even crossing are inside. A polygon of fewer than 3 corners encloses none.

    Args:
        polygon: x0, y0, x1, y1, ... in pixels, the image from 0 to its width and height.

    Raises:
        ValueError: an odd number of values, or one that is not finite.
    """
    values = np.asarray(polygon, np.float64)
    if values.ndim != 1 or len(values) % 2 or not np.isfinite(values).all():
        raise ValueError("a polygon must be a list of x, y pairs of finite numbers")
    x, y = values[::2], values[1::2] - 0.5
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    # an edge crosses the lines in [least y, greatest y): a corner on a line counts once
    first = np.clip(np.ceil(np.minimum(y, y_next)), 0, height).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y, y_next)), 0, height).astype(np.int64)
    count = last - first
    edge = np.repeat(np.arange(len(x)), count)
    line = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    slope = (x_next - x)[edge] / (y_next - y)[edge]
    crossing = x[edge] + (line - y[edge]) * slope
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    crossings = np.bincount(line * (width + 1) + column, minlength=height * (width + 1))
    inside: np.ndarray = np.cumsum(crossings.reshape(height, width + 1), axis=1) % 2 == 1
    return inside[:, :width]
