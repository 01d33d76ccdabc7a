"""The foreground of a raw output and where it embeds: what clustering and refinement look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
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
from spatialembed.kernels import packing
from spatialembed.kernels.binning import Cells, bin_entries
from spatialembed.kernels.grid import make_grid
from spatialembed.kernels.take import gather, places

SAMPLE = 1000
"""Entries that stand for all where a typical margin is asked for."""


@dataclass(frozen=True)
class Foreground:
    """The foreground of every class, one entry a (class, pixel), ordered by class, then pixel.

    A pixel in the foreground of several classes has several entries.
    """

    shape: tuple[int, ...]  # of the image
    n_classes: int
    pixel: np.ndarray  # (E,) int32 flat index
    kind: np.ndarray  # (E,) int32 class
    score: np.ndarray  # (E,) float32
    place: np.ndarray  # (D, E) int32 array index, in axis order
    position: np.ndarray  # (D, E) float32 embedding, in the order x, y, z
    column: np.ndarray  # (E,) int32 column of σ
    sigma: np.ndarray  # (n_sigma, M) float32 bandwidths of at least all entries

    def sigma_of(self, entries: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(n_sigma, N) bandwidths of some entries."""
        return self.sigma.take(self.column[entries], axis=1)

    @cached_property
    def cells(self) -> Cells:
        """The entries, at least one, binned into cells half as large again as a typical margin.

        The size of cells changes what is looked at, and nothing of the result.
        """
        lowest = self.position.min(axis=1).astype(np.float64)
        extent = self.position.max(axis=1) - lowest
        sample = np.arange(0, len(self.pixel), max(1, len(self.pixel) // SAMPLE))
        # The better half: seeds are among it, whose margins are those that are looked at.
        sample = sample[self.score[sample] >= np.median(self.score[sample])]
        width = widths(self.sigma_of(sample), len(self.place)).astype(np.float64)
        # Half as large again as a margin: fewer rows to a proposal than cells of one margin have.
        edge = np.median(np.sqrt(math.log(2) / width), axis=1) * 1.5
        # The table of cells stays in proportion to the foreground however small the margins are. A
        # little more extent: rounding must not leave the highest embedding outside.
        most = 4 * len(self.pixel) // self.n_classes
        grid = make_grid(lowest, extent * (1 + 1e-9), edge, most)
        return bin_entries(self.position, self.kind, self.pixel, grid, self.n_classes)


class Raw(NamedTuple):
    """A raw output on the host: of all pixels, or of those that may be foreground."""

    values: np.ndarray  # (C, M) float32
    pixel: np.ndarray | None  # (M,) int32 as of :func:`packing.pack`; None where M is all of them
    shape: tuple[int, ...]  # of the image


def take_foreground(
    output: Array, n_sigma: int, threshold: float, pitch: Pitch, margin: float | None
) -> Foreground:
    """Pixels of each class whose score exceeds the threshold and whose output is all finite.

    Args:
        output: (C, *spatial) raw output, numpy or torch, on any device.
        n_sigma, threshold, pitch, margin: as :func:`spatialembed.cluster` takes them.

    Raises:
        ValueError: what does not fit, or 2**31 pixels or more.
    """
    n_classes = _check(output, n_sigma, threshold)
    # Most pixels are background: one comparison of logits spares them the sigmoid. The bound
    # lies below the threshold by more than a float32 sigmoid is ever wrong.
    bound = threshold - 1e-5
    lowest = np.float32(math.log(bound / (1 - bound)) if bound > 0 else -math.inf)
    dims = output.ndim - 1
    raw = fetch(output, dims + n_sigma, float(lowest))
    kind, pixel, place, logit, offset, column = _gathered(raw, dims + n_sigma, lowest)
    score = sigmoid(logit)
    position = embed_pixels(offset, place, pitch)
    kept = score > np.float32(threshold)  # nor is NaN, of what is not finite
    if not kept.all():
        pixel, kind, score, column = pixel[kept], kind[kept], score[kept], column[kept]
        place, position = np.compress(kept, place, axis=1), np.compress(kept, position, axis=1)
    sigma = _bandwidths(raw.values, dims, n_sigma, pitch, margin)
    return Foreground(raw.shape, n_classes, pixel, kind, score, place, position, column, sigma)


def fetch(output: Array, first_seed: int, lowest: float) -> Raw:
    """A (C, *spatial) raw output on the host, of another device's no more than is needed.

    Work that the current stream of that device has in hand comes first.

    Args:
        output: numpy or torch, on any device.
        first_seed: the first seed map's channel.
        lowest: least seed logit of a foreground pixel of any class.
    """
    shape = tuple(output.shape[1:])
    if packing.is_elsewhere(output):
        pixel, values = packing.pack(output, first_seed, lowest)
        return Raw(values, pixel, shape)
    return Raw(as_float32(output).reshape(len(output), math.prod(shape)), None, shape)


def as_float32(output: Array) -> np.ndarray:
    """A raw output, of numpy or torch, as a contiguous float32 array of numpy."""
    if not isinstance(output, np.ndarray):
        output = output.detach().float().cpu().numpy()
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite
        return np.ascontiguousarray(output, np.float32)


def _check(output: Array, n_sigma: int, threshold: float) -> int:
    """Number of classes, once everything fits."""
    if np.ma.is_masked(output):
        raise ValueError(
            "the raw output has masked values, which would be taken as they are stored: give "
            "output.filled(numpy.nan), of which no pixel belongs to anything"
        )
    if "int" in str(output.dtype) or "bool" in str(output.dtype):
        raise ValueError(f"a raw output holds floating-point numbers, not {output.dtype}")
    dims = output.ndim - 1
    if dims < 1 or n_sigma not in (1, dims):
        raise ValueError(
            f"n_sigma must be 1 or {dims} for {dims} spatial axes, not {n_sigma}; of a batch, give "
            "one output at a time"
        )
    n_classes: int = len(output) - dims - n_sigma
    if n_classes < 1:
        raise ValueError(
            f"an output of {len(output)} channels has no seed map: "
            f"{dims} offsets and {n_sigma} bandwidths come first"
        )
    if math.prod(output.shape[1:]) >= 2**31:
        raise ValueError(
            f"an image of {tuple(output.shape[1:])} pixels is too large to cluster whole"
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"the foreground threshold must lie in [0, 1], not {threshold}")
    return n_classes


def _gathered(raw: Raw, first_seed: int, lowest: np.float32) -> tuple[np.ndarray, ...]:
    """Class, pixel, place, logit, offset and column of the entries, class by class."""
    sides, offsets = np.array(raw.shape, np.int64), raw.values[: len(raw.shape)]
    taken: list[tuple[np.ndarray, ...]] = []
    for channel in range(first_seed, len(raw.values)):
        if raw.pixel is None:
            found = gather(raw.values, channel, lowest, sides)
            taken.append((*found, found[0]))  # a column a pixel
        else:
            taken.append(_chosen(raw.pixel, raw.values[channel], lowest, offsets, sides))
    kind = np.repeat(np.arange(len(taken), dtype=np.int32), [len(t[0]) for t in taken])
    parts = zip(*taken, strict=True)
    return kind, *(p[0] if len(p) == 1 else np.concatenate(p, -1) for p in parts)


def _chosen(
    pixel: np.ndarray,
    logits: np.ndarray,
    lowest: np.float32,
    offsets: np.ndarray,
    sides: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """What :func:`gather` gives, and columns, of an output that was fetched in part."""
    bright = logits >= lowest
    if bright.all():  # of one class nearly always
        column = np.arange(len(pixel), dtype=np.int32)
    else:
        column = np.flatnonzero(bright).astype(np.int32)
        pixel, logits, offsets = pixel[column], logits[column], offsets.take(column, axis=1)
    return pixel, places(pixel, sides), logits, offsets, column


def _bandwidths(
    flat: np.ndarray, dims: int, n_sigma: int, pitch: Pitch, margin: float | None
) -> np.ndarray:
    """(n_sigma, M) bandwidths σ of a (C, M) raw output, or those of a fixed margin in pixels."""
    if margin is None:
        return flat[dims : dims + n_sigma]
    fixed = margin_to_sigma(margin, min(per_axis(pitch, dims)))
    return np.broadcast_to(np.float32(fixed), (n_sigma, flat.shape[1]))


def widths(sigma: np.ndarray, dims: int) -> np.ndarray:
    """(D, M) inverse squared widths of (1 or D, M) bandwidths."""
    width = inverse_squared_width(clamped(sigma))
    return np.ascontiguousarray(np.broadcast_to(width, (dims, width.shape[1])))
