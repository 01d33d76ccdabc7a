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
        rest = row
        for axis in range(dims - 2, -1, -1):
            place[axis, before:e] = rest % shape[axis]
            rest //= shape[axis]
    for d in range(dims):
        for e in range(n):
            offset[d, e] = offsets[d, pixel[e]]
    return pixel, place, logit, offset


@kernel()
def finite_at(output: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Whether all channels of a (C, P) output are finite, at some pixels."""
    finite = np.ones(len(pixel), np.bool_)
    for channel in range(len(output)):
        for e in range(len(pixel)):
            finite[e] &= math.isfinite(output[channel, pixel[e]])
    return finite
