"""From a raw network output to instances: Neven et al. 2019, section 3.3.

The best seed left proposes the pixels whose embeddings lie within its own margin; a proposal that
is large enough and mostly new becomes an instance, and either way its pixels are spent. The
result is that of the naive loop to the last pixel (tests/reference.py). It is quicker because
only the foreground is embedded, only seeds above the threshold are sorted, and embeddings are
binned into a grid of cells, so that a proposal looks only at pixels near it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spatialembed.cells import bin_entries, finish, unravel, visit_seeds
from spatialembed.embedding import (
    PITCH,
    SIGMA_RANGE,
    Array,
    Pitch,
    embed_pixels,
    inverse_squared_width,
    margin_to_sigma,
    per_axis,
    sigmoid,
)
from spatialembed.instances import Instances

MIN_SIZE = 128
"""Default least size of an instance in pixels, for models without a calibrated one."""


class _Foreground(NamedTuple):
    """The foreground of every class, one entry a (class, pixel), ordered by class, then pixel.

    A pixel in the foreground of several classes has several entries.
    """

    pixel: np.ndarray  # (E,) int64 flat index
    kind: np.ndarray  # (E,) int32 class
    score: np.ndarray  # (E,) float32
    place: np.ndarray  # (D, E) int32 array index, in axis order
    position: np.ndarray  # (D, E) float32 embedding, in the order x, y, z


class _Seeds(NamedTuple):
    """Candidates for a center, best first."""

    entry: np.ndarray  # (M,) int64 into the foreground
    width: np.ndarray  # (D, M) float32 inverse squared width, NaN where σ is


class _Cells(NamedTuple):
    """Foreground entries binned by class and embedding; a row of cells along x is contiguous."""

    origin: np.ndarray  # (D,) float64 lowest embedding
    edge: np.ndarray  # (D,) float64 size of a cell
    counts: np.ndarray  # (D,) int64 number of cells along each axis
    start: np.ndarray  # (K · cells + 1,) int64 where each cell's entries begin below
    position: np.ndarray  # (E, D) float32 embeddings in the order of cells
    pixel: np.ndarray  # (E,) int64 flat indices in the order of cells


def cluster(
    output: Array,
    n_sigma: int = 1,
    seed_threshold: float = 0.9,
    foreground_threshold: float = 0.5,
    min_size: int = MIN_SIZE,
    pitch: Pitch = PITCH,
    margin: float | None = None,
    class_names: Sequence[str] | None = None,
) -> Instances:
    """Cluster a raw output into instances, exactly and deterministically.

    Seeds of all classes are visited in one order: score descending; at equal scores the lower
    class, then the lower flat pixel index. A proposal is the foreground of the seed's class with
    φ > 0.5. It becomes an instance if it has at least ``min_size`` pixels of which more than half
    are unassigned, and gets those; accepted or not, its pixels are spent for all classes.
    Computed in float32. A pixel whose output is not finite belongs to nothing.

    Args:
        output: (C, *spatial) raw output, numpy or torch: D offsets x, y, z, ``n_sigma``
            bandwidths, K seed logits.
        n_sigma: bandwidth channels: 1 (circular margin) or D (elliptical).
        seed_threshold: least seed score of an instance, in [0, 1].
        foreground_threshold: seed score above which a pixel is foreground of a class, in [0, 1].
        min_size: least number of pixels of a proposal.
        pitch: coordinate step per pixel, one for all axes or one each in the order x, y, z.
        margin: radius in pixels of a fixed bandwidth, or None where it is learned.
        class_names: one name a seed map; "object", or "class 0", "class 1", … if None.

    Raises:
        ValueError: channels that do not fit ``n_sigma`` and ``class_names``, a threshold outside
            [0, 1], a negative ``min_size``, or a pitch or margin that is not positive.
    """
    output = _as_numpy(output)
    names = _check(output, n_sigma, (seed_threshold, foreground_threshold), min_size, class_names)
    shape, dims = output.shape[1:], output.ndim - 1
    flat = output.reshape(len(output), math.prod(shape))
    label_map = np.zeros(flat.shape[1], np.int32)
    foreground = _foreground(flat, shape, dims + n_sigma, foreground_threshold, pitch)
    seeds = _seeds(flat, foreground, n_sigma, seed_threshold, pitch, margin)
    found = np.zeros(0, np.int64)
    if len(seeds.entry):
        cells = _cells(foreground, seeds, len(names))
        found = visit_seeds(
            seeds.entry,
            seeds.width,
            foreground.position,
            foreground.pixel,
            foreground.kind,
            *cells,
            min_size,
            label_map,
        )
    boxes = finish(foreground.pixel, foreground.place, len(found), label_map)
    return Instances(
        label_map.reshape(shape), foreground.score[found], foreground.kind[found], boxes, names
    )


def _as_numpy(output: Array) -> np.ndarray:
    if not isinstance(output, np.ndarray):
        output = output.detach().float().cpu().numpy()
    return np.ascontiguousarray(output, np.float32)


def _check(
    output: np.ndarray,
    n_sigma: int,
    thresholds: tuple[float, float],
    min_size: int,
    class_names: Sequence[str] | None,
) -> tuple[str, ...]:
    """Names of the classes, once everything fits."""
    dims = output.ndim - 1
    if dims < 1 or n_sigma not in (1, dims):
        raise ValueError(f"n_sigma must be 1 or {dims} for {dims} spatial axes, not {n_sigma}")
    n_classes = len(output) - dims - n_sigma
    if n_classes < 1:
        raise ValueError(
            f"an output of {len(output)} channels has no seed map: "
            f"{dims} offsets and {n_sigma} bandwidths come first"
        )
    if min_size < 0:
        raise ValueError(f"min_size is a number of pixels, not {min_size}")
    if not all(0 <= t <= 1 for t in thresholds):
        raise ValueError(f"seed and foreground threshold must lie in [0, 1], not {thresholds}")
    if class_names is None:
        class_names = ["object"] if n_classes == 1 else [f"class {k}" for k in range(n_classes)]
    if len(class_names) != n_classes:
        raise ValueError(f"{n_classes} seed maps need as many class names, not {class_names!r}")
    return tuple(class_names)


def _foreground(
    flat: np.ndarray, shape: tuple[int, ...], first_seed: int, threshold: float, pitch: Pitch
) -> _Foreground:
    """Pixels of each class whose score exceeds the threshold and whose embedding is a number."""
    # Most pixels are background: one comparison of logits spares them the sigmoid. The bound
    # lies below the threshold by more than a float32 sigmoid is ever wrong.
    bound = threshold - 1e-5
    lowest = math.log(bound / (1 - bound)) if bound > 0 else -math.inf
    pixels, scores = [], []
    for logits in flat[first_seed:]:
        pixel = np.flatnonzero(logits >= np.float32(lowest))
        score = sigmoid(logits[pixel])
        above = score > np.float32(threshold)
        pixels.append(pixel[above])
        scores.append(score[above])
    kind = np.repeat(np.arange(len(pixels), dtype=np.int32), [len(p) for p in pixels])
    pixel, score = np.concatenate(pixels), np.concatenate(scores)
    place = unravel(pixel, np.array(shape, np.int64))
    position = embed_pixels(flat[: len(shape)].take(pixel, axis=1), place, pitch)
    finite = np.isfinite(position).all(axis=0)
    if not finite.all():
        pixel, kind, score = pixel[finite], kind[finite], score[finite]
        place, position = np.compress(finite, place, axis=1), np.compress(finite, position, axis=1)
    return _Foreground(pixel, kind, score, place, position)


def _seeds(
    flat: np.ndarray,
    foreground: _Foreground,
    n_sigma: int,
    threshold: float,
    pitch: Pitch,
    margin: float | None,
) -> _Seeds:
    """Foreground entries at or above the seed threshold, best first."""
    dims = len(foreground.position)
    entry = np.flatnonzero(foreground.score >= np.float32(threshold))
    # Scores are positive floats, so their bits order as they do. Keys are unique (ties fall to
    # the entry, hence class, then pixel), so that any sort gives the same order.
    bits = foreground.score[entry].view(np.uint32).astype(np.uint64)
    key = ((np.uint64(0xFFFFFFFF) - bits) << np.uint64(32)) | np.arange(len(entry), dtype=np.uint64)
    key.sort()
    entry = entry[(key & np.uint64(0xFFFFFFFF)).astype(np.int64)]
    if margin is None:
        sigma = flat[dims : dims + n_sigma, foreground.pixel[entry]]
    else:
        fixed = margin_to_sigma(margin, min(per_axis(pitch, dims)))
        sigma = np.full((n_sigma, len(entry)), fixed, np.float32)
    width = inverse_squared_width(np.clip(sigma, *SIGMA_RANGE))
    return _Seeds(entry, np.ascontiguousarray(np.broadcast_to(width, (dims, len(entry)))))


def _cells(foreground: _Foreground, seeds: _Seeds, n_classes: int) -> _Cells:
    """Bin the foreground into cells about as large as a typical seed's margin."""
    position = foreground.position
    origin = position.min(axis=1).astype(np.float64)
    extent = position.max(axis=1) - origin
    sample = seeds.width[:, :: max(1, len(seeds.entry) // 1000)].astype(np.float64)
    sample = sample[:, np.isfinite(sample).all(axis=0)]
    edge = extent + 1 if sample.size == 0 else np.median(np.sqrt(math.log(2) / sample), axis=1)
    # The table of cells stays in proportion to the foreground however small the margins are.
    most = max(1, 4 * position.shape[1] // n_classes)
    while (counts := np.floor(extent / edge) + 1).prod() > most:
        edge = edge * 1.25
    counts = counts.astype(np.int64)
    start, order = bin_entries(position, foreground.kind, origin, edge, counts, n_classes)
    return _Cells(
        origin,
        edge,
        counts,
        start,
        np.ascontiguousarray(position[:, order].T),
        foreground.pixel[order],
    )
