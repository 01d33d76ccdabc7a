"""From a raw network output to instances: Neven et al. 2019, section 3.

The rule, which tests/reference.py has as a naive loop and ``visit_seeds`` of kernels/visit.py as
a compiled one, for seeds from the highest score down to the threshold::

    members = foreground of the seed's class with φ > 0.5 for the seed's own embedding and σ
    if there are min_size of them, and more than half are unassigned:
        the unassigned ones become an instance
    the seed and all members are spent, whether or not

The result is that of the naive loop to the last pixel. It is quicker because only the foreground is
embedded; embeddings are binned into a grid of cells, so that a proposal looks only at pixels near
it; and seeds are sorted a few at a time: the best spend most others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from spatialembed.embedding import PITCH, Array, Pitch, raw_output
from spatialembed.errors import require_number
from spatialembed.instances import Instances, as_names
from spatialembed.kernels.foreground import Foreground, take_foreground, widths
from spatialembed.kernels.visit import best_first, finish, unspent, visit_seeds

FIRST_SEEDS = 4000
"""About as many seeds are sorted and visited at first, four times as many at each further time.

Not all at once: of 300,000 seeds the best thousand spend nearly all, and to sort them took 36 of
80 ms.
"""

SAMPLE = 1000
"""Seeds that stand for all where a typical score is asked for."""

MIN_SIZE = 128
"""Default least size of an instance in pixels, for models without a calibrated one."""


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
    Computed in float32. A pixel whose output is not finite, in any channel, belongs to nothing.

    Args:
        output: (C, *spatial) raw output, numpy or torch, or what NumPy takes: D offsets x, y, z,
            ``n_sigma`` bandwidths, K seed logits. Of a tensor that lies on a GPU only the pixels
            that may be foreground are copied to the host; what is found is the same to the last
            bit.
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

    Example:
        Two objects, whose pixels do not point anywhere else; the best seed's comes first.

        >>> import numpy as np
        >>> from spatialembed.embedding import margin_to_sigma
        >>> score = np.array([[0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
        ...                   [0.8, 0.92, 0.1, 0.1, 0.7, 0.1],
        ...                   [0.9, 0.8, 0.1, 0.1, 0.95, 0.8],
        ...                   [0.1, 0.1, 0.1, 0.1, 0.7, 0.1]])
        >>> output = np.zeros((4, 4, 6))  # offsets in x and y, bandwidth, seed logits
        >>> output[2] = margin_to_sigma(2.5)  # pixels
        >>> output[3] = np.log(score / (1 - score))
        >>> cluster(output, min_size=2).label_map
        array([[0, 0, 0, 0, 0, 0],
               [2, 2, 0, 0, 1, 0],
               [2, 2, 0, 0, 1, 1],
               [0, 0, 0, 0, 1, 0]], dtype=int32)
    """
    output = raw_output(output)
    foreground_threshold = require_number(foreground_threshold, "the foreground threshold")
    n_sigma = int(require_number(n_sigma, "n_sigma", whole=True))
    foreground = take_foreground(output, n_sigma, foreground_threshold, pitch, margin)
    return cluster_foreground(foreground, seed_threshold, min_size, class_names)


def cluster_foreground(
    foreground: Foreground,
    seed_threshold: float = 0.9,
    min_size: int = MIN_SIZE,
    class_names: Sequence[str] | None = None,
) -> Instances:
    """:func:`cluster` from its second step on: of the foreground of a raw output.

    Raises:
        ValueError: a threshold outside [0, 1], a negative ``min_size``, or names that are not one
            a class.
    """
    seed_threshold = require_number(seed_threshold, "the seed threshold")
    min_size = int(require_number(min_size, "the minimum size", whole=True))
    if min_size < 0:
        raise ValueError(f"min_size is a number of pixels, not {min_size}")
    if not 0 <= seed_threshold <= 1:
        raise ValueError(f"the seed threshold must lie in [0, 1], not {seed_threshold}")
    names = _names(class_names, foreground.n_classes)
    label_map = np.zeros(math.prod(foreground.shape), np.int32)
    seeds = np.flatnonzero(foreground.score >= np.float32(seed_threshold)).astype(np.int32)
    found, boxes = _visit(seeds, foreground, min_size, label_map)
    return Instances.unchecked(
        label_map.reshape(foreground.shape),
        foreground.score[found],
        foreground.kind[found],
        boxes,
        names,
    )


def _names(given: Sequence[str] | None, n_classes: int) -> tuple[str, ...]:
    if given is None:
        given = ["object"] if n_classes == 1 else [f"class {k}" for k in range(n_classes)]
    if len(given) != n_classes:
        raise ValueError(f"{n_classes} seed maps need as many class names, not {given!r}")
    return as_names(given)


def _visit(
    seeds: np.ndarray,
    foreground: Foreground,
    min_size: int,
    label_map: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Visit the entries that may be seeds, best first, and label the pixels of instances.

    Returns the entries of those that were accepted, and their boxes.
    """
    if len(seeds) == 0:
        return np.zeros(0, np.int64), np.zeros((0, 2 * len(foreground.place)), np.int32)
    cells = foreground.cells
    # By slot, not by pixel: a proposal's slots lie side by side, its pixels a cache miss a row.
    label = np.zeros(len(foreground.pixel), np.int32)
    accepted: list[np.ndarray] = []
    count = FIRST_SEEDS
    while len(seeds):
        best, seeds = best_first(seeds, foreground.score, _bound(foreground.score, seeds, count))
        found = visit_seeds(
            cells.slot[best],
            foreground.kind[best],
            widths(foreground.sigma_of(best), len(foreground.place)),
            cells,
            min_size,
            sum(map(len, accepted)),
            label,
        )
        accepted.append(best[found])
        seeds = unspent(seeds, cells.slot, label)
        count *= 4
    chosen = np.concatenate(accepted)
    boxes = finish(foreground.pixel, foreground.place, cells.slot, label, len(chosen), label_map)
    return chosen, boxes


def _bound(score: np.ndarray, seeds: np.ndarray, count: int) -> np.float32:
    """A score that roughly the best ``count`` of the seeds reach, at least one of them."""
    if len(seeds) <= 2 * count:
        return np.float32(0)
    # Of a sample: an exact partition passes over all seeds each time.
    sample = np.sort(score[seeds[:: len(seeds) // SAMPLE]])
    bound: np.float32 = sample[-max(1, len(sample) * count // len(seeds))]
    return bound
