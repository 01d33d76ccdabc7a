"""Which objects of two label images share pixels, and how many, with no table of all their pairs.

Labels change seldom along a row, so what is counted are runs of pixels in which nothing changes;
the cost follows pixels and runs, never objects times objects.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 1 << 22
"""Pixels looked at a time, a bound on memory."""


def runs(*maps: Array) -> tuple[list[Array], Array]:
    """Runs of neighbouring pixels, row by row, in which none of the maps, of one shape, changes.

    Returns:
        What each of the maps holds in the runs, (R,) of its type each; (R,) lengths in pixels.
    """
    flats = [m.reshape(-1) for m in maps]
    values, lengths = [[flat[:0]] for flat in flats], [np.zeros(0, np.int64)]
    for first in range(0, flats[0].size, CHUNK):
        chunk = [flat[first : first + CHUNK] for flat in flats]
        begins = np.ones(len(chunk[0]), bool)
        begins[1:] = False
        for part in chunk:
            begins[1:] |= part[1:] != part[:-1]
        start = np.flatnonzero(begins)
        lengths.append(np.diff(start, append=len(begins)))
        for held, part in zip(values, chunk, strict=True):
            held.append(part[start])
    return [np.concatenate(held) for held in values], np.concatenate(lengths)


def numbered(labels: Array) -> tuple[Array, Array]:
    """Labels other than 0 that occur, increasing; and for each entry its place there, from 1."""
    ids, place = np.unique(labels, return_inverse=True)
    is_object = ids != 0
    return ids[is_object], (np.cumsum(is_object) * is_object)[place]


def common_pixels(first: Array, second: Array, lengths: Array) -> tuple[Array, Array, Array]:
    """Pairs of objects that share pixels.

    Args:
        first, second: (R,) numbers of the objects in each run, 0 for none.
        lengths: (R,) pixels of the runs.

    Returns:
        (P,) objects of the first and of the second, from 0, in this order increasing; (P,) pixels
        that they share.
    """
    both = (first > 0) & (second > 0)
    width = int(second.max(initial=0))
    pair, place = np.unique((first[both] - 1) * width + second[both] - 1, return_inverse=True)
    return *np.divmod(pair, max(width, 1)), pixels_of(place, lengths[both], len(pair))


def pixels_of(number: Array, lengths: Array, count: int) -> Array:
    """(count,) int64 pixels of the runs of each number."""
    return np.bincount(number, lengths, minlength=count).astype(np.int64)  # exact up to 2**53
