"""The instance term on the CPU, compiled: value and gradient in one pass over the objects.

The steps are those of :mod:`spatialembed.instance_term`. Objects are shared among threads; where
several work on one image, each adds up a gradient of its own. Everything is float32 but for sums.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from spatialembed.cells import cell_along, next_row

SHORT = 1024
"""Below this many errors the library's own sort beats three passes of a radix sort."""


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
        position: (D, P) float32 embeddings.
        center, width: (D, N) float32 centers and inverse squared widths.
        pixel: (own,) flat pixels, those of object k at ``start[k]`` to ``start[k + 1]``.
        start: (N + 1,).
    """
    own = np.empty(len(pixel), np.float32)
    for k in prange(len(start) - 1):
        for i in range(start[k], start[k + 1]):
            own[i] = _distance(position, pixel[i], center, width, k)
    return own


@njit(cache=True, inline="always")
def _distance(
    position: np.ndarray, at: int, center: np.ndarray, width: np.ndarray, k: int
) -> np.float32:
    total = np.float32(0)
    for d in range(len(position)):
        difference = position[d, at] - center[d, k]
        total += width[d, k] * (difference * difference)
    return total


@njit(cache=True, parallel=True)
def bin_pixels(
    position: np.ndarray,
    valid: np.ndarray,
    center: np.ndarray,
    reach: np.ndarray,
    first_object: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Sort the pixels of each image that some object may reach by the cell they embed into.

    Args:
        position: (D, B · P) float32 embeddings.
        valid: (B · P,) pixels that take part.
        center, reach: (D, N) float32; an object reaches that far along each axis.
        first_object: (B + 1,) where each image's objects begin.
        origin, density, counts: (D,) the grid, the same for every image.

    Returns:
        (B, cells + 1) where each cell's pixels begin in the image's row of the second array, the
        (B, P) flat pixels in that order.
    """
    images = len(first_object) - 1
    pixels, cells = position.shape[1] // max(images, 1), counts.prod()
    start = np.zeros((images, cells + 1), np.int32)
    order = np.empty((images, pixels), np.int32)
    for b in prange(images):
        marked = np.zeros(cells, np.bool_)
        for k in range(first_object[b], first_object[b + 1]):
            _mark(center[:, k], reach[:, k], origin, density, counts, marked)
        cell = np.empty(pixels, np.int32)
        for p in range(pixels):
            cell[p] = -1
            if valid[b * pixels + p]:
                c = 0
                for d in range(len(position) - 1, -1, -1):
                    place = (position[d, b * pixels + p] - origin[d]) * density[d]
                    # Outside of the grid nothing reaches; neither does a position that is NaN.
                    c = c * counts[d] + np.int64(place) if 0 <= place < counts[d] and c >= 0 else -1
                if c >= 0 and marked[c]:
                    cell[p] = c
                    start[b, c + 1] += 1
        for c in range(cells):
            start[b, c + 1] += start[b, c]
        at = start[b, :-1].copy()
        for p in range(pixels):
            if cell[p] >= 0:
                order[b, at[cell[p]]] = b * pixels + p
                at[cell[p]] += 1
    return start, order


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
        # A little further: rounding must not lose a pixel.
        far = np.float64(reach[d]) * (1 + 1e-5)
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
    object_of: np.ndarray,
    cutoff: np.ndarray,
    reach: np.ndarray,
    weight: np.ndarray,
    first_object: np.ndarray,
    cell_start: np.ndarray,
    cell_pixel: np.ndarray,
    origin: np.ndarray,
    density: np.ndarray,
    counts: np.ndarray,
    threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lovász hinge of every object, and the gradient of their weighted sum.

    Args:
        position, center, width, pixel, start: as for :func:`own_distances`.
        own_distance: what it returned.
        object_of: (B · P,) int32 object of every pixel, −1 for none.
        cutoff: (N,) scaled distance within which pixels off an object matter to it.
        reach: (D, N) the same as a distance along each axis.
        weight: (N,) float64 weight of each hinge in the sum whose gradient is taken.
        first_object: (B + 1,) where each image's objects begin.
        cell_start, cell_pixel: what :func:`bin_pixels` returned, on the grid ``origin``, …
        threads: how many work at a time.

    Returns:
        (N,) float64 hinges; float32 gradients in position (D, B · P), center and width (D, N).
    """
    dims, objects = center.shape
    images = len(first_object) - 1
    lanes = max(1, -(-threads // max(images, 1)))  # threads to an image
    loss = np.zeros(objects, np.float64)
    in_position = np.zeros((lanes, dims, position.shape[1]), np.float32)
    in_center = np.zeros((dims, objects), np.float32)
    in_width = np.zeros((dims, objects), np.float32)
    for task in prange(images * lanes):
        b, lane = task // lanes, task % lanes
        block = np.empty((3, dims), np.int64)
        for k in range(first_object[b] + lane, first_object[b + 1], lanes):
            first, last = start[k], start[k + 1]
            others, distance = np.empty(0, np.int32), np.empty(0, np.float32)
            if _block(center[:, k], reach[:, k], origin, density, counts, block):
                others, distance = _others_in_reach(
                    position, center, width, k, cutoff[k], object_of,
                    cell_start[b], cell_pixel[b], counts, block,
                )  # fmt: skip
            far = np.exp(-distance)
            inside = -2 * np.expm1(-own_distance[first:last])  # 2 − 2 φ, exact near 0
            loss[k], step_in, step_out = _steps(inside, 2 * far)
            # The error is 2 − 2 φ inside and 2 φ outside.
            step_in *= np.float32(-2 * weight[k]) * np.exp(-own_distance[first:last])
            step_out *= np.float32(2 * weight[k]) * far
            own = pixel[first:last]
            gradient = in_position[lane]
            _spread(own, step_in, position, center, width, k, gradient, in_center, in_width)
            _spread(others, step_out, position, center, width, k, gradient, in_center, in_width)
    for lane in range(1, lanes):
        in_position[0] += in_position[lane]
    return loss, in_position[0], in_center, in_width


@njit(cache=True)
def _others_in_reach(
    position: np.ndarray,
    center: np.ndarray,
    width: np.ndarray,
    k: int,
    cutoff: float,
    object_of: np.ndarray,
    cell_start: np.ndarray,
    cell_pixel: np.ndarray,
    counts: np.ndarray,
    block: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels off object ``k`` with a scaled distance below ``cutoff``, and that distance."""
    most = 0
    row = next_row(block, counts, True)
    while row >= 0:
        most += cell_start[row + block[1, 0] + 1] - cell_start[row + block[0, 0]]
        row = next_row(block, counts, False)
    found, distances = np.empty(most, np.int32), np.empty(most, np.float32)
    n = 0
    row = next_row(block, counts, True)
    while row >= 0:
        for e in range(cell_start[row + block[0, 0]], cell_start[row + block[1, 0] + 1]):
            at = cell_pixel[e]
            distance = _distance(position, at, center, width, k)
            found[n] = at
            distances[n] = distance
            n += int(distance < cutoff and object_of[at] != k)
        row = next_row(block, counts, False)
    return found[:n], distances[:n]


