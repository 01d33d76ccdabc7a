"""The foreground of a raw output and where it embeds: what clustering and refinement look at."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spatialembed.embedding import (
    Array,
    Pitch,
    clamped,
    embed_pixels,
    inverse_squared_width,
    margin_to_sigma,
    per_axis,
    sigmoid,
)
from spatialembed.kernels.binning import Cells, bin_entries
from spatialembed.kernels.grid import make_grid
from spatialembed.kernels.take import finite_at, gather


class Foreground(NamedTuple):
    """The foreground of every class, one entry a (class, pixel), ordered by class, then pixel.

    A pixel in the foreground of several classes has several entries.
    """

    pixel: np.ndarray  # (E,) int32 flat index
    kind: np.ndarray  # (E,) int32 class
    score: np.ndarray  # (E,) float32
    place: np.ndarray  # (D, E) int32 array index, in axis order
    position: np.ndarray  # (D, E) float32 embedding, in the order x, y, z


def as_float32(output: Array) -> np.ndarray:
    """A raw output, of numpy or torch, as a contiguous float32 array of numpy."""
    if not isinstance(output, np.ndarray):
        output = output.detach().float().cpu().numpy()
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite
        return np.ascontiguousarray(output, np.float32)


def bandwidths(
    flat: np.ndarray, dims: int, n_sigma: int, pitch: Pitch, margin: float | None
) -> np.ndarray:
    """(n_sigma, P) bandwidths σ of a (C, P) raw output, or those of a fixed margin in pixels."""
    if margin is None:
        return flat[dims : dims + n_sigma]
    fixed = margin_to_sigma(margin, min(per_axis(pitch, dims)))
    return np.broadcast_to(np.float32(fixed), (n_sigma, flat.shape[1]))


def take_foreground(
    flat: np.ndarray, shape: tuple[int, ...], first_seed: int, threshold: float, pitch: Pitch
) -> Foreground:
    """Pixels of each class whose score exceeds the threshold and whose output is all finite."""
    # Most pixels are background: one comparison of logits spares them the sigmoid. The bound
    # lies below the threshold by more than a float32 sigmoid is ever wrong.
    bound = threshold - 1e-5
    lowest = np.float32(math.log(bound / (1 - bound)) if bound > 0 else -math.inf)
    sides = np.array(shape, np.int64)
    taken = [gather(logits, lowest, flat[: len(shape)], sides) for logits in flat[first_seed:]]
    kind = np.repeat(np.arange(len(taken), dtype=np.int32), [len(t[0]) for t in taken])
    parts = list(zip(*taken, strict=True))
    pixel, place, logit, offset = (p[0] if len(p) == 1 else np.concatenate(p, -1) for p in parts)
    score = sigmoid(logit)
    position = embed_pixels(offset, place, pitch)
    kept = (score > np.float32(threshold)) & finite_at(flat, pixel)
    if not kept.all():
        pixel, kind, score = pixel[kept], kind[kept], score[kept]
        place, position = np.compress(kept, place, axis=1), np.compress(kept, position, axis=1)
    return Foreground(pixel, kind, score, place, position)


def widths(sigma: np.ndarray, dims: int) -> np.ndarray:
    """(D, M) inverse squared widths of (1 or D, M) bandwidths."""
    width = inverse_squared_width(clamped(sigma))
    return np.ascontiguousarray(np.broadcast_to(width, (dims, width.shape[1])))


def bin_foreground(foreground: Foreground, sample: np.ndarray, n_classes: int) -> Cells:
    """Bin the foreground into cells half as large again as a typical margin.

    Args:
        foreground: the entries.
        sample: (D, M) inverse squared widths of some objects to come.
        n_classes: number of classes.
    """
    position = foreground.position
    lowest = position.min(axis=1).astype(np.float64)
    extent = position.max(axis=1) - lowest
    sample = sample[:, np.isfinite(sample).all(axis=0)].astype(np.float64)
    # Half as large again as a margin: fewer rows to a proposal than cells of one margin have.
    edge = (
        extent + 1 if sample.size == 0 else np.median(np.sqrt(math.log(2) / sample), axis=1) * 1.5
    )
    # The table of cells stays in proportion to the foreground however small the margins are. A
    # little more extent: rounding must not leave the highest embedding outside.
    grid = make_grid(lowest, extent * (1 + 1e-9), edge, 4 * position.shape[1] // n_classes)
    return bin_entries(position, foreground.kind, foreground.pixel, grid, n_classes)
