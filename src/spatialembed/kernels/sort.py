"""Sorting of many small numbers, compiled: for the Lovász hinge and for the order of seeds."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel

DIGITS = 2048
"""Buckets of one counting pass: 11 bits, so that two of them order 22."""


@kernel()
def largest_first(values: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """Keys that sort the positive ones of ``values`` from large to small, equal ones by index.

    Two counting passes over the leading 22 bits of what varies in them; the few that are then not
    yet in order are moved. A third pass would order all 32 bits, and move every key once more for
    those few.

    Args:
        values: (n,) float32 of at least 0.
        scratch: (3 n or more,) uint64.

    Returns:
        The beginning of ``scratch``: keys that rise, whose lower halves are indices of values.
    """
    bits = values.view(np.uint32)
    least, most, n = np.uint32(0xFFFFFFFF), np.uint32(0), 0
    keys = scratch[len(values) :]
    for i in range(len(values)):  # positive floats order as their bits do
        falling = np.uint32(0xFFFFFFFF) - bits[i]
        keys[n] = (np.uint64(falling) << np.uint64(32)) | np.uint64(i)
        taken = not values[i] <= 0  # and NaN, which must not vanish
        least, most = min(least, falling), max(most, falling if taken else np.uint32(0))
        n += int(taken)
    shift = np.uint64(32)
    while n and np.uint64(most - least) >> (shift - np.uint64(32)) >= DIGITS * DIGITS:
        shift += np.uint64(1)
    low, digit = np.uint64(least) << np.uint64(32), np.uint64(DIGITS - 1)
    fine, coarse = np.zeros(DIGITS + 1, np.int32), np.zeros(DIGITS + 1, np.int32)
    for key in keys[:n]:
        place = (key - low) >> shift
        fine[(place & digit) + np.uint64(1)] += 1
        coarse[(place >> np.uint64(11)) + np.uint64(1)] += 1
    for i in range(DIGITS):
        fine[i + 1] += fine[i]
        coarse[i + 1] += coarse[i]
    half, out = keys[n:], scratch[:n]
    for key in keys[:n]:
        place = ((key - low) >> shift) & digit
        half[fine[place]] = key
        fine[place] += 1
    for key in half[:n]:
        place = (key - low) >> (shift + np.uint64(11))
        out[coarse[place]] = key
        coarse[place] += 1
    moves = 8 * n  # moving is quadratic: beyond as many, sorting by comparison is the surer end
    for i in range(1, n):
        key, j = out[i], i
        while j > 0 and out[j - 1] > key:
            out[j] = out[j - 1]
            j -= 1
        out[j] = key
        moves -= i - j
        if moves < 0:  # too many that differ by next to nothing
            out.sort()
            break
    return out
