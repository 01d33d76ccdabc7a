"""The compiled form of terms/instance.py: value and gradient in one pass over the objects.

The steps are those of :mod:`spatialembed.terms.instance`. Objects are shared among threads; where
several work on one image, each adds up a gradient of its own. Everything is float32 but for sums.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from spatialembed.kernels.binning import Objects, Pixels
from spatialembed.kernels.compiling import kernel
from spatialembed.kernels.grid import Grid
from spatialembed.kernels.hinge import add_keys, hinge_steps
from spatialembed.kernels.reach import Margin, runs_in_reach, scaled_distances
from spatialembed.kernels.sort import falling_key, sort_keys

INVERSE_LN2 = np.float32(1 / math.log(2))
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(math.log(2) - 0.693359375)
SERIES = tuple(np.float32(1 / math.factorial(n)) for n in range(2, 8))


class Hinges(NamedTuple):
    """What :func:`hinges` writes."""

    loss: np.ndarray  # (N,) float64
    cells: np.ndarray  # (lanes, B, D, P) float32 gradient in the embeddings in the order of cells
    center: np.ndarray  # (D, N) float32, as the next
    width: np.ndarray  # (D, N)


class Work(NamedTuple):
    """Scratch for as many pairs as an object has: its own pixels first, then those in the runs."""

    phi: np.ndarray  # float32 scaled distance, then φ
    rest: np.ndarray  # float32 1 − φ, then the hinge's derivative
    keys: np.ndarray  # uint64 of those that matter, as the next two
    half: np.ndarray
    out: np.ndarray


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
    objects: Objects, near: Pixels, grid: Grid, in_cells: np.ndarray, in_position: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lovász hinge of every object, and the gradient of their weighted sum.

    Args:
        objects: the objects.
        near: what :func:`spatialembed.kernels.binning.bin_pixels` wrote.
        grid: of it.
        in_cells: (lanes, B, D, P) float32 scratch, for as many threads to an image.
        in_position: (B, D, P) float32 that the gradient in the embeddings is written to.

    Returns:
        (N,) float64 hinges; (D, N) float32 gradients in center and width.
    """
    lanes, images, dims, _ = in_cells.shape
    loss = np.zeros(objects.center.shape[1], np.float64)
    in_center, in_width = np.zeros_like(objects.center), np.zeros_like(objects.width)
    # A map for each lane, added up in their order: threads that share one would add as they come,
    # and the last bits of the gradient would change from run to run.
    out = Hinges(loss, in_cells, in_center, in_width)
    for task in prange(images * lanes):
        _hinges_of_image(objects, near, grid, task // lanes, task % lanes, out)
    for task in prange(images * dims):
        b, d = task // dims, task % dims
        _take(in_cells[0, b, d], near.slot[b], in_position[b, d])
        for lane in range(1, lanes):
            _add(in_cells[lane, b, d], near.slot[b], in_position[b, d])
    return loss, in_center, in_width


@kernel()
def _take(values: np.ndarray, slot: np.ndarray, out: np.ndarray) -> None:
    for p in range(len(out)):
        out[p] = values[np.uint32(slot[p])]


@kernel()
def _add(values: np.ndarray, slot: np.ndarray, out: np.ndarray) -> None:
    for p in range(len(out)):
        out[p] += values[np.uint32(slot[p])]


@kernel()
def _hinges_of_image(
    objects: Objects,
    near: Pixels,
    grid: Grid,
    b: int,
    lane: int,
    out: Hinges,
) -> None:
    """The part of :func:`hinges` for one lane's objects of image b."""
    lanes, _, dims, pixels = out.cells.shape
    block, runs = np.empty((3, dims), np.int64), np.empty((grid.counts[1:].prod(), 2), np.int32)
    work = _room(0)
    in_cells, slot = out.cells[lane, b], near.slot[b]
    in_cells[:] = 0
    for k in range(objects.first[b] + lane, objects.first[b + 1], lanes):
        margin = Margin(objects.center[:, k], objects.width[:, k], objects.cutoff[k])
        first, last = objects.start[k], objects.start[k + 1]
        size = n = last - first
        n_runs = runs_in_reach(margin, near.start[b], grid, block, runs)
        for r in range(n_runs):
            n += runs[r, 1] - runs[r, 0]
        if n > len(work.phi):  # kept from object to object, not made anew for each
            work = _room(n)
        phi, rest, at = work.phi[:n], work.rest[:n], size
        phi[:size] = objects.distance[first:last]
        for r in range(n_runs):
            distance = phi[at : at + runs[r, 1] - runs[r, 0]]
            scaled_distances(near.position[b], runs[r, 0], margin, distance)
            at += len(distance)
        _memberships(phi, rest, work.half)
        # The error is 2 − 2 φ inside and 2 φ outside.
        found = add_keys(rest[:size], 0, work.keys, 0)
        at, least = size, np.float32(math.exp(-margin.cutoff))
        for r in range(n_runs):
            run = slice(runs[r, 0], runs[r, 1])
            outside = phi[at : at + runs[r, 1] - runs[r, 0]]
            found = _add_outside(outside, at, near.owner[b, run], k, least, work.keys, found)
            at += len(outside)
        slope = rest
        slope[:] = 0
        keys = sort_keys(work.keys[:found], work.half, work.out)
        out.loss[k] = 2 * hinge_steps(keys, size, work.half, slope)
        weigh = np.float32(2 * objects.weight[k])
        _multiply(slope[:size], -weigh, phi[:size])
        _multiply(slope[size:], weigh, phi[size:])
        own = np.empty(size, np.uint32)
        for i in range(size):
            own[i] = slot[np.uint32(objects.pixel[first + i] - b * pixels)]
        for d in range(dims):
            middle, s = margin.center[d], margin.width[d]
            for_center, for_width = _pull(near.position[b, d], own, slope, middle, s, in_cells[d])
            at = size
            for r in range(n_runs):
                run = slice(runs[r, 0], runs[r, 1])
                more_center, more_width = _pull_run(
                    near.position[b, d, run], slope[at:], middle, s, in_cells[d, run]
                )
                for_center += more_center
                for_width += more_width
                at += runs[r, 1] - runs[r, 0]
            out.center[d, k], out.width[d, k] = for_center, for_width


@kernel()
def _room(n: int) -> Work:
    """Arrays for n pairs of an object and a pixel."""
    keys, half, out = np.empty(n + 1, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint64)
    return Work(np.empty(n, np.float32), np.empty(n, np.float32), keys, half, out)


@kernel(fastmath={"contract"})
def _memberships(phi: np.ndarray, rest: np.ndarray, scratch: np.ndarray) -> None:
    """Replace scaled distances by φ, and write 1 − φ, each to float32 precision.

    ``exp(−x) = 2^k · exp(r)`` with |r| < ln 2 / 2, and exp(r) − 1 by its series, which is
    thrice as fast as a call of the library an element. With math.exp in its place the whole loss,
    forward and backward, takes 1.0 to 1.1 times as long, has other last bits, and loses 1 − φ
    near φ = 1, which would need expm1 (512² and 1024², 20 to 150 objects, 2026-11-27).
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
def _add_outside(
    phi: np.ndarray,
    before: int,
    owner: np.ndarray,
    k: int,
    least: np.float32,
    keys: np.ndarray,
    n: int,
) -> int:
    """:func:`add_keys` of a run's pixels off object k that reach ``least``."""
    bits = phi.view(np.uint32)
    for e in range(len(phi)):
        keys[np.uint32(n)] = falling_key(bits[e], before + e)
        n += int((owner[e] != k) & (phi[e] >= least))
    return n


@kernel()
def _multiply(slope: np.ndarray, weigh: np.float32, phi: np.ndarray) -> None:
    for i in range(len(slope)):
        slope[i] *= weigh * phi[i]


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
    # Sums in any order and in float32, unlike there: only so does the compiler make vector
    # instructions of them. What runs give is then added up in float64.
    in_center, in_width = np.float32(0), np.float32(0)
    for i in range(len(position)):
        difference = position[i] - middle
        pull = np.float32(-2) * s * difference * slope[i]
        in_position[i] += pull
        in_center -= pull
        in_width -= difference * difference * slope[i]
    return np.float64(in_center), np.float64(in_width)