@njit(cache=True)
def _steps(inside: np.ndarray, outside: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Lovász hinge of one mask from its errors, and its derivative in each of them.

    The closed forms of :mod:`spatialembed.lovasz`: worst first, an error inside weighs ``1/U``
    and one outside ``I/(U(U−1))``; nothing weighs once all those inside have come.
    """
    into, out = _worst_first(inside), _worst_first(outside)
    step_in = np.zeros(len(inside), np.float32)
    step_out = np.zeros(len(outside), np.float32)
    size, union, total = len(inside), np.float64(len(inside)), 0.0
    i = j = 0
    while i < size:
        error = inside[into[i]]
        if j < len(outside) and outside[out[j]] > error:
            union += 1
            step = (size - i) / (union * (union - 1))
            total += step * outside[out[j]]
            step_out[out[j]] = step
            j += 1
        else:
            step = 1 / union
            total += step * error
            step_in[into[i]] = step
            i += 1
    return total, step_in, step_out


@njit(cache=True)
def _worst_first(errors: np.ndarray) -> np.ndarray:
    """Indices that sort errors of at least 0 from large to small, equal ones by index."""
    n = len(errors)
    # Positive floats order as their bits do; the index rides along in the lower half.
    keys = np.empty(n, np.uint64)
    bits = errors.view(np.uint32)
    for i in range(n):
        keys[i] = (np.uint64(0xFFFFFFFF - bits[i]) << np.uint64(32)) | np.uint64(i)
    if n < SHORT:
        keys.sort()
    else:
        other = np.empty(n, np.uint64)
        for shift in (32, 43, 54):
            _sort_digit(keys, other, np.uint64(shift))
            keys, other = other, keys
    order = np.empty(n, np.int32)
    for i in range(n):
        order[i] = np.int32(keys[i] & np.uint64(0x7FFFFFFF))
    return order


@njit(cache=True)
def _sort_digit(keys: np.ndarray, out: np.ndarray, shift: np.uint64) -> None:
    """Stable counting sort of ``keys`` into ``out`` by the 11 bits above ``shift``."""
    at = np.zeros(2049, np.int64)
    for key in keys:
        at[((key >> shift) & np.uint64(2047)) + np.uint64(1)] += 1
    for digit in range(2048):
        at[digit + 1] += at[digit]
    for key in keys:
        digit = (key >> shift) & np.uint64(2047)
        out[at[digit]] = key
        at[digit] += 1


@njit(cache=True)
def _spread(
    pixels: np.ndarray,
    slope: np.ndarray,
    position: np.ndarray,
    center: np.ndarray,
    width: np.ndarray,
    k: int,
    in_position: np.ndarray,
    in_center: np.ndarray,
    in_width: np.ndarray,
) -> None:
    """Add φ's gradient times ``slope / φ`` to that of positions, center and width."""
    for d in range(len(position)):
        middle, s = center[d, k], width[d, k]
        center_sum, width_sum = 0.0, 0.0
        for i in range(len(pixels)):
            difference = position[d, pixels[i]] - middle
            pull = -2 * s * difference * slope[i]
            in_position[d, pixels[i]] += pull
            center_sum -= pull
            width_sum -= difference * difference * slope[i]
        in_center[d, k] += center_sum
        in_width[d, k] += width_sum
