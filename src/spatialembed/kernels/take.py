"""The foreground taken out of a raw output, compiled: one pass, where numpy's indexing has many."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel

BLOCK = 32
"""Pixels that are passed over together where none is of the foreground."""


@kernel()
def gather(
    values: np.ndarray, channel: int, lowest: np.float32, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take what matters of the pixels whose logit is at least ``lowest``, in their order.

    Args:
        values: (C, P) float32 raw output.
        channel: of the logits.
        lowest: the bound.
        shape: (D,) int64 shape of the image.

    Returns:
        (E,) int32 flat indices, (D, E) int32 array indices, (E,) logits, NaN of a pixel whose
        output is not finite in every channel, (D, E) offsets.
    """
    many = _brights(values[channel], lowest)
    dims, n = len(shape), many.sum()
    pixel, logit = np.empty(n, np.int32), np.empty(n, np.float32)
    offset, at = np.empty((dims, n), np.float32), np.empty(BLOCK + 1, np.uint32)
    spoiled, end = np.empty(BLOCK, np.float32), 0
    for b in range(len(many)):
        if many[b]:
            first, last = BLOCK * b, min(BLOCK * (b + 1), values.shape[1])
            _spoil(values, first, last, spoiled)
            start, end = end, end + many[b]
            _chosen(values[channel, first:last], lowest, at)
            for d in range(dims):
                _take(values[d, first:last], at, offset[d, start:end])
            _take(spoiled, at, logit[start:end])
            some, more = pixel[start:end], values[channel, first:last]
            for i in range(len(some)):
                some[i] = first + at[i]
                logit[start + i] += more[at[i]]
    return pixel, places(pixel, shape), logit, offset


@kernel()
def _brights(logits: np.ndarray, lowest: np.float32) -> np.ndarray:
    """How many of each block are at least ``lowest``."""
    many = np.zeros(-(-len(logits) // BLOCK), np.int64)
    for b in range(len(many)):
        n = np.int32(0)
        for value in logits[BLOCK * b : BLOCK * (b + 1)]:
            n += np.int32(value >= lowest)
        many[b] = n
    return many


@kernel()
def _spoil(values: np.ndarray, first: int, last: int, spoiled: np.ndarray) -> None:
    """Write NaN for each of some columns that is not finite in every channel, 0 for others."""
    spoiled[:] = 0
    for c in range(len(values)):
        channel = values[c, first:last]
        for i in range(len(channel)):
            spoiled[i] += channel[i] * np.float32(0)


@kernel()
def _chosen(logits: np.ndarray, lowest: np.float32, at: np.ndarray) -> None:
    """Write the places of those that are at least ``lowest``."""
    n = 0
    for i in range(len(logits)):
        at[n] = i
        n += int(logits[i] >= lowest)


@kernel()
def _take(channel: np.ndarray, at: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(out)):
        out[i] = channel[at[i]]


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
