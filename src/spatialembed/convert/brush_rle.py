"""The run lengths of Label Studio's brush: bits of an RGBA picture, packed as thi.ng/rle-pack does.

32 bits say how many values there are, 5 how wide a value is less 1, four times 4 how wide each of
four sizes of counts is less 1. Then come blocks: a bit that says whether one value is repeated, two
which size the count has, the count less 1, and the value, or so many.
Label Studio's own converter reads them as this does to the last pixel, and brings pandas and OpenCV
along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CHANNELS = 4
"""The mask is the last of them, alpha."""

_WORD, _SIZES = 8, (3, 4, 8, 16)
"""Bits of a value, and of the four sizes of counts, as they are written."""


def decode(rle: Sequence[Any], height: int, width: int) -> np.ndarray:
    """(H, W) bool of run lengths.

    Raises:
        ValueError: they end early, are no bytes, or of another picture.
    """
    data = np.asarray(rle)
    if data.ndim != 1 or data.dtype.kind not in "iu" or ((data < 0) | (data > 255)).any():
        raise ValueError("they are no bytes")
    bits = "".join(map("{:08b}".format, data.tolist()))
    at = 0

    def take(count: int) -> int:
        nonlocal at
        if at + count > len(bits):
            raise ValueError("they end early")
        at += count
        return int(bits[at - count : at], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(CHANNELS)]
    if total != height * width * CHANNELS:
        raise ValueError(f"they are of {total // CHANNELS} pixels, the image has {height * width}")
    values, lengths, held = [], [], 0
    while held < total:
        repeated, size = take(1), sizes[take(2)]
        count = min(take(size) + 1, total - held)
        values += [take(word)] if repeated else [take(word) for _ in range(count)]
        lengths += [count] if repeated else [1] * count
        held += count
    flat = np.repeat(np.array(values, np.int64) > 0, lengths)
    return flat.reshape(height, width, CHANNELS)[..., -1]


def encode(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """The run lengths of a mask, white where it is.

    Args:
        mask: (h, w) bool, a window of the image.
        corner: x, y of the window's upper left corner in the image.
        size: height, width of the image.
    """
    (x, y), (height, width) = corner, size
    rows = np.zeros((len(mask), width), bool)  # alone: objects are many and images large
    rows[:, x : x + mask.shape[1]] = mask
    edges = np.flatnonzero(np.diff(rows.ravel(), prepend=False, append=False)) + y * width
    total = CHANNELS * height * width
    lengths = np.diff(CHANNELS * edges, prepend=0, append=total).tolist()
    words = [f"{total:032b}", f"{_WORD - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    most = 1 << _SIZES[-1]
    for number, length in enumerate(lengths):
        value = f"{255 * (number % 2):0{_WORD}b}"
        words += [_block(min(most, length - done), value) for done in range(0, length, most)]
    bits = "".join(words)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def _block(count: int, value: str) -> str:
    size = next(k for k, width in enumerate(_SIZES) if count <= 1 << width)
    return f"1{size:02b}{count - 1:0{_SIZES[size]}b}{value}"
