"""How much better one model is than another on few images, and how much of that may be chance.

Images are too few to go by their scores alone: what counts is which objects were found by the one
and not by the other. AP is TP / (TP + FP + FN) of all images together, mean over IoU .50 to .90.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialembed.metrics.average_precision import THRESHOLDS
from spatialembed.metrics.matching import Matching

SURE = 2.0
"""Standard errors that a gain must have, not to be chance."""

MORE, ROUNDING = 4, 1e-9
"""See :func:`is_better`."""

FEWEST_IMAGES = 3
"""Images that their own scatter is taken from, beside that of objects."""


@dataclass(frozen=True, eq=False)
class Tally:
    """What a model found of an image's T true objects, at each of 9 IoU thresholds.

    Attributes:
        hit: (9, T) bool, which of them.
        over: (9,) how many found objects match none.
    """

    hit: npt.NDArray[np.bool_]
    over: npt.NDArray[np.int64]

    @classmethod
    def of(cls, matching: Matching, classes: int = 1) -> Tally:
        """Of all objects, which match those of their own class alone."""
        each = [_tally(matching.of_class(k)) for k in range(classes)]
        return cls(np.concatenate([t.hit for t in each], 1), np.sum([t.over for t in each], 0))


def _tally(matching: Matching) -> Tally:
    hit = np.zeros((len(THRESHOLDS), matching.n_true), bool)
    over = np.zeros(len(THRESHOLDS), np.int64)
    for row, threshold in enumerate(THRESHOLDS):
        pairs = matching.pairs(threshold)
        hit[row, pairs.true] = True
        spared = matching.ignored.copy()
        spared[pairs.found] = False
        over[row] = matching.n_found - len(pairs.found) - spared.sum()
    return Tally(hit, over)


def ap(tallies: Sequence[Tally]) -> float:
    """Of all images together, in [0, 1]; 0 where nothing is and nothing was found."""
    return float(_parts(tallies)[0].mean())


def _parts(tallies: Sequence[Tally]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(9,) AP at each threshold, and (9,) what it is divided by."""
    hits = np.sum([t.hit.sum(1) for t in tallies], 0)
    whole = np.maximum(np.sum([t.hit.shape[1] + t.over for t in tallies], 0), 1)
    return hits / whole, whole


def gain(one: Sequence[Tally], other: Sequence[Tally]) -> tuple[float, float]:
    """AP of ``one`` over that of ``other`` on the same images, and its standard error.

    The error is of the first order: an object that is found adds (1 - AP) / (TP + FP + FN), one
    that is missed or too many takes AP / (TP + FP + FN). Objects vary by themselves, or images do,
    whichever gives more.
    """
    (ap1, whole1), (ap2, whole2) = _parts(one), _parts(other)
    objects, images, surplus = 0.0, [], 0.0
    unit = float(np.maximum(ap1 / whole1, ap2 / whole2).mean())
    for a, b in zip(one, other, strict=True):
        first = (a.hit - ap1[:, None]) / whole1[:, None]
        each = (first - (b.hit - ap2[:, None]) / whole2[:, None]).mean(0)
        over = float((b.over * ap2 / whole2 - a.over * ap1 / whole1).mean())
        objects += float((each**2).sum())
        surplus += abs(over) * unit
        images.append(float(each.sum()) + over)
    n = len(images)
    by_image = n / (n - 1) * float(np.square(images).sum()) if n >= FEWEST_IMAGES else 0.0
    return ap(one) - ap(other), float(np.sqrt(max(objects + surplus, by_image)))


def is_better(one: Sequence[Tally], other: Sequence[Tally], errors: float = SURE) -> bool:
    """Whether ``one`` is better by so many standard errors.

    These are at least what one object weighs among all, and four more (as in the "plus four" rule
    of Agresti and Coull, 1998): of few objects the errors themselves are not sure.
    """
    difference, error = gain(one, other)
    objects = sum(t.hit.shape[1] for t in one)
    return bool(difference > errors * max(error, 1 / (objects + MORE)) + ROUNDING)
