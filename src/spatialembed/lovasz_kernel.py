"""The Lovász hinge of one mask, compiled: its value and its derivative in every error."""

from __future__ import annotations

import numpy as np
from numba import njit

SHORT = 1024
"""Below this many errors the library's own sort beats three passes of a radix sort."""


@njit(cache=True)
def hinge_steps(inside: np.ndarray, outside: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Lovász hinge of one mask from its errors, and its derivative in each of them.

    The closed forms of :mod:`spatialembed.lovasz`: worst first, an error inside weighs ``1/U``
    and one outside ``I/(U(U−1))``; nothing weighs once all those inside have come.
    """
    into, worst_in = worst_first(inside)
    out, worst_out = worst_first(outside)
    step_in = np.zeros(len(inside), np.float32)
    step_out = np.zeros(len(outside), np.float32)
    size, union, total = len(inside), np.float64(len(inside)), 0.0
    j = 0
    for i in range(size):
        error = worst_in[i]
        while j < len(out) and worst_out[j] > error:
            union += 1
            step = (size - i) / (union * (union - 1))
            total += step * worst_out[j]
            step_out[out[j]] = step
            j += 1
        step = 1 / union
        total += step * error
        step_in[into[i]] = step
    return total, step_in, step_out


@njit(cache=True)
def worst_first(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices that sort errors of at least 0 from large to small, equal ones by index; and them."""
    n = len(errors)
    # Positive floats order as their bits do; the index rides along in the lower half.
    keys = np.empty(n, np.uint64)
    bits = errors.view(np.uint32)
    for i in range(n):
        keys[i] = (np.uint64(0xFFFFFFFF - bits[i]) << np.uint64(32)) | np.uint64(i)
    if n < SHORT:
        keys.sort()
    else:
        other = np.empty(n, np.uint64)
        for shift in (32, 43, 54):
            _sort_digit(keys, other, np.uint64(shift))
            keys, other = other, keys
    order, values = np.empty(n, np.int32), np.empty(n, np.uint32)
    for i in range(n):
        order[i] = np.int32(keys[i] & np.uint64(0x7FFFFFFF))
        values[i] = np.uint32(0xFFFFFFFF) - np.uint32(keys[i] >> np.uint64(32))
    return order, values.view(np.float32)


@njit(cache=True)
def _sort_digit(keys: np.ndarray, out: np.ndarray, shift: np.uint64) -> None:
    """Stable counting sort of ``keys`` into ``out`` by the 11 bits above ``shift``."""
    at = np.zeros(2049, np.int64)
    for key in keys:
        at[((key >> shift) & np.uint64(2047)) + np.uint64(1)] += 1
    for digit in range(2048):
        at[digit + 1] += at[digit]
    for key in keys:
        digit = (key >> shift) & np.uint64(2047)
        out[at[digit]] = key
        at[digit] += 1
