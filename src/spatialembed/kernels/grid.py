"""Embeddings in a grid of cells, compiled: what lies near a center is then found at once.

Loss, clustering and refinement look at embeddings through it. Floating point is float32 in one
order of operations without fused ones, so that comparisons fall as they do in the naive loop.
Entries are (class, pixel) pairs of the foreground; see foreground.py.
"""

from __future__ import annotations

import math

import numpy as np

from spatialembed.kernels.compiling import kernel

MOST_CELLS = 2**20
"""Of a grid, whose table of cells then stays small."""


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


@kernel()
def cell_along(value: float, origin: float, density: float, count: int) -> int:
    """Cell of a coordinate along one axis. Never decreasing in it, so that a range of coordinates
    lies within the range of its ends' cells whatever the rounding."""
    return int(min(max((value - origin) * density, 0.0), count - 1.0))


@kernel()
def cells_along(
    position: np.ndarray, origin: float, density: float, count: int, cell: np.ndarray
) -> None:
    """Go on with cell indices by one more axis; −1 outside of the grid and for NaN."""
    for p in range(len(position)):
        place = (np.float64(position[p]) - origin) * density
        inside = place >= 0 and place < count and cell[p] >= 0
        cell[p] = cell[p] * np.int32(count) + np.int32(place) if inside else np.int32(-1)


@kernel()
def cells_within(
    middle: float, reach: float, origin: float, density: float, count: int
) -> tuple[int, int]:
    """First and last cell along one axis that hold what is within ``reach`` of ``middle``.

    A little further, so that rounding (of :func:`cells_along`, too) loses nothing.
    """
    far = reach * (1 + 1e-5) + 1e-3 / density
    return (
        cell_along(middle - far, origin, density, count),
        cell_along(middle + far, origin, density, count),
    )


@kernel()
def bin_entries(
    position: np.ndarray,
    kind: np.ndarray,
    pixel: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    n_classes: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counting sort of the entries by class and cell.

    Returns:
        Where each cell starts; positions (D, E) in that order; (E,) the slot in it that each entry
        got; (E,) the slot of the next entry of the same pixel, in a circle through all of them,
        which is empty with one class.
    """
    dims, n = position.shape
    cell = kind.copy()
    for d in range(dims - 1, -1, -1):
        cells_along(position[d], origin[d], density[d], counts[d], cell)
    start = np.zeros(n_classes * counts.prod() + 1, np.int64)
    for c in cell:
        start[c + 1] += 1
    for c in range(1, len(start)):
        start[c] += start[c - 1]
    at = start[:-1].copy()
    sorted_position, slot = np.empty((dims, n), np.float32), np.empty(n, np.int32)
    for e in range(n):
        to = at[cell[e]]
        at[cell[e]] += 1
        slot[e] = to
        for d in range(dims):
            sorted_position[d, to] = position[d, e]
    twin = np.empty(0, np.int32)
    if n_classes > 1 and n:
        twin = np.arange(n).astype(np.int32)
        last = np.full(pixel.max() + 1, -1, np.int32)
        for e in range(n):
            if last[pixel[e]] >= 0:
                other = last[pixel[e]]
                twin[slot[e]], twin[other] = twin[other], slot[e]
            last[pixel[e]] = slot[e]
    return start, sorted_position, slot, twin


@kernel()
def next_row(block: np.ndarray, counts: np.ndarray, first: bool) -> int:
    """First cell of the next row along x of a block of cells, as if x began at 0; −1 at the end.

    Args:
        block: (3, D) int64: lowest and highest cell along each axis, and the row under way.
        counts: (D,) number of cells of the grid along each axis.
        first: whether to start with the block's first row.
    """
    low, high, at = block
    dims = len(counts)
    if first:
        at[:] = low
    else:
        d = 1
        while d < dims and at[d] == high[d]:
            at[d] = low[d]
            d += 1
        if d == dims:
            return -1
        at[d] += 1
    row = np.int64(0)
    for d in range(dims - 1, 0, -1):
        row = row * counts[d] + at[d]
    return int(row * counts[0])


@kernel()
def cells_in_reach(
    center: np.ndarray,
    width: np.ndarray,
    limit: np.floating | float,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    block: np.ndarray,
) -> None:
    """Write to ``block`` the cells that hold what is within a scaled distance of a center."""
    for d in range(len(center)):
        reach = math.sqrt(limit / np.float64(width[d]))
        block[0, d], block[1, d] = cells_within(center[d], reach, origin[d], density[d], counts[d])


@kernel()
def scaled_distances(
    position: np.ndarray, first: int, center: np.ndarray, width: np.ndarray, distance: np.ndarray
) -> None:
    """Write the scaled distances to a center of as many (D, E) positions, from ``first`` on.

    Args:
        position: (D, E).
        first: the first of a run of them.
        center, width: (D,).
        distance: what is written, as long as the run.
    """
    distance[:] = 0
    for d in range(len(center)):
        middle, s, along = center[d], width[d], position[d, first : first + len(distance)]
        for e in range(len(distance)):
            difference = along[e] - middle
            distance[e] += s * (difference * difference)


@kernel()
def give_pixel(slot: int, value: float, twin: np.ndarray, values: np.ndarray) -> None:
    """Write a value for a slot, and for those of the same pixel in other classes."""
    values[slot] = value
    if len(twin):
        other = twin[slot]
        while other != slot:
            values[other] = value
            other = twin[other]
