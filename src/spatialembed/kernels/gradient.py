"""The gradient of the whole loss in a raw output, compiled: one pass over what it is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from spatialembed.kernels.compiling import kernel


class Pulls(NamedTuple):
    """Gradients by object, times what the terms weigh."""

    position: np.ndarray  # (D, N) float32 for the embedding of each of its pixels; or (0, N)
    sigma: np.ndarray  # (S, N) float32 for the bandwidth of each; or (0, N)
    mean: np.ndarray  # (S, N) float32 bandwidth that they are drawn to
    spread: np.ndarray  # (N,) float32 by which they are


@kernel(parallel=True)
def output_gradient(
    raw: np.ndarray,
    turned: np.ndarray,
    in_position: np.ndarray,
    in_seed: np.ndarray,
    weight: np.ndarray,
    pulls: Pulls,
    pixel: np.ndarray,
    start: np.ndarray,
    first: np.ndarray,
    low: np.float32,
    high: np.float32,
    out: np.ndarray,
) -> None:
    """Write the gradient.

    Args:
        raw: (B, C, P) float32 raw output.
        turned: (B, D, P) tanh of its offsets.
        in_position: (B, D, P) gradient in the embeddings, of weight 1.
        in_seed: (B, K, P) gradient in the seed logits, of weight 1.
        weight: (B + 1,) float32 of the former, then of each image's latter.
        pulls: by object.
        pixel, start: the objects' pixels, see own.py.
        first: (B + 1,) where each image's objects begin.
        low, high: the range of bandwidths.
        out: (B, C, P) float32 that is written to.
    """
    images, channels, _ = raw.shape
    dims, classes = turned.shape[1], in_seed.shape[1]
    for b in prange(images):
        for d in range(dims):
            _back_through_tanh(in_position[b, d], turned[b, d], weight[0], out[b, d])
        out[b, dims : channels - classes] = 0
        for c in range(classes):
            _weigh(in_seed[b, c], weight[1 + b], out[b, channels - classes + c])
        for k in range(first[b], first[b + 1]):
            own = pixel[start[k] : start[k + 1]] - b * raw.shape[2]
            for d in range(len(pulls.position)):
                _add_pull(own, pulls.position[d, k], turned[b, d], out[b, d])
            for c in range(len(pulls.sigma)):
                _pull_sigma(own, raw[b, dims + c], c, k, pulls, low, high, out[b, dims + c])


@kernel()
def _back_through_tanh(
    gradient: np.ndarray, turned: np.ndarray, weight: np.float32, out: np.ndarray
) -> None:
    for p in range(len(out)):
        out[p] = weight * gradient[p] * (np.float32(1) - turned[p] * turned[p])


@kernel()
def _weigh(gradient: np.ndarray, weight: np.float32, out: np.ndarray) -> None:
    for p in range(len(out)):
        out[p] = weight * gradient[p]


@kernel()
def _add_pull(own: np.ndarray, pull: np.float32, turned: np.ndarray, out: np.ndarray) -> None:
    for p in own:
        t = turned[np.uint64(p)]
        out[np.uint64(p)] += pull * (np.float32(1) - t * t)


@kernel()
def _pull_sigma(
    own: np.ndarray,
    sigma: np.ndarray,
    c: int,
    k: int,
    pulls: Pulls,
    low: np.float32,
    high: np.float32,
    out: np.ndarray,
) -> None:
    """Through the clamp: terms/bandwidth.py says what leads back into the range."""
    for p in own:
        value = sigma[np.uint64(p)]
        within = high if value > high else (low if value < low else value)
        gradient = pulls.sigma[c, k] + pulls.spread[k] * (within - pulls.mean[c, k])
        leads = (value <= high or gradient > 0) and (value >= low or gradient < 0)
        out[np.uint64(p)] = gradient if leads else np.float32(0)
