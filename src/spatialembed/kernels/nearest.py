"""Which instance fits each pixel best, compiled: the loop of refinement."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.grid import cells_in_reach, give_pixel, next_row, scaled_distances


@kernel()
def nearest_instances(
    center: np.ndarray,
    width: np.ndarray,
    kind: np.ndarray,
    limit: float,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    start: np.ndarray,
    position: np.ndarray,
    slot: np.ndarray,
    twin: np.ndarray,
) -> np.ndarray:
    """(E,) for every slot the instance (from 1) whose φ is highest there, 0 where none is near.

    Of equal ones the first.

    Args:
        center, width: (D, N) float32 centers and inverse squared widths of the instances.
        kind: (N,) their classes.
        limit: scaled distance up to which an instance may get a pixel of its class.
        origin, density, counts, start, position, slot, twin: the entries in their cells.
    """
    dims, cells = len(origin), counts.prod()
    block, middle, s = np.empty((3, dims), np.int64), np.empty(dims, np.float32), width[:, 0].copy()
    label, least = np.zeros(len(slot), np.int32), np.full(len(slot), limit, np.float32)
    distance = np.empty(len(slot), np.float32)
    for k in range(len(kind)):
        middle[:], s[:] = center[:, k], width[:, k]
        if not (np.isfinite(middle).all() and (s > 0).all()):
            continue
        cells_in_reach(middle, s, limit, origin, density, counts, block)
        row = next_row(block, counts, True)
        while row >= 0:
            first = start[kind[k] * cells + row + block[0, 0]]
            last = start[kind[k] * cells + row + block[1, 0] + 1]
            run = distance[: last - first]
            scaled_distances(position, first, middle, s, run)
            for e in range(len(run)):
                if run[e] < least[first + e]:
                    give_pixel(first + e, run[e], twin, least)
                    give_pixel(first + e, k + 1, twin, label)
            row = next_row(block, counts, False)
    return label
