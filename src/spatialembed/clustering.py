"""From a raw network output to instances: Neven et al. 2019, section 3.3.

The best seed left proposes the pixels whose embeddings lie within its own margin; a proposal that
is large enough and mostly new becomes an instance, and either way its pixels are spent. The
result is that of the naive loop to the last pixel (tests/reference.py). It is quicker because
only the foreground is embedded; embeddings are binned into a grid of cells, so that a proposal
looks only at pixels near it; and seeds are sorted a few at a time: the best spend most others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spatialembed.cells import MOST_CELLS, best_unspent, bin_entries, finish, gather, visit_seeds
from spatialembed.embedding import (
    PITCH,
    Array,
    Pitch,
    clamped,
    embed_pixels,
    inverse_squared_width,
    margin_to_sigma,
    per_axis,
    sigmoid,
)
from spatialembed.instances import Instances

FIRST_SEEDS = 4000
"""About as many seeds are sorted and visited at first, four times as many at each further time."""

SAMPLE = 1000
"""Seeds that stand for all where a typical one is asked for."""

MIN_SIZE = 128
"""Default least size of an instance in pixels, for models without a calibrated one."""


class _Foreground(NamedTuple):
    """The foreground of every class, one entry a (class, pixel), ordered by class, then pixel.

    A pixel in the foreground of several classes has several entries.
    """

    pixel: np.ndarray  # (E,) int32 flat index
    kind: np.ndarray  # (E,) int32 class
    score: np.ndarray  # (E,) float32
    place: np.ndarray  # (D, E) int32 array index, in axis order
    position: np.ndarray  # (D, E) float32 embedding, in the order x, y, z


class _Cells(NamedTuple):
    """Foreground entries binned by class and embedding; a row of cells along x is contiguous."""

    origin: np.ndarray  # (D,) float64 lowest embedding
    density: np.ndarray  # (D,) float64 cells per unit of coordinate
    counts: np.ndarray  # (D,) int64 number of cells along each axis
    start: np.ndarray  # (K · cells + 1,) int64 where each cell's entries begin below
    position: np.ndarray  # (D, E) float32 embeddings in the order of cells
    slot: np.ndarray  # (E,) int32 place of each entry in that order
    twin: np.ndarray  # (E,) slot of the next entry of the same pixel; empty with one class


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
            [0, 1], a negative ``min_size``, a pitch or margin that is not positive, or 2**31 pixels
            or more.
    """
    output = _as_numpy(output)
    names = _check(output, n_sigma, (seed_threshold, foreground_threshold), min_size, class_names)
    shape, dims = output.shape[1:], output.ndim - 1
    flat = output.reshape(len(output), math.prod(shape))
    label_map = np.zeros(flat.shape[1], np.int32)
    foreground = _foreground(flat, shape, dims + n_sigma, foreground_threshold, pitch)
    if margin is None:
        sigma = flat[dims : dims + n_sigma]
    else:
        fixed = margin_to_sigma(margin, min(per_axis(pitch, dims)))
        sigma = np.broadcast_to(np.float32(fixed), (n_sigma, flat.shape[1]))
    seeds = np.flatnonzero(foreground.score >= np.float32(seed_threshold)).astype(np.int32)
    found, boxes = _visit(seeds, foreground, sigma, len(names), min_size, label_map)
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
    if math.prod(output.shape[1:]) >= 2**31:
        raise ValueError(f"an image of {output.shape[1:]} pixels is too large to cluster whole")
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
    lowest = np.float32(math.log(bound / (1 - bound)) if bound > 0 else -math.inf)
    sides = np.array(shape, np.int64)
    taken = [gather(logits, lowest, flat[: len(shape)], sides) for logits in flat[first_seed:]]
    kind = np.repeat(np.arange(len(taken), dtype=np.int32), [len(t[0]) for t in taken])
    parts = list(zip(*taken, strict=True))
    pixel, place, logit, offset = (p[0] if len(p) == 1 else np.concatenate(p, -1) for p in parts)
    score = sigmoid(logit)
    position = embed_pixels(offset, place, pitch)
    kept = (score > np.float32(threshold)) & np.isfinite(position).all(axis=0)
    if not kept.all():
        pixel, kind, score = pixel[kept], kind[kept], score[kept]
        place, position = np.compress(kept, place, axis=1), np.compress(kept, position, axis=1)
    return _Foreground(pixel, kind, score, place, position)


def _visit(
    seeds: np.ndarray,
    foreground: _Foreground,
    sigma: np.ndarray,
    n_classes: int,
    min_size: int,
    label_map: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Visit the entries that may be seeds, best first, and label the pixels of instances.

    Returns the entries of those that were accepted, and their boxes.
    """
    if len(seeds) == 0:
        return np.zeros(0, np.int64), np.zeros((0, 2 * len(foreground.place)), np.int32)
    sample = foreground.pixel[seeds[:: max(1, len(seeds) // SAMPLE)]]
    cells = _cells(foreground, _widths(sigma[:, sample], len(foreground.position)), n_classes)
    label = np.zeros(len(foreground.pixel), np.int32)  # by slot: a proposal's lie close together
    accepted: list[np.ndarray] = []
    count = FIRST_SEEDS
    while len(seeds):
        best, seeds = best_unspent(
            seeds, foreground.score, cells.slot, label, _bound(foreground.score[seeds], count)
        )
        found = visit_seeds(
            best,
            _widths(sigma[:, foreground.pixel[best]], len(foreground.position)),
            foreground.position,
            foreground.kind,
            *cells,
            min_size,
            sum(map(len, accepted)),
            label,
        )
        accepted.append(found)
        count *= 4
    chosen = np.concatenate(accepted)
    boxes = finish(foreground.pixel, foreground.place, cells.slot, label, len(chosen), label_map)
    return chosen, boxes


def _bound(score: np.ndarray, count: int) -> float:
    """A score that roughly the best ``count`` reach, at least one of them."""
    if len(score) <= 2 * count:
        return 0.0
    sample = np.sort(score[:: len(score) // SAMPLE])
    return float(sample[-max(1, len(sample) * count // len(score))])


def _widths(sigma: np.ndarray, dims: int) -> np.ndarray:
    """(D, M) inverse squared widths of (1 or D, M) bandwidths, NaN where σ is."""
    width = inverse_squared_width(clamped(sigma))
    return np.ascontiguousarray(np.broadcast_to(width, (dims, width.shape[1])))


def _cells(foreground: _Foreground, sample: np.ndarray, n_classes: int) -> _Cells:
    """Bin the foreground into cells half as large again as a typical seed's margin.

    Args:
        foreground: the entries.
        sample: (D, M) inverse squared widths of some seeds.
        n_classes: number of classes.
    """
    position = foreground.position
    origin = position.min(axis=1).astype(np.float64)
    extent = position.max(axis=1) - origin
    sample = sample[:, np.isfinite(sample).all(axis=0)].astype(np.float64)
    edge = (
        extent + 1 if sample.size == 0 else np.median(np.sqrt(math.log(2) / sample), axis=1) * 1.5
    )
    # The table of cells stays in proportion to the foreground however small the margins are.
    most = min(max(1, 4 * position.shape[1] // n_classes), MOST_CELLS)
    while (counts := np.floor(extent / edge) + 2).prod() > most and counts.max() > 2:
        edge = edge * 1.25
    counts = counts.astype(np.int64)
    origin -= edge / 2  # no embedding is near the border of the grid
    grid = origin, 1 / edge, counts
    return _Cells(
        *grid, *bin_entries(position, foreground.kind, foreground.pixel, *grid, n_classes)
    )
