"""Which objects of two frames could be one, and what it costs to take them for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from spatialembed.tracking.objects import Objects

FURTHEST = 2.0
"""Mean diameters of two objects up to which they are looked at, unless more are asked for."""

OVERLAP = 0.1
"""Intersection over union from which on objects may be one however far their centers went, as
those of long ones do that grow."""

_NEAREST = 0.6
_OF_MOTION, _BEYOND = 3.0, 0.4
"""Of steps that are normal in y and x the longest of a hundred is 2.6 times the median; what comes
beyond is for daughters, whose centers lie beside that of the mother."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Objects of two frames that may be one.

    Attributes:
        first, second: (K,) int64 rows in the tables of the earlier and the later frame.
        distance: (K,) float64 between centroids, in mean diameters of the two.
        iou: (K,) float64, intersection over union, in [0, 1].
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    iou: np.ndarray

    @property
    def cost(self) -> np.ndarray:
        """(K,) float64: the distance, and what is missing in overlap."""
        return np.asarray(self.distance + (1 - self.iou))

    def likely(self, reach: float) -> Pairs:
        """Those no further from each other than so many diameters, and those that overlap."""
        which = (self.distance <= reach) | (self.iou >= OVERLAP)
        columns = (self.first, self.second, self.distance, self.iou)
        return Pairs(*(column[which] for column in columns))


def near(one: Objects, other: Objects, maps: Sequence[np.ndarray], reach: float) -> Pairs:
    """Pairs of objects of two frames no further than ``reach`` from each other.

    Args:
        one, other: tables of the two frames.
        maps: their label maps (*spatial).
        reach: in mean diameters of the two objects.
    """
    if not len(one) or not len(other):
        rows, values = np.empty(0, np.int64), np.empty(0)
        return Pairs(rows, rows, values, values)
    widest = reach * (one.diameter.max() + other.diameter.max()) / 2
    trees = (KDTree(one.place), KDTree(other.place))
    found = trees[0].sparse_distance_matrix(trees[1], widest, output_type="coo_matrix")
    first, second = found.row.astype(np.int64), found.col.astype(np.int64)
    distance = found.data / ((one.diameter[first] + other.diameter[second]) / 2)
    close = distance <= reach
    first, second, distance = first[close], second[close], distance[close]
    return Pairs(first, second, distance, _ious(one, other, maps, first, second))


def reach_of_motion(steps: Sequence[Pairs]) -> float:
    """How far objects are looked for, in diameters, by how far they go from frame to frame.

    How far they go is seen in those that are nearest to each other, each to the other.

    Args:
        steps: pairs of each frame and the next, of all that lie within FURTHEST.

    Returns:
        Three times the median way and 0.4, but 0.6 to 2 diameters.
    """
    ways = np.concatenate([pairs.distance[_mutual(pairs)] for pairs in steps])
    median = float(np.median(ways)) if len(ways) else 0.0
    return min(max(_OF_MOTION * median + _BEYOND, _NEAREST), FURTHEST)


def _mutual(pairs: Pairs) -> np.ndarray:
    """(K,) whether both objects of a pair are nearest to each other."""
    is_least = np.ones(len(pairs.first), bool)
    for rows in (pairs.first, pairs.second):
        least = np.full(rows.max(initial=-1) + 1, np.inf)
        np.minimum.at(least, rows, pairs.distance)
        is_least &= pairs.distance == least[rows]
    return is_least


def _ious(
    one: Objects,
    other: Objects,
    maps: Sequence[np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
) -> np.ndarray:
    both = (maps[0] > 0) & (maps[1] > 0)
    rows = np.searchsorted(one.label, maps[0][both])
    columns = np.searchsorted(other.label, maps[1][both])
    keys, counts = np.unique(rows * len(other) + columns, return_counts=True)
    asked = first * len(other) + second
    at = np.searchsorted(keys, asked)
    shared = np.where(np.append(keys, -1)[at] == asked, np.append(counts, 0)[at], 0)
    return np.asarray(shared / (one.area[first] + other.area[second] - shared))
