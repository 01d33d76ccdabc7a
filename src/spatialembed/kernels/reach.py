"""Which pixels an object may reach, compiled: the grid of the instance term's kernel.

Step 3 of :mod:`spatialembed.terms.instance`. The pixels of each image are sorted by the cell they
embed into; what an object reaches is then a few runs of neighbouring cells.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.grid import cells_along, cells_within, next_row


@kernel(parallel=True)
def bin_pixels(
    position: np.ndarray,
    valid: np.ndarray,
    object_of: np.ndarray,
    center: np.ndarray,
    reach: np.ndarray,
    first_object: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sort the pixels of each image that some object may reach by the cell they embed into.

    Args:
        position: (B, D, P) float32 embeddings.
        valid: (B · P,) pixels that take part.
        object_of: (B · P,) int32 object of every pixel, −1 for none.
        center, reach: (D, N) float32; an object reaches that far along each axis.
        first_object: (B + 1,) where each image's objects begin.
        origin, density, counts: (D,) the grid, the same for every image.

    Returns:
        (B, cells + 1) where each cell's pixels begin in the image's row of the others, which are
        in that order: (B, P) pixels of the image, (B, D, P) embeddings, (B, P) objects.
    """
    images, dims, pixels = position.shape
    cells = counts.prod()
    start = np.zeros((images, cells + 1), np.int32)
    order = np.empty((images, pixels), np.int32)
    ordered = np.empty((images, dims, pixels), np.float32)
    owner = np.empty((images, pixels), np.int32)
    for b in prange(images):
        marked = np.zeros(cells, np.bool_)
        for k in range(first_object[b], first_object[b + 1]):
            _mark(center[:, k], reach[:, k], origin, density, counts, marked)
        cell = np.zeros(pixels, np.int32)
        for d in range(dims - 1, -1, -1):
            cells_along(position[b, d], origin[d], density[d], counts[d], cell)
        for p in range(pixels):
            if cell[p] >= 0 and marked[cell[p]] and valid[b * pixels + p]:
                start[b, cell[p] + 1] += 1
            else:
                cell[p] = -1
        for c in range(cells):
            start[b, c + 1] += start[b, c]
        at = start[b, :-1].copy()
        for p in range(pixels):
            if cell[p] >= 0:
                to = at[cell[p]]
                order[b, to], owner[b, to] = p, object_of[b * pixels + p]
                for d in range(dims):
                    ordered[b, d, to] = position[b, d, p]
                at[cell[p]] += 1
    return start, order, ordered, owner


@kernel()
def _mark(
    center: np.ndarray,
    reach: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    marked: np.ndarray,
) -> None:
    block = np.empty((3, len(center)), np.int64)
    if not block_in_reach(center, reach, origin, density, counts, block):
        return
    row = next_row(block, counts, True)
    while row >= 0:
        marked[row + block[0, 0] : row + block[1, 0] + 1] = True
        row = next_row(block, counts, False)


@kernel()
def block_in_reach(
    center: np.ndarray,
    reach: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    block: np.ndarray,
) -> bool:
    """Lowest and highest cell in reach along each axis; false where the center is no number."""
    for d in range(len(center)):
        if not math.isfinite(center[d]) or not math.isfinite(reach[d]):
            return False
        block[0, d], block[1, d] = cells_within(
            center[d], reach[d], origin[d], density[d], counts[d]
        )
    return True


@kernel()
def rows_in_reach(
    center: np.ndarray,
    width: np.ndarray,
    cutoff: float,
    cell_start: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    block: np.ndarray,
    rows: np.ndarray,
) -> int:
    """Write where the pixels of each row of cells in reach begin and end; the number of rows."""
    n = 0
    row = next_row(block, counts, True)
    while row >= 0:
        # The other axes take their part of the reach; along x what is left.
        left = np.float64(cutoff) * (1 + 1e-5)
        for d in range(1, len(counts)):
            low = origin[d] + (block[2, d] - 1e-3) / density[d]
            high = origin[d] + (block[2, d] + 1 + 1e-3) / density[d]
            gap = max(low - center[d], center[d] - high, 0.0)
            left -= width[d] * gap * gap
        if left > 0:
            low_x, high_x = cells_within(
                center[0], math.sqrt(left / width[0]), origin[0], density[0], counts[0]
            )
            rows[n, 0], rows[n, 1] = cell_start[row + low_x], cell_start[row + high_x + 1]
            n += 1
        row = next_row(block, counts, False)
    return n
