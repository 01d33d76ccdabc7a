"""The instance term on the CPU, compiled: value and gradient in one pass over the objects.

The steps are those of :mod:`spatialembed.instance_term`. Objects are shared among threads; where
several work on one image, each adds up a gradient of its own. Everything is float32 but for sums.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from spatialembed.cells import cell_along, next_row
from spatialembed.lovasz_kernel import hinge_steps


@njit(cache=True, parallel=True)
def own_distances(
    position: np.ndarray,
    center: np.ndarray,
    width: np.ndarray,
    pixel: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """(own,) scaled distance of every object pixel to its own center.

    Args:
        position: (B, D, P) float32 embeddings.
        center, width: (D, N) float32 centers and inverse squared widths.
        pixel: (own,) flat pixels, those of object k at ``start[k]`` to ``start[k + 1]``.
        start: (N + 1,).
    """
    own = np.zeros(len(pixel), np.float32)
    pixels = position.shape[2]
    for k in prange(len(start) - 1):
        b = pixel[start[k]] // pixels
        for d in range(len(center)):
            middle, s = center[d, k], width[d, k]
            for i in range(start[k], start[k + 1]):
                difference = position[b, d, pixel[i] - b * pixels] - middle
                own[i] += s * (difference * difference)
    return own


@njit(cache=True, parallel=True)
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
            _cells_along(position[b, d], origin[d], density[d], counts[d], cell)
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


@njit(cache=True)
def _cells_along(
    position: np.ndarray, origin: float, density: float, count: int, cell: np.ndarray
) -> None:
    """Go on with cell indices by one more axis; −1 outside of the grid, where nothing reaches."""
    low, scale, high = np.float32(origin), np.float32(density), np.float32(count)
    for p in range(len(position)):
        place = (position[p] - low) * scale
        inside = place >= 0 and place < high and cell[p] >= 0  # false for a NaN
        cell[p] = cell[p] * np.int32(count) + np.int32(place) if inside else np.int32(-1)


@njit(cache=True)
def _mark(
    center: np.ndarray,
    reach: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    marked: np.ndarray,
) -> None:
    block = np.empty((3, len(center)), np.int64)
    if not _block(center, reach, origin, density, counts, block):
        return
    row = next_row(block, counts, True)
    while row >= 0:
        marked[row + block[0, 0] : row + block[1, 0] + 1] = True
        row = next_row(block, counts, False)


@njit(cache=True)
def _block(
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
        # A little further: rounding (of cells, too, in float32) must not lose a pixel.
        far = np.float64(reach[d]) * (1 + 1e-5) + 1e-3 / density[d]
        block[0, d] = cell_along(center[d] - far, origin[d], density[d], counts[d])
        block[1, d] = cell_along(center[d] + far, origin[d], density[d], counts[d])
    return True


@njit(cache=True, parallel=True)
def hinges(
    position: np.ndarray,
    center: np.ndarray,
    width: np.ndarray,
    pixel: np.ndarray,
    start: np.ndarray,
    own_distance: np.ndarray,
    cutoff: np.ndarray,
    reach: np.ndarray,
    weight: np.ndarray,
    first_object: np.ndarray,
    cell_start: np.ndarray,
    cell_pixel: np.ndarray,
    cell_position: np.ndarray,
    cell_object: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lovász hinge of every object, and the gradient of their weighted sum.

    Args:
        position, center, width, pixel, start: as for :func:`own_distances`.
        own_distance: what it returned.
        cutoff: (N,) scaled distance within which pixels off an object matter to it.
        reach: (D, N) the same as a distance along each axis.
        weight: (N,) float64 weight of each hinge in the sum whose gradient is taken.
        first_object: (B + 1,) where each image's objects begin.
        cell_start, cell_pixel, cell_position, cell_object: what :func:`bin_pixels` returned, on the
            grid ``origin``, ``density``, ``counts``.
        threads: how many work at a time.

    Returns:
        (N,) float64 hinges; float32 gradients in position (B, D, P), center and width (D, N).
    """
    dims, objects = center.shape
    images, _, pixels = position.shape
    lanes = max(1, -(-threads // max(images, 1)))  # threads to an image
    loss = np.zeros(objects, np.float64)
    in_position = np.zeros((lanes, images, dims, pixels), np.float32)
    in_center = np.zeros((dims, objects), np.float32)
    in_width = np.zeros((dims, objects), np.float32)
    for task in prange(images * lanes):
        b, lane = task // lanes, task % lanes
        block = np.empty((3, dims), np.int64)
        slot, distance = np.empty(0, np.int32), np.empty(0, np.float32)
        for k in range(first_object[b] + lane, first_object[b + 1], lanes):
            n = 0
            if _block(center[:, k], reach[:, k], origin, density, counts, block):
                most = _entries(cell_start[b], counts, block)
                if most > len(slot):
                    slot, distance = np.empty(most, np.int32), np.empty(most, np.float32)
                n = _others_in_reach(
                    center, width, k, cutoff[k], cell_start[b], cell_position[b], cell_object[b],
                    counts, block, slot, distance,
                )  # fmt: skip
            first, last = start[k], start[k + 1]
            far = np.exp(-distance[:n])
            inside = -2 * np.expm1(-own_distance[first:last])  # 2 − 2 φ, exact near 0
            loss[k], step_in, step_out = hinge_steps(inside, 2 * far)
            # The error is 2 − 2 φ inside and 2 φ outside.
            step_in *= np.float32(-2 * weight[k]) * np.exp(-own_distance[first:last])
            step_out *= np.float32(2 * weight[k]) * far
            own = (pixel[first:last] - b * pixels).astype(np.int32)
            near = slot[:n]
            others = cell_pixel[b][near]
            for d in range(dims):
                middle, s, pulled = center[d, k], width[d, k], in_position[lane, b, d]
                for_center, for_width = _pull(position[b, d], own, own, step_in, middle, s, pulled)
                at = cell_position[b, d]
                more_center, more_width = _pull(at, near, others, step_out, middle, s, pulled)
                in_center[d, k] = for_center + more_center
                in_width[d, k] = for_width + more_width
    for lane in range(1, lanes):
        in_position[0] += in_position[lane]
    return loss, in_position[0], in_center, in_width


@njit(cache=True)
def _entries(cell_start: np.ndarray, counts: np.ndarray, block: np.ndarray) -> int:
    """Number of pixels in a block of cells."""
    n = 0
    row = next_row(block, counts, True)
    while row >= 0:
        n += cell_start[row + block[1, 0] + 1] - cell_start[row + block[0, 0]]
        row = next_row(block, counts, False)
    return n


@njit(cache=True)
def _others_in_reach(
    center: np.ndarray,
    width: np.ndarray,
    k: int,
    cutoff: float,
    cell_start: np.ndarray,
    cell_position: np.ndarray,
    cell_object: np.ndarray,
    counts: np.ndarray,
    block: np.ndarray,
    slot: np.ndarray,
    distance: np.ndarray,
) -> int:
    """Write the slots of pixels off object ``k`` within ``cutoff``, and how far; their number."""
    n = 0
    row = next_row(block, counts, True)
    while row >= 0:
        first, last = cell_start[row + block[0, 0]], cell_start[row + block[1, 0] + 1]
        run = distance[n : n + last - first]
        run[:] = 0
        for d in range(len(center)):
            middle, s = center[d, k], width[d, k]
            for e in range(last - first):
                difference = cell_position[d, first + e] - middle
                run[e] += s * (difference * difference)
        for e in range(first, last):  # closes the gaps, from the front
            far = run[e - first]
            slot[n], distance[n] = e, far
            n += int(far < cutoff and cell_object[e] != k)
        row = next_row(block, counts, False)
    return n


@njit(cache=True)
def _pull(
    position: np.ndarray,
    at: np.ndarray,
    pixel: np.ndarray,
    slope: np.ndarray,
    middle: float,
    s: float,
    in_position: np.ndarray,
) -> tuple[float, float]:
    """Add φ's gradient times ``slope / φ`` along one axis to that of positions.

    Returns what center and width get.
    """
    in_center, in_width = 0.0, 0.0
    for i in range(len(at)):
        difference = position[at[i]] - middle
        pull = np.float32(-2) * s * difference * slope[i]
        in_position[pixel[i]] += pull
        in_center -= pull
        in_width -= difference * difference * slope[i]
    return in_center, in_width
