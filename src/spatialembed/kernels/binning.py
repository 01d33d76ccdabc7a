"""Sorting by the cell of the embedding, compiled: entries of the foreground, pixels of the loss.

A counting sort: it passes over the pixels a fixed number of times, and equal cells keep the order
of the image, which the order of all sums hangs on. Entries are (class, pixel) pairs of the
foreground; see foreground.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.grid import Grid, find_cells
from spatialembed.kernels.reach import Margin, block_in_reach, next_row


class Cells(NamedTuple):
    """Foreground entries binned by class and embedding; a row of cells along x is contiguous."""

    grid: Grid
    start: np.ndarray  # (K · cells + 1,) int64 where each cell's entries begin below
    position: np.ndarray  # (D, E) float32 embeddings in the order of cells
    slot: np.ndarray  # (E,) int32 place of each entry in that order
    twin: np.ndarray  # (E,) slot of the next entry of the same pixel, in a circle; or empty


class Pixels(NamedTuple):
    """Pixels of each image of a batch that some object may reach, in the order of cells."""

    start: np.ndarray  # (B, cells + 1) int32 where each cell's pixels begin below
    slot: np.ndarray  # (B, P) int32 place of each pixel in that order, those of no reach at the end
    position: np.ndarray  # (B, D, P) float32 embeddings
    owner: np.ndarray  # (B, P) int32 objects, −1 for none


class Objects(NamedTuple):
    """The N objects of a batch, image by image."""

    center: np.ndarray  # (D, N) float32
    width: np.ndarray  # (D, N) float32 inverse squared widths
    cutoff: np.ndarray  # (N,) float32 scaled distance within which other pixels matter to it
    weight: np.ndarray  # (N,) float64 of its hinge in the sum whose gradient is taken
    first: np.ndarray  # (B + 1,) where each image's objects begin
    start: np.ndarray  # (N + 1,) where each object's pixels begin below
    pixel: np.ndarray  # (own,) flat pixels, object by object
    distance: np.ndarray  # (own,) float32 their scaled distances


@kernel()
def _cells_to_slots(cell: np.ndarray, start: np.ndarray) -> None:
    """From each one's cell to its place in the order of cells, in place; −1 stays out.

    ``start``, zeros, becomes where each cell begins.
    """
    for c in cell:
        if c >= 0:
            start[c + 1] += 1
    for c in range(1, len(start)):
        start[c] += start[c - 1]
    at = start[:-1].copy()
    for e in range(len(cell)):
        if cell[e] >= 0:
            at[cell[e]] += 1
            cell[e] = at[cell[e]] - 1


@kernel()
def _move(values: np.ndarray, slot: np.ndarray, moved: np.ndarray) -> None:
    """Write each value to its slot."""
    for p in range(len(slot)):
        moved[np.uint32(slot[p])] = values[p]


@kernel()
def bin_entries(
    position: np.ndarray, kind: np.ndarray, pixel: np.ndarray, grid: Grid, n_classes: int
) -> Cells:
    """Sort entries of (D, E) positions, (E,) classes and flat pixels by class and cell."""
    n, slot = len(kind), kind.copy()
    find_cells(position, grid, slot)
    start = np.zeros(n_classes * grid.counts.prod() + 1, np.int64)
    _cells_to_slots(slot, start)
    sorted_position = np.empty(position.shape, np.float32)
    for d in range(len(position)):
        _move(position[d], slot, sorted_position[d])
    twin = np.empty(0, np.int32)
    if n_classes > 1 and n:  # one class has one entry a pixel, and no circle to go through
        twin = np.arange(n).astype(np.int32)
        last = np.full(pixel.max() + 1, -1, np.int32)
        for e in range(n):
            if last[pixel[e]] >= 0:
                other = last[pixel[e]]
                twin[slot[e]], twin[other] = twin[other], slot[e]
            last[pixel[e]] = slot[e]
    return Cells(grid, start, sorted_position, slot, twin)


@kernel()
def give_pixel(slot: int, value: float, twin: np.ndarray, values: np.ndarray) -> None:
    """Write a value for a slot, and for those of the same pixel in other classes."""
    values[slot] = value
    if len(twin):
        other = twin[slot]
        while other != slot:
            values[other] = value
            other = twin[other]


@kernel(parallel=True)
def bin_pixels(
    position: np.ndarray,
    valid: np.ndarray,
    object_of: np.ndarray,
    objects: Objects,
    grid: Grid,
    near: Pixels,
) -> None:
    """Sort the pixels of each image that some object may reach by the cell they embed into.

    Step 3 of :mod:`spatialembed.terms.instance`. The grid is the same for every image.

    Args:
        position: (B, D, P) float32 embeddings.
        valid: (B · P,) pixels that take part.
        object_of: (B · P,) int32 object of every pixel, −1 for none.
        objects: the objects.
        grid: the grid over all that they reach.
        near: what is written to, ``start`` being 0.
    """
    images, dims, pixels = position.shape
    for b in prange(images):
        # Most pixels are near no object: what is not marked is not looked at.
        marked = np.zeros(grid.counts.prod(), np.bool_)
        for k in range(objects.first[b], objects.first[b + 1]):
            _mark(objects, k, grid, marked)
        of_image = slice(b * pixels, (b + 1) * pixels)
        slot = near.slot[b]
        slot[:] = 0
        find_cells(position[b], grid, slot)
        _all_to_slots(slot, marked, valid[of_image], near.start[b])
        _move(object_of[of_image], slot, near.owner[b])
        for d in range(dims):
            _move(position[b, d], slot, near.position[b, d])


@kernel()
def _all_to_slots(
    cell: np.ndarray, marked: np.ndarray, valid: np.ndarray, start: np.ndarray
) -> None:
    """As :func:`_cells_to_slots`; what is not marked, or not valid, comes behind the others.

    So that no branch depends on it, which would be foreseen badly.
    """
    rest = np.int32(len(marked))
    to = np.full(len(marked) + 1, rest, np.int32)  # the last one is −1's
    for c in range(len(marked)):
        to[c] = c if marked[c] else rest
    for p in range(len(cell)):  # apart from the next, or a tenth as many at once
        cell[p] = cell[p] if valid[p] & (cell[p] >= 0) else rest
    for p in range(len(cell)):
        cell[p] = to[np.uint32(cell[p])]
    for c in cell:
        start[np.uint32(c)] += 1
    total = np.int32(0)
    for c in range(len(start)):
        total, start[c] = total + start[c], total
    at = start.copy()
    for p in range(len(cell)):
        own = np.uint32(cell[p])
        cell[p] = at[own]
        at[own] += 1


@kernel()
def _mark(objects: Objects, k: int, grid: Grid, marked: np.ndarray) -> None:
    margin = Margin(objects.center[:, k], objects.width[:, k], objects.cutoff[k])
    block = np.empty((3, len(margin.center)), np.int64)
    if block_in_reach(margin, grid, block):
        row = next_row(block, grid.counts, True)
        while row >= 0:
            marked[row + block[0, 0] : row + block[1, 0] + 1] = True
            row = next_row(block, grid.counts, False)
