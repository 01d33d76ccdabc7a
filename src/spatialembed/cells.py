"""Loops of clustering and refinement, compiled: a grid of cells over embeddings, visits to it.

Floating point is float32 in one order of operations without fused ones, so that comparisons fall
as they do in the naive loop. Entries are (class, pixel) pairs of the foreground; see clustering.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from spatialembed.sorting import largest_first

MOST_CELLS = 2**20
"""Of a grid, whose table of cells then stays small."""

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
def cells_along(
    position: np.ndarray, origin: float, density: float, count: int, cell: np.ndarray
) -> None:
    """Go on with cell indices by one more axis; −1 outside of the grid and for NaN."""
    for p in range(len(position)):
        place = (np.float64(position[p]) - origin) * density
        inside = place >= 0 and place < count and cell[p] >= 0
        cell[p] = cell[p] * np.int32(count) + np.int32(place) if inside else np.int32(-1)


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def scaled_distances(
    position: np.ndarray, center: np.ndarray, width: np.ndarray, distance: np.ndarray
) -> None:
    """Write the scaled distances of (D, E) positions to a center to (E,) ``distance``."""
    distance[:] = 0
    for d in range(len(center)):
        middle, s, along = center[d], width[d], position[d]
        for e in range(len(distance)):
            difference = along[e] - middle
            distance[e] += s * (difference * difference)


@njit(cache=True)
def _propose(
    center: np.ndarray,
    width: np.ndarray,
    first_cell: int,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    start: np.ndarray,
    position: np.ndarray,
    members: np.ndarray,
    distance: np.ndarray,
    block: np.ndarray,
) -> int:
    """Write the entries within the margin of ``center`` to ``members``; give their number.

    ``first_cell`` is the first of the seed's class; ``distance`` and ``block`` are scratch.
    """
    cells_in_reach(center, width, LIMIT, origin, density, counts, block)
    n = 0
    row = next_row(block, counts, True)
    while row >= 0:
        first = start[first_cell + row + block[0, 0]]
        last = start[first_cell + row + block[1, 0] + 1]
        run = distance[: last - first]
        scaled_distances(position[:, first:last], center, width, run)
        for e in range(len(run)):
            members[n] = first + e
            n += int(run[e] < LIMIT)
        row = next_row(block, counts, False)
    return n


@njit(cache=True)
def best_unspent(
    seeds: np.ndarray,
    score: np.ndarray,
    slot: np.ndarray,
    label: np.ndarray,
    bound: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Seeds whose pixels are still unassigned: the sorted ones that score ``bound``, and others.

    Args:
        seeds: entries, in their order.
        score, slot: score and slot of every entry.
        label: of every slot, 0 where unassigned.
        bound: least score of the seeds to be sorted: best first, equal ones in their order.
    """
    best, others = np.empty(len(seeds) + 1, np.int32), np.empty(len(seeds) + 1, np.int32)
    chosen = left = 0
    for entry in seeds:
        unspent, good = label[slot[entry]] == 0, score[entry] >= bound
        best[chosen], others[left] = entry, entry
        chosen += int(unspent and good)
        left += int(unspent and not good)
    best = best[:chosen]
    order = largest_first(score[best], np.empty(3 * chosen, np.uint64))
    sorted_best = np.empty(chosen, np.int32)
    for i in range(chosen):
        sorted_best[i] = best[np.uint32(order[i])]
    return sorted_best, others[:left]


@njit(cache=True)
def _give(slot: int, value: int, twin: np.ndarray, label: np.ndarray) -> None:
    """Label a slot, and those of the same pixel in other classes."""
    label[slot] = value
    if len(twin):
        other = twin[slot]
        while other != slot:
            label[other] = value
            other = twin[other]


@njit(cache=True)
def visit_seeds(
    seed_entry: np.ndarray,
    seed_width: np.ndarray,
    entry_position: np.ndarray,
    entry_kind: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    start: np.ndarray,
    position: np.ndarray,
    slot: np.ndarray,
    twin: np.ndarray,
    min_size: int,
    accepted: int,
    label: np.ndarray,
) -> np.ndarray:
    """Visit seeds in order and label the slots of their pixels; −1 is spent without an instance.

    ``accepted`` is how many were before. Returns the foreground entries of those accepted now.
    """
    dims, cells = len(origin), counts.prod()
    block = np.empty((3, dims), np.int64)
    center, width = np.empty(dims, np.float32), np.empty(dims, np.float32)
    members, distance = np.empty(len(slot) + 1, np.int32), np.empty(len(slot), np.float32)
    found = np.empty(len(seed_entry), np.int64)
    n_found = 0
    for s in range(len(seed_entry)):
        entry = seed_entry[s]
        own = slot[entry]
        if label[own] != 0:
            continue
        n, usable = 0, True
        for d in range(dims):
            center[d], width[d] = entry_position[d, entry], seed_width[d, s]
            usable &= not math.isnan(width[d])
        if usable:
            n = _propose(
                center, width, entry_kind[entry] * cells, origin, density, counts, start, position,
                members, distance, block,
            )  # fmt: skip
        unassigned = 0
        for m in range(n):
            unassigned += label[members[m]] == 0
        value = -1
        if n >= min_size and 2 * unassigned > n:
            found[n_found] = entry
            n_found += 1
            value = accepted + n_found
        else:
            _give(own, -1, twin, label)  # a seed without a proposal ends here too
        for m in range(n):
            if label[members[m]] == 0:
                _give(members[m], value, twin, label)
    return found[:n_found]


@njit(cache=True)
def finish(
    pixel: np.ndarray,
    place: np.ndarray,
    slot: np.ndarray,
    label: np.ndarray,
    n: int,
    label_map: np.ndarray,
) -> np.ndarray:
    """Write the labels of n instances to their pixels; (n, 2 D) boxes of them."""
    dims, entries = place.shape
    boxes = np.zeros((n, 2 * dims), np.int32)
    boxes[:, :dims] = np.iinfo(np.int32).max
    e = 0
    while e < entries:
        value, first = label[slot[e]], e
        x = place[-1, first]
        while (
            e < entries
            and pixel[e] == pixel[first] + e - first
            and place[-1, e] == x + e - first
            and label[slot[e]] == value
        ):
            if value > 0:
                label_map[pixel[e]] = value
            e += 1
        if value > 0:  # a run of its pixels along x
            for d in range(dims):
                for i in (first, e - 1):
                    boxes[value - 1, d] = min(boxes[value - 1, d], place[d, i])
                    boxes[value - 1, dims + d] = max(boxes[value - 1, dims + d], place[d, i] + 1)
    return boxes
