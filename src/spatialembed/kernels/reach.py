"""The compiled form of terms/reach.py: what is in reach of a center, as runs of neighbouring cells.

Floating point is float32 in one order of operations without fused ones, so that comparisons fall as
they do in the naive loop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.grid import Grid, cell_along


class Margin(NamedTuple):
    """The ellipse around a center in which a pixel's scaled distance is below a cutoff."""

    center: np.ndarray  # (D,) float32
    width: np.ndarray  # (D,) float32 inverse squared widths
    cutoff: np.float32


@kernel()
def scaled_distances(
    position: np.ndarray, first: int, margin: Margin, distance: np.ndarray
) -> None:
    """Write the scaled distances to a center of as many (D, E) positions, from ``first`` on.

    Axis by axis over the whole run, and not all axes pixel by pixel: the compiler makes vector
    instructions of it.
    """
    distance[:] = 0
    for d in range(len(margin.center)):
        middle, s = margin.center[d], margin.width[d]
        along = position[d, first : first + len(distance)]
        for e in range(len(distance)):
            difference = along[e] - middle
            distance[e] += s * (difference * difference)


@kernel()
def cells_within(middle: float, reach: float, grid: Grid, d: int) -> tuple[int, int]:
    """First and last cell along one axis that hold what is within ``reach`` of ``middle``."""
    # A little further, so that rounding (of find_cells, too) loses nothing: float32 knows a reach
    # to 6e-8 of it.
    far = reach * (1 + 1e-5) + 1e-3 / grid.density[d]
    return cell_along(middle - far, grid, d), cell_along(middle + far, grid, d)


@kernel()
def block_in_reach(margin: Margin, grid: Grid, block: np.ndarray) -> bool:
    """Lowest and highest cell in reach along each axis; false where the margin is no number."""
    for d in range(len(margin.center)):
        reach = np.sqrt(margin.cutoff / margin.width[d])
        if not math.isfinite(margin.center[d]) or not math.isfinite(reach):
            return False
        block[0, d], block[1, d] = cells_within(margin.center[d], reach, grid, d)
    return True


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
def runs_in_reach(
    margin: Margin, start: np.ndarray, grid: Grid, block: np.ndarray, runs: np.ndarray
) -> int:
    """Write where what each row of cells in reach holds begins and ends; the number of rows.

    Args:
        margin: what is reached.
        start: where each cell begins.
        grid: of the cells.
        block: (3, D) int64 scratch.
        runs: (rows of the grid, 2) that is written to.
    """
    if not block_in_reach(margin, grid, block):
        return 0
    n, row = 0, next_row(block, grid.counts, True)
    while row >= 0:
        # The other axes take their part of the reach; along x what is left. The block's whole
        # rows would be right as well, and hold the corners around the ellipse.
        left = np.float64(margin.cutoff) * (1 + 1e-5)
        for d in range(1, len(grid.counts)):
            low = grid.origin[d] + (block[2, d] - 1e-3) / grid.density[d]
            high = grid.origin[d] + (block[2, d] + 1 + 1e-3) / grid.density[d]
            gap = max(low - margin.center[d], margin.center[d] - high, 0.0)
            left -= margin.width[d] * gap * gap
        if left > 0:
            x = cells_within(margin.center[0], math.sqrt(left / margin.width[0]), grid, 0)
            runs[n, 0], runs[n, 1] = start[row + x[0]], start[row + x[1] + 1]
            n += 1
        row = next_row(block, grid.counts, False)
    return n
