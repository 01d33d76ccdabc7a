"""Which instance fits each pixel best, compiled: the loops of refinement."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.binning import Cells, give_pixel
from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.reach import Margin, runs_in_reach, scaled_distances


@kernel()
def owners(
    label_map: np.ndarray, classes: np.ndarray, pixel: np.ndarray, kind: np.ndarray
) -> np.ndarray:
    """(E,) the instance (from 1) that each entry speaks for, 0 where none.

    A pixel in the foreground of several classes speaks for the class of its instance.

    Args:
        label_map: (P,) instances, 0 for none.
        classes: (N,) their classes.
        pixel, kind: (E,) flat pixels and classes of the entries.
    """
    kinds, owner = np.full(len(classes) + 1, -1, np.int32), np.empty(len(pixel), np.int32)
    kinds[1:] = classes
    for e in range(len(pixel)):
        owner[e] = label_map[pixel[e]]
    # Two short loops take a third of the time of one.
    for e in range(len(pixel)):
        k = np.uint32(owner[e])
        owner[e] = k if kinds[k] == kind[e] else np.uint32(0)
    return owner


@kernel()
def sums(values: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """(C, N) float64 sums of (C, E) values by owner from 1 to N, in the order of the entries."""
    result = np.zeros((len(values), count + 1))
    for c in range(len(values)):
        last, total = 0, 0.0  # along a row of pixels the sum stays in a register
        for e in range(len(owner)):
            if owner[e] != last:
                result[c, last], total, last = total, result[c, owner[e]], owner[e]
            total += values[c, e]
        result[c, last] = total
    return result[:, 1:]


@kernel()
def nearest_instances(
    center: np.ndarray, width: np.ndarray, kind: np.ndarray, limit: np.float32, cells: Cells
) -> np.ndarray:
    """(E,) for every slot the instance (from 1) whose φ is highest there, 0 where none is near.

    Of equal ones the first.

    Args:
        center, width: (D, N) float32 centers and inverse squared widths of the instances.
        kind: (N,) their classes.
        limit: scaled distance up to which an instance may get a pixel of its class.
        cells: the entries.
    """
    counts = cells.grid.counts
    block = np.empty((3, len(counts)), np.int64)
    runs = np.empty((counts[1:].prod(), 2), np.int32)
    label, least = np.zeros(len(cells.slot), np.int32), np.full(len(cells.slot), limit, np.float32)
    distance = np.empty(len(cells.slot), np.float32)
    for k in range(len(kind)):
        margin = Margin(center[:, k], width[:, k], limit)
        start = cells.start[kind[k] * counts.prod() :]
        for r in range(runs_in_reach(margin, start, cells.grid, block, runs)):
            first, last = runs[r, 0], runs[r, 1]
            run = distance[: last - first]
            scaled_distances(cells.position, first, margin, run)
            for e in range(len(run)):
                # The least distance is the highest φ, without an exponential a pixel.
                if run[e] < least[first + e]:
                    give_pixel(first + e, run[e], cells.twin, least)
                    give_pixel(first + e, k + 1, cells.twin, label)
    return label


@kernel()
def areas(label: np.ndarray, twin: np.ndarray, count: int) -> np.ndarray:
    """(N,) number of pixels of each instance from 1 to N, of the label of every slot."""
    area = np.zeros(count + 1, np.int64)
    for slot in range(len(label)):
        first = True
        if len(twin):  # a pixel of several classes counts at the first of its slots
            other = twin[slot]
            while other != slot and first:
                first, other = other > slot, twin[other]
        area[label[slot]] += first
    return area[1:]
