"""Sums over each object's own pixels, compiled: centers, bandwidths, and how far these differ.

Sums are float64 and in the order of the image: in float32 they were off by a thousandth over a mask
of 300,000 pixels. Pixels are flat over batch and space, those of object k at ``start[k]`` to
``start[k + 1]``, all in one image.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel


@kernel()
def clipped(value: np.float32, low: np.float32, high: np.float32) -> np.float32:
    """A number within a range; NaN stays."""
    value = low if value < low else value
    return high if value > high else value


@kernel(parallel=True)
def own_means(
    maps: np.ndarray,
    first: int,
    end: int,
    pixel: np.ndarray,
    start: np.ndarray,
    low: np.float32,
    high: np.float32,
) -> np.ndarray:
    """(C, N) float32 means of some channels of (B, …, P) maps, clipped, over objects' pixels."""
    pixels = maps.shape[2]
    means = np.empty((end - first, len(start) - 1), np.float32)
    for k in prange(len(start) - 1):
        own = pixel[start[k] : start[k + 1]]
        b = own[0] // pixels
        for c in range(end - first):
            values, total = maps[b, first + c], 0.0
            for p in own:
                total += float(clipped(values[np.uint64(p - b * pixels)], low, high))
            means[c, k] = total / len(own)
    return means


@kernel(parallel=True)
def centroids(
    sides: np.ndarray, steps: np.ndarray, pixel: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """(D, N) float32 mean coordinates of each object's pixels.

    Args:
        sides: (D,) int64 sizes of an image, in the order x, y, z.
        steps: (D,) float32 pitch of each axis.
        pixel, start: the objects' pixels.
    """
    dims, pixels = len(sides), sides.prod()
    means = np.empty((dims, len(start) - 1), np.float32)
    for k in prange(len(start) - 1):
        own, stride = pixel[start[k] : start[k + 1]], 1
        first = own[0] // pixels * pixels
        for d in range(dims):
            total, side = 0.0, np.uint32(sides[d])
            for p in own:
                place = np.uint32(p - first) // np.uint32(stride) % side
                total += float(np.float32(place) * steps[d])
            means[d, k] = total / len(own)
            stride *= sides[d]
    return means


@kernel(parallel=True)
def own_spread(
    maps: np.ndarray,
    first: int,
    means: np.ndarray,
    pixel: np.ndarray,
    start: np.ndarray,
    low: np.float32,
    high: np.float32,
) -> np.ndarray:
    """(N,) float64 mean squared difference of such channels from the (C, N) means."""
    channels, pixels = len(means), maps.shape[2]
    spread = np.zeros(len(start) - 1)
    for k in prange(len(start) - 1):
        own = pixel[start[k] : start[k + 1]]
        b, total = own[0] // pixels, 0.0
        for c in range(channels):
            values, mean = maps[b, first + c], means[c, k]
            for p in own:
                difference = clipped(values[np.uint64(p - b * pixels)], low, high) - mean
                total += difference * difference
        spread[k] = total / (len(own) * channels)
    return spread
