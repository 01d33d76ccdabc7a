"""Which instance fits each pixel best, compiled: the loops of refinement."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.binning import Cells, give_pixel
from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.reach import Margin, runs_in_reach, scaled_distances


@kernel()
def sum_objects(
    label_map: np.ndarray,
    classes: np.ndarray,
    pixel: np.ndarray,
    kind: np.ndarray,
    column: np.ndarray,
    sigma: np.ndarray,
    bounds: tuple[float, float],
    position: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(n_sigma + D, N) float64 sums of clamped bandwidths and embeddings over (N,) pixels each.

    A pixel in the foreground of several classes speaks for the class of its instance.

    Args:
        label_map: (P,) instances from 1, 0 for none.
        classes: (N,) their classes.
        pixel, kind, column: (E,) flat pixel, class and column of σ of the entries.
        sigma: (n_sigma, M) float32 bandwidths.
        bounds: what they are clamped to.
        position: (D, E) float32 embeddings.
    """
    n_sigma, (low, high) = len(sigma), bounds
    sums = np.zeros((n_sigma + len(position), len(classes)))
    area = np.zeros(len(classes), np.int64)
    for e in range(len(pixel)):
        k = label_map[pixel[e]] - 1
        if k >= 0 and classes[k] == kind[e]:
            area[k] += 1
            for d in range(n_sigma):
                sums[d, k] += min(max(sigma[d, column[e]], low), high)
            for d in range(len(position)):
                sums[n_sigma + d, k] += position[d, e]
    return sums, area


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
