"""The Lovász hinge of one mask, compiled: its value and its derivative in every error."""

from __future__ import annotations

import numpy as np
from numba import njit

DIGITS = 2048
"""Buckets of one counting pass."""

LAST = np.uint64(0xFFFFFFFFFFFFFFFF)
"""A key behind that of any error."""


@njit(cache=True)
def hinge_steps(
    inside: np.ndarray,
    outside: np.ndarray,
    step_in: np.ndarray,
    step_out: np.ndarray,
    scratch: np.ndarray,
) -> float:
    """Lovász hinge of one mask from its errors, and its derivative in each of them.

    The closed forms of :mod:`spatialembed.lovasz`: worst first, an error inside weighs ``1/U``
    and one outside ``I/(U(U−1))``; nothing weighs once all those inside have come, nor does an
    error of 0.

    Args:
        inside, outside: float32 errors of at least 0.
        step_in, step_out: float32 arrays of their lengths that the derivatives are written to.
        scratch: uint64, thrice as many as there are errors.
    """
    size = len(inside)
    worst_in = worst_first(inside, scratch)
    worst_out = worst_first(outside, scratch[size:])
    step_in[:] = 0
    step_out[:] = 0
    union, total = np.float64(size), 0.0
    j = 0
    for i in range(size):
        # Keys rise as errors fall; their upper halves compare as the errors do.
        key = worst_in[i] if i < len(worst_in) else LAST
        while j < len(worst_out) and worst_out[j] >> np.uint64(32) < key >> np.uint64(32):
            to = np.uint32(worst_out[j])
            union += 1
            step = (size - i) / (union * (union - 1))
            total += step * outside[to]
            step_out[to] = step
            j += 1
        if key != LAST:
            step = 1 / union
            total += step * inside[np.uint32(key)]
            step_in[np.uint32(key)] = step
    return total


@njit(cache=True)
def worst_first(errors: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """Keys that sort the positive ones of ``errors`` from large to small, equal ones by index.

    Two counting passes over the leading 22 bits of what varies in them; the few that are then not
    yet in order are moved.

    Args:
        errors: (n,) float32 of at least 0.
        scratch: (3 n or more,) uint64.

    Returns:
        The beginning of ``scratch``: keys that rise, whose lower halves are indices of errors.
    """
    bits = errors.view(np.uint32)
    least, most, n = np.uint32(0xFFFFFFFF), np.uint32(0), 0
    keys = scratch[len(errors) :]
    for i in range(len(errors)):  # positive floats order as their bits do
        falling = np.uint32(0xFFFFFFFF) - bits[i]
        keys[n] = (np.uint64(falling) << np.uint64(32)) | np.uint64(i)
        counts = not errors[i] <= 0  # true for a NaN, which shows in the sum
        least, most = (
            min(least, falling),
            max(most, falling if counts else np.uint32(0)),
        )
        n += int(counts)
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
    moves = 8 * n
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
