"""The instance term on the CPU, compiled: value and gradient in one pass over the objects.

The steps are those of :mod:`spatialembed.terms.instance`. Objects are shared among threads; where
several work on one image, each adds up a gradient of its own. Everything is float32 but for sums.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.grid import scaled_distances
from spatialembed.kernels.hinge import hinge_steps
from spatialembed.kernels.reach import block_in_reach, rows_in_reach

INVERSE_LN2 = np.float32(1 / math.log(2))
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(math.log(2) - 0.693359375)
SERIES = tuple(np.float32(1 / math.factorial(n)) for n in range(2, 8))


@kernel(parallel=True)
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


@kernel(parallel=True)
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
        cell_start, cell_pixel, cell_position, cell_object: what ``bin_pixels`` of reach.py
            returned, on the grid ``origin``, ``density``, ``counts``.
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
        first = start[first_object[b]]
        of_image = slice(first, start[first_object[b + 1]])
        _hinges_of_image(
            position[b], center, width, pixel[of_image] - b * pixels, start - first,
            own_distance[of_image], cutoff, reach, weight,
            range(first_object[b] + lane, first_object[b + 1], lanes),
            cell_start[b], cell_pixel[b], cell_position[b], cell_object[b], origin, density, counts,
            loss, in_position[lane, b], in_center, in_width,
        )  # fmt: skip
    for lane in range(1, lanes):
        in_position[0] += in_position[lane]
    return loss, in_position[0], in_center, in_width


@kernel()
def _hinges_of_image(
    position: np.ndarray,
    center: np.ndarray,
    width: np.ndarray,
    pixel: np.ndarray,
    start: np.ndarray,
    own_distance: np.ndarray,
    cutoff: np.ndarray,
    reach: np.ndarray,
    weight: np.ndarray,
    objects: range,
    cell_start: np.ndarray,
    cell_pixel: np.ndarray,
    cell_position: np.ndarray,
    cell_object: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    loss: np.ndarray,
    in_position: np.ndarray,
    in_center: np.ndarray,
    in_width: np.ndarray,
) -> None:
    """The part of :func:`hinges` for some objects of one image; writes to the last four."""
    dims = len(center)
    block, rows = np.empty((3, dims), np.int64), np.empty((counts[1:].prod(), 2), np.int32)
    room = 0
    phi = rest = step = np.empty(0, np.float32)
    scratch = np.empty(0, np.uint64)
    in_cells = np.zeros((dims, cell_start[-1]), np.float32)
    for k in objects:
        first, last = start[k], start[k + 1]
        size, n_rows = last - first, 0
        if block_in_reach(center[:, k], reach[:, k], origin, density, counts, block):
            n_rows = rows_in_reach(
                center[:, k], width[:, k], cutoff[k], cell_start, origin, density, counts, block,
                rows,
            )  # fmt: skip
        n = size
        for r in range(n_rows):
            n += rows[r, 1] - rows[r, 0]
        if n > room:
            room = n
            phi, rest = np.empty(n, np.float32), np.empty(n, np.float32)
            step, scratch = np.empty(n, np.float32), np.empty(3 * n, np.uint64)
        phi[:size] = own_distance[first:last]
        at = size
        for r in range(n_rows):
            near = slice(rows[r, 0], rows[r, 1])
            run = phi[at : at + rows[r, 1] - rows[r, 0]]
            _others(cell_position[:, near], cell_object[near], center, width, k, cutoff[k], run)
            at += len(run)
        _memberships(phi[:n], rest, scratch)
        # The error is 2 − 2 φ inside and 2 φ outside.
        loss[k] = 2 * hinge_steps(rest[:size], phi[size:n], step[:size], step[size:n], scratch)
        weigh = np.float32(2 * weight[k])
        for i in range(size):
            step[i] *= -weigh * phi[i]
        for i in range(size, n):
            step[i] *= weigh * phi[i]
        own = pixel[first:last]
        for d in range(dims):
            middle, s = center[d, k], width[d, k]
            for_center, for_width = _pull(position[d], own, step, middle, s, in_position[d])
            at = size
            for r in range(n_rows):
                near = slice(rows[r, 0], rows[r, 1])
                more_center, more_width = _pull_run(
                    cell_position[d, near], step[at:], middle, s, in_cells[d, near]
                )
                for_center += more_center
                for_width += more_width
                at += rows[r, 1] - rows[r, 0]
            in_center[d, k] = for_center
            in_width[d, k] = for_width
    for d in range(dims):
        for e in range(in_cells.shape[1]):
            in_position[d, cell_pixel[e]] += in_cells[d, e]


@kernel(fastmath={"contract"})
def _memberships(phi: np.ndarray, rest: np.ndarray, scratch: np.ndarray) -> None:
    """Replace scaled distances by φ, and write 1 − φ, each to float32 precision.

    ``exp(−x) = 2^k · exp(r)`` with |r| < ln 2 / 2, and exp(r) − 1 by its series, which is
    thrice as fast as a call of the library an element.
    """
    power = scratch.view(np.int32)
    for i in range(len(phi)):
        far = phi[i] > 87  # there φ is 0: 2^k is no longer a float
        x = np.float32(0) if far else -phi[i]
        k = np.floor(x * INVERSE_LN2 + np.float32(0.5))
        r = (x - k * LN2_HIGH) - k * LN2_LOW
        series = SERIES[4] + r * SERIES[5]
        series = SERIES[3] + r * series
        series = SERIES[2] + r * series
        series = SERIES[1] + r * series
        series = SERIES[0] + r * series
        phi[i] = r + r * r * series
        power[i] = np.int32(0) if far else (np.int32(k) + np.int32(127)) << np.int32(23)
    scale = power.view(np.float32)
    for i in range(len(phi)):
        grown = scale[i] * phi[i]
        phi[i] = scale[i] + grown
        rest[i] = (np.float32(1) - scale[i]) - grown


@kernel()
def _others(
    position: np.ndarray,
    owner: np.ndarray,
    center: np.ndarray,
    width: np.ndarray,
    k: int,
    cutoff: float,
    distance: np.ndarray,
) -> None:
    """Write the scaled distances of a run of pixels; endless for those that do not matter."""
    scaled_distances(position, 0, center[:, k], width[:, k], distance)
    for e in range(len(distance)):
        off = (owner[e] == k) | (distance[e] >= cutoff)
        distance[e] = np.float32(np.inf) if off else distance[e]


@kernel()
def _pull(
    position: np.ndarray,
    at: np.ndarray,
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
        in_position[at[i]] += pull
        in_center -= pull
        in_width -= difference * difference * slope[i]
    return in_center, in_width


@kernel(fastmath={"reassoc", "contract", "nsz"})
def _pull_run(
    position: np.ndarray,
    slope: np.ndarray,
    middle: float,
    s: float,
    in_position: np.ndarray,
) -> tuple[float, float]:
    """:func:`_pull` for a run of pixels beside each other."""
    in_center, in_width = np.float32(0), np.float32(0)
    for i in range(len(position)):
        difference = position[i] - middle
        pull = np.float32(-2) * s * difference * slope[i]
        in_position[i] += pull
        in_center -= pull
        in_width -= difference * difference * slope[i]
    return np.float64(in_center), np.float64(in_width)
