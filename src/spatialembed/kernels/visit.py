"""The loop of clustering, compiled: seeds, best first, and the pixels within their margins.

Entries are (class, pixel) pairs of the foreground and slots their places in the grid of cells;
see foreground.py.
"""

from __future__ import annotations

import math

import numpy as np

from spatialembed.kernels.binning import Cells, give_pixel
from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.reach import Margin, block_in_reach, next_row, scaled_distances
from spatialembed.kernels.sort import largest_first

LIMIT = np.float32(math.log(2))
"""A pixel belongs where φ > 0.5, that is where its scaled distance is less than ln 2."""


@kernel()
def _propose(
    margin: Margin,
    first_cell: int,
    cells: Cells,
    members: np.ndarray,
    distance: np.ndarray,
    block: np.ndarray,
) -> int:
    """Write the entries within a margin to ``members``; give their number.

    ``first_cell`` is the first of the seed's class; ``distance`` and ``block`` are scratch.
    """
    n, counts = 0, cells.grid.counts
    row = next_row(block, counts, True) if block_in_reach(margin, cells.grid, block) else -1
    while row >= 0:
        # Whole rows of the block: with as few pixels to a row as here, to cut it at the ellipse, as
        # the loss does, takes longer than to look at the corners.
        first = cells.start[first_cell + row + block[0, 0]]
        last = cells.start[first_cell + row + block[1, 0] + 1]
        run = distance[: last - first]
        scaled_distances(cells.position, first, margin, run)
        for e in range(len(run)):
            members[n] = first + e
            n += int(run[e] < LIMIT)
        row = next_row(block, counts, False)
    return n


@kernel()
def best_first(
    seeds: np.ndarray, score: np.ndarray, bound: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """The seeds that score ``bound``, best first and equal ones in their order, and the others.

    Args:
        seeds: entries, in their order.
        score: of every entry.
        bound: least score of those that are sorted.
    """
    best, others = np.empty(len(seeds) + 1, np.int32), np.empty(len(seeds) + 1, np.int32)
    chosen = left = 0
    for entry in seeds:
        best[chosen], others[left] = entry, entry
        good = score[entry] >= bound
        chosen += int(good)
        left += int(not good)
    best = best[:chosen]
    order = largest_first(score[best], np.empty(3 * chosen, np.uint64))
    sorted_best = np.empty(chosen, np.int32)
    for i in range(chosen):
        sorted_best[i] = best[np.uint32(order[i])]
    return sorted_best, others[:left]


@kernel()
def unspent(seeds: np.ndarray, slot: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The seeds whose pixels are still unassigned, by the slot of every entry and its label."""
    left, n = np.empty(len(seeds) + 1, np.int32), 0
    for entry in seeds:
        left[n] = entry
        n += int(label[slot[entry]] == 0)
    return left[:n]


@kernel()
def visit_seeds(
    slot: np.ndarray,
    kind: np.ndarray,
    width: np.ndarray,
    cells: Cells,
    min_size: int,
    accepted: int,
    label: np.ndarray,
) -> np.ndarray:
    """Visit seeds in order and label the slots of their pixels; −1 is spent without an instance.

    Args:
        slot, kind, width: (M,) slots and classes and (D, M) inverse squared widths of the seeds.
        cells: the entries.
        min_size: least number of pixels of a proposal.
        accepted: how many were before.
        label: of every slot, 0 where unassigned.

    Returns:
        Which of the seeds were accepted now.
    """
    dims, n_cells = len(width), cells.grid.counts.prod()
    margin = Margin(np.empty(dims, np.float32), np.empty(dims, np.float32), LIMIT)
    block = np.empty((3, dims), np.int64)
    members, distance = np.empty(len(label) + 1, np.int32), np.empty(len(label), np.float32)
    found = np.empty(len(slot), np.int64)
    n_found = 0
    for s in range(len(slot)):
        own = slot[s]
        if label[own] != 0:
            continue
        for d in range(dims):
            margin.center[d], margin.width[d] = cells.position[d, own], width[d, s]
        n = _propose(margin, kind[s] * n_cells, cells, members, distance, block)
        unassigned = 0
        for m in range(n):
            unassigned += label[members[m]] == 0
        value = -1
        if n >= min_size and 2 * unassigned > n:
            found[n_found] = s
            n_found += 1
            value = accepted + n_found
        else:
            give_pixel(own, -1, cells.twin, label)  # a seed without a proposal ends here too
        for m in range(n):
            if label[members[m]] == 0:
                give_pixel(members[m], value, cells.twin, label)
    return found[:n_found]


@kernel()
def finish(
    pixel: np.ndarray,
    place: np.ndarray,
    slot: np.ndarray,
    label: np.ndarray,
    n: int,
    label_map: np.ndarray,
) -> np.ndarray:
    """Write the labels of n instances to their pixels, 0 to others; (n, 2 D) boxes of them."""
    dims, entries = place.shape
    owner, is_first = np.empty(entries, np.int32), np.ones(entries, np.bool_)
    for e in range(entries):
        owner[e] = max(label[np.uint32(slot[e])], np.int32(0))
    for e in range(entries):
        label_map[np.uint32(pixel[e])] = owner[e]
    # Runs along x, found by operations on many at once: a box is looked at twice a run.
    for e in range(1, entries):
        is_first[e] = (
            (owner[e] != owner[e - 1]) | (pixel[e] != pixel[e - 1] + 1) | (place[-1, e] == 0)
        )
    boxes = np.zeros((n, 2 * dims), np.int32)
    boxes[:, :dims] = np.iinfo(np.int32).max
    starts = np.append(np.flatnonzero(is_first), entries)
    for r in range(len(starts) - 1):
        box = boxes[owner[starts[r]] - 1]
        if owner[starts[r]] > 0:
            for d in range(dims):
                for i in (starts[r], starts[r + 1] - 1):
                    box[d] = min(box[d], place[d, i])
                    box[dims + d] = max(box[dims + d], place[d, i] + 1)
    return boxes
