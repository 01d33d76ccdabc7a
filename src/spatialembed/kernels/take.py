"""The foreground taken out of a raw output, compiled: one pass, where numpy's indexing has many."""

from __future__ import annotations

import math

import numpy as np

from spatialembed.kernels.compiling import kernel


@kernel()
def gather(
    logits: np.ndarray, lowest: np.float32, offsets: np.ndarray, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take what matters of the pixels whose logit is at least ``lowest``, in their order.

    Args:
        logits: (P,) float32.
        lowest: the bound.
        offsets: (D, P) float32.
        shape: (D,) int64 shape of the image.

    Returns:
        (E,) int32 flat indices, (D, E) int32 array indices, (E,) logits, (D, E) offsets.
    """
    dims, n = len(shape), 0
    for value in logits:
        n += value >= lowest
    pixel, place = np.empty(n, np.int32), np.empty((dims, n), np.int32)
    logit, offset = np.empty(n, np.float32), np.empty((dims, n), np.float32)
    width = shape[-1]
    e = 0
    for row in range(len(logits) // max(width, 1)):
        before = e
        for x in range(width):
            value = logits[row * width + x]
            if value >= lowest:
                pixel[e], place[-1, e], logit[e] = row * width + x, x, value
                e += 1
        _place_row(row, shape, place[:, before:e])
    for d in range(dims):
        for e in range(n):
            offset[d, e] = offsets[d, pixel[e]]
    return pixel, place, logit, offset


@kernel()
def places(pixel: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(D, E) int32 array indices of (E,) flat ones that increase, in an image of a (D,) shape."""
    place, width = np.empty((len(shape), len(pixel)), np.int32), shape[-1]
    row = before = 0
    for e in range(len(pixel)):
        if pixel[e] >= (row + 1) * width:
            _place_row(row, shape, place[:, before:e])
            row, before = pixel[e] // width, e
        place[-1, e] = pixel[e] - row * width
    _place_row(row, shape, place[:, before:])
    return place


@kernel()
def _place_row(row: int, shape: np.ndarray, place: np.ndarray) -> None:
    """Write the array indices that all entries of one row along x share."""
    if place.shape[1] > 0:
        for axis in range(len(shape) - 2, -1, -1):
            place[axis] = row % shape[axis]
            row //= shape[axis]


@kernel()
def finite_at(output: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Whether all channels of a (C, M) output are finite, at some columns."""
    finite = np.ones(len(column), np.bool_)
    for channel in range(len(output)):
        for e in range(len(column)):
            finite[e] &= math.isfinite(output[channel, column[e]])
    return finite
