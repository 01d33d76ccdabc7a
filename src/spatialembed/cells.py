"""The inner loops of clustering, compiled: a grid of cells over embeddings, and the visits to it.

Floating point is float32 in one order of operations without fused ones, so that comparisons fall
as they do in the naive loop. Entries are (class, pixel) pairs of the foreground; see clustering.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

LIMIT = np.float32(math.log(2))
"""A pixel belongs where φ > 0.5, that is where its scaled distance is less than ln 2."""


@njit(cache=True)
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


@njit(cache=True)
def cell_along(value: float, origin: float, density: float, count: int) -> int:
    """Cell of a coordinate along one axis. Never decreasing in it, so that a range of coordinates
    lies within the range of its ends' cells whatever the rounding."""
    return int(min(max((value - origin) * density, 0.0), count - 1.0))


@njit(cache=True)
def bin_entries(
    position: np.ndarray,
    kind: np.ndarray,
    pixel: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    n_classes: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counting sort by class and cell: where each cell starts; positions (E, D), pixels (E,)."""
    dims, n = position.shape
    cell = np.empty(n, np.int32)
    start = np.zeros(n_classes * counts.prod() + 1, np.int64)
    for e in range(n):
        c = int(kind[e])
        for d in range(dims - 1, -1, -1):
            c = c * counts[d] + cell_along(
                np.float64(position[d, e]), origin[d], density[d], counts[d]
            )
        cell[e] = c
        start[c + 1] += 1
    for c in range(1, len(start)):
        start[c] += start[c - 1]
    at = start[:-1].copy()
    sorted_position, sorted_pixel = np.empty((n, dims), np.float32), np.empty(n, np.int32)
    for e in range(n):
        to = at[cell[e]]
        at[cell[e]] += 1
        sorted_pixel[to] = pixel[e]
        for d in range(dims):
            sorted_position[to, d] = position[d, e]
    return start, sorted_position, sorted_pixel


@njit(cache=True)
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


@njit(cache=True)
def _propose(
    center: np.ndarray,
    width: np.ndarray,
    kind: int,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    start: np.ndarray,
    position: np.ndarray,
    members: np.ndarray,
    block: np.ndarray,
) -> int:
    """Write the entries within the margin of ``center`` to ``members``; give their number.

    ``block`` is (3, D) scratch: see :func:`next_row`.
    """
    dims = len(center)
    for d in range(dims):
        # A little further than the margin: the comparison below is in float32 and decides.
        reach = math.sqrt(LIMIT / np.float64(width[d])) * (1 + 1e-5)
        block[0, d] = cell_along(center[d] - reach, origin[d], density[d], counts[d])
        block[1, d] = cell_along(center[d] + reach, origin[d], density[d], counts[d])
    n = 0
    layer = int(kind) * counts.prod()
    row = next_row(block, counts, True)
    while row >= 0:
        first = layer + row
        for e in range(start[first + block[0, 0]], start[first + block[1, 0] + 1]):
            distance = np.float32(0)
            for d in range(dims):
                difference = position[e, d] - center[d]
                distance += width[d] * (difference * difference)
            members[n] = e
            n += int(distance < LIMIT)
        row = next_row(block, counts, False)
    return n


@njit(cache=True)
def visit_seeds(
    seed_entry: np.ndarray,
    seed_width: np.ndarray,
    entry_position: np.ndarray,
    entry_pixel: np.ndarray,
    entry_kind: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    start: np.ndarray,
    position: np.ndarray,
    pixel: np.ndarray,
    min_size: int,
    accepted: int,
    label_map: np.ndarray,
) -> np.ndarray:
    """Visit seeds in order and label their pixels; −1 is spent without an instance.

    ``accepted`` is how many were before. Returns the foreground entries of those accepted now.
    """
    block = np.empty((3, len(origin)), np.int64)
    members = np.empty(len(pixel), np.int32)
    found = [np.int64(0) for _ in range(0)]
    for s in range(len(seed_entry)):
        entry = seed_entry[s]
        if label_map[entry_pixel[entry]] != 0:
            continue
        center = entry_position[:, entry]
        width = seed_width[:, s]
        n = 0
        usable = True
        for value in width:
            usable &= not math.isnan(value)
        if usable:
            kind = entry_kind[entry]
            n = _propose(
                center, width, kind, origin, density, counts, start, position, members, block
            )
        unassigned = 0
        for m in range(n):
            unassigned += label_map[pixel[members[m]]] == 0
        label = -1
        if n >= min_size and 2 * unassigned > n:
            found.append(entry)
            label = accepted + len(found)
        else:
            label_map[entry_pixel[entry]] = -1  # a seed without a proposal ends here too
        for m in range(n):
            if label_map[pixel[members[m]]] == 0:
                label_map[pixel[members[m]]] = label
    return np.array(found, np.int64)


@njit(cache=True)
def finish(pixel: np.ndarray, place: np.ndarray, n: int, label_map: np.ndarray) -> np.ndarray:
    """Turn spent pixels without an instance back into background; (n, 2 D) boxes of the others."""
    dims = len(place)
    boxes = np.zeros((n, 2 * dims), np.int32)
    boxes[:, :dims] = np.iinfo(np.int32).max
    for e in range(len(pixel)):
        label = label_map[pixel[e]]
        if label < 0:
            label_map[pixel[e]] = 0
        elif label > 0:
            for d in range(dims):
                boxes[label - 1, d] = min(boxes[label - 1, d], place[d, e])
                boxes[label - 1, dims + d] = max(boxes[label - 1, dims + d], place[d, e] + 1)
    return boxes
