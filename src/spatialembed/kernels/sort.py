"""Sorting of many small numbers, compiled: for the Lovász hinge and for the order of seeds."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel

DIGITS = 2048
"""Buckets of one counting pass: 11 bits, so that two of them order 22."""

BLOCK = 32
"""Keys that are looked at together for any that is not in order."""


@kernel()
def falling_key(bits: np.uint32, index: int) -> np.uint64:
    """Of a float32 of at least 0, by its bits: the larger, the smaller; then by index."""
    # Positive floats order as their bits do.
    return (np.uint64(np.uint32(0xFFFFFFFF) - bits) << np.uint64(32)) | np.uint64(index)


@kernel()
def largest_first(values: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """Keys that sort the positive ones of ``values`` from large to small, equal ones by index.

    Args:
        values: (n,) float32 of at least 0.
        scratch: (3 n or more,) uint64.

    Returns:
        The beginning of ``scratch``: keys that rise, whose lower halves are indices of values.
    """
    bits, n = values.view(np.uint32), 0
    keys = scratch[len(values) :]
    for i in range(len(values)):
        keys[n] = falling_key(bits[i], i)
        n += int(not values[i] <= 0)  # and NaN, which must not vanish
    return sort_keys(keys[:n], keys[n:], scratch)


@kernel()
def sort_keys(keys: np.ndarray, half: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Sort keys whose lower halves rise; the beginning of ``out``.

    Two counting passes over the leading 22 bits of what varies in them; the few that are then not
    yet in order are moved. A third pass would order all 32 bits, and move every key once more for
    those few.

    Args:
        keys: (n,) uint64.
        half, out: (n or more,) uint64 scratch, and what the result is written to.
    """
    n, digit = len(keys), np.uint64(DIGITS - 1)
    least, most = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
    for key in keys:
        least, most = min(least, key), max(most, key)
    low = (least >> np.uint64(32)) << np.uint64(32)
    shift = np.uint64(32)
    while n and (most - low) >> shift >= DIGITS * DIGITS:
        shift += np.uint64(1)
    fine, coarse = np.zeros(DIGITS + 1, np.int32), np.zeros(DIGITS + 1, np.int32)
    for key in keys:
        fine[(((key - low) >> shift) & digit) + np.uint64(1)] += 1
    for i in range(DIGITS):
        fine[i + 1] += fine[i]
    for key in keys:
        place = ((key - low) >> shift) & digit
        half[np.uint32(fine[place])] = key
        fine[place] += 1
    # Counted in this order: before, neighbours were alike, and to count one would wait for the
    # other.
    for key in half[:n]:
        coarse[((key - low) >> (shift + np.uint64(11))) + np.uint64(1)] += 1
    for i in range(DIGITS):
        coarse[i + 1] += coarse[i]
    for key in half[:n]:
        place = (key - low) >> (shift + np.uint64(11))
        out[np.uint32(coarse[place])] = key
        coarse[place] += 1
    _move_the_last(out[:n])
    return out[:n]


@kernel()
def _move_the_last(out: np.ndarray) -> None:
    """Bring nearly sorted keys in order."""
    moves = 8 * len(out)  # quadratic: beyond as many, sorting by comparison is the surer end
    for first in range(1, len(out), BLOCK):
        last = min(first + BLOCK, len(out))
        former, these, wrong = out[first - 1 : last - 1], out[first:last], 0
        for i in range(len(these)):  # many at once, and hardly a block has any
            wrong += int(these[i] < former[i])
        if wrong:
            for i in range(first, last):
                key, j = out[i], i
                while j > 0 and out[j - 1] > key:
                    out[j] = out[j - 1]
                    j -= 1
                out[j] = key
                moves -= i - j
        if moves < 0:  # too many that differ by next to nothing
            out.sort()
            break
