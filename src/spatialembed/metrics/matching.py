"""Pairs found objects with true ones by intersection over union (IoU), as stardist.matching does.

Only the pairs of objects that overlap are kept: a few to an object, however many objects there
are. Above an IoU of one half a pair excludes every other, so an assignment problem is solved only
where a threshold leaves a choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from spatialembed.errors import UserError
from spatialembed.metrics.overlaps import common_pixels, numbered, pixels_of, runs

IntArray = np.ndarray[Any, np.dtype[np.integer[Any]]]
FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

MOST_DENSE = 1 << 20
"""Possible pairs up to which a choice is made among all of them, ties as stardist.matching's."""


class Pairs(NamedTuple):
    """One-to-one pairs, increasing by their true object."""

    true: IntArray
    """(M,) rows of the true objects."""
    found: IntArray
    """(M,) rows of the found objects."""
    iou: FloatArray
    """(M,) float32."""


@dataclass(frozen=True)
class Matching:
    """Overlaps of the T true and the N found objects of one image.

    Attributes:
        true: (P,) rows of the true objects of the pairs that overlap, increasing.
        found: (P,) rows of the found objects of these pairs, increasing for each true one.
        common: (P,) pixels that both objects of these pairs have.
        iou: (P,) float32 IoU of these pairs, in (0, 1].
        true_labels: (T,) ids of the true objects in the label mask, increasing.
        found_labels: (N,) ids of the found objects in the label map, increasing.
        true_areas: (T,) pixels of each true object.
        found_areas: (N,) pixels of each found object.
        true_classes: (T,) class index of each true object.
        found_classes: (N,) class index of each found object.
        ignored: (N,) whether more than half of a found object lies in an ignore region; such an
            object is no error where it matches nothing.
    """

    true: IntArray
    found: IntArray
    common: IntArray
    iou: FloatArray
    true_labels: IntArray
    found_labels: IntArray
    true_areas: IntArray
    found_areas: IntArray
    true_classes: IntArray
    found_classes: IntArray
    ignored: BoolArray

    def __post_init__(self) -> None:
        sizes = {"true_": len(self.true_labels), "found_": len(self.found_labels)}
        sizes |= {"ignored": sizes["found_"], "": len(self.iou)}
        for name, array in vars(self).items():
            size = next(size for start, size in sizes.items() if name.startswith(start))
            if array.shape != (size,):
                raise ValueError(f"{name} must have shape ({size},), not {array.shape}")

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return len(self.true_labels)

    @property
    def n_found(self) -> int:
        """Number of found objects, those in ignore regions included."""
        return len(self.found_labels)

    @property
    def seg(self) -> FloatArray:
        """(T,) float64 of each true object: its IoU with the found object that has more than half
        of it, 0 where none has; its mean is the SEG of the Cell Tracking Challenge (Maska et al.,
        Bioinformatics 2014).
        """
        most = 2 * self.common > self.true_areas[self.true]
        seg = np.zeros(self.n_true)
        seg[self.true[most]] = self.iou[most]
        return seg

    def pairs(self, threshold: float) -> Pairs:
        """One-to-one pairs of IoU at or above ``threshold``, above 0: as many as can be.

        Among the assignments with most pairs, the one of the largest sum of IoU over all assigned
        objects is taken, which is the rule of stardist.matching.
        """
        # float32 on both sides: an IoU of 11/20 is at the threshold 0.55
        hit = self.iou >= np.float32(threshold)
        alone = hit & (np.bincount(self.true[hit], minlength=self.n_true)[self.true] == 1)
        alone &= np.bincount(self.found[hit], minlength=self.n_found)[self.found] == 1
        if not np.array_equal(hit, alone):
            hit &= self._assigned(hit, alone)
        return Pairs(self.true[hit], self.found[hit], self.iou[hit])

    def _assigned(self, hit: BoolArray, alone: BoolArray) -> BoolArray:
        """Which of the overlaps are of the best assignment, the hits that exclude no other too."""
        shape = self.n_true, self.n_found
        gain = hit + self.iou.astype(np.float64) / (2 * min(shape))
        if self.n_true * self.n_found <= MOST_DENSE:
            table = np.zeros(shape)
            table[self.true, self.found] = gain
            best = np.zeros(shape, bool)
            best[linear_sum_assignment(table, maximize=True)] = True
            return np.asarray(best[self.true, self.found])
        # A hit that excludes no other is of every assignment with most pairs: none of the rest
        # may have its objects.
        settled_true, settled_found = np.zeros(self.n_true, bool), np.zeros(self.n_found, bool)
        settled_true[self.true[alone]] = settled_found[self.found[alone]] = True
        left = ~settled_true[self.true] & ~settled_found[self.found]
        assigned = alone.copy()
        assigned[left] = _best_of_few(self.true[left], self.found[left], gain[left])
        return assigned

    def of_class(self, index: int) -> Matching:
        """The same for the objects of one class alone."""
        return self._among(self.true_classes == index, self.found_classes == index)

    def first(self, n: int) -> Matching:
        """The same as if only the first ``n`` objects had been found."""
        return self._among(np.ones(self.n_true, bool), np.arange(self.n_found) < n)

    def _among(self, true: BoolArray, found: BoolArray) -> Matching:
        """The same for some of the objects."""
        kept = true[self.true] & found[self.found]
        return replace(
            self,
            true=(np.cumsum(true) - 1)[self.true[kept]],
            found=(np.cumsum(found) - 1)[self.found[kept]],
            common=self.common[kept],
            iou=self.iou[kept],
            true_labels=self.true_labels[true],
            found_labels=self.found_labels[found],
            true_areas=self.true_areas[true],
            found_areas=self.found_areas[found],
            true_classes=self.true_classes[true],
            found_classes=self.found_classes[found],
            ignored=self.ignored[found],
        )


def match(
    label_map: IntArray,
    label_mask: IntArray,
    ignore: BoolArray | None = None,
    found_classes: IntArray | None = None,
    class_map: IntArray | None = None,
) -> Matching:
    """Overlaps of what was found in an image with its truth.

    Args:
        label_map: (*S) found objects, any integer type, 0 background, ids may have gaps.
        label_mask: (*S) true objects, likewise.
        ignore: (*S) bool, or numbers other than 0, where nothing found is an error; None for
            nowhere. In the IoU of an image's found object its pixels there count, as in
            cityscapesScripts; of volumes, of whose planes a few may be labelled, they do not.
        found_classes: class index of the found object with id k + 1 in row k (the ``classes`` of
            ``Instances``); None for class 0 throughout.
        class_map: (*S) class index on true objects, any value elsewhere; None for class 0.

    Raises:
        UserError: shapes that differ, labels that are not integers or negative, or a found id
            without a row in ``found_classes``.

    Example:
        The first true object is found but for one of its four pixels, the second in two parts.

        >>> true = np.array([[1, 1, 0, 2, 2, 2],
        ...                  [1, 1, 0, 2, 2, 2],
        ...                  [0, 0, 0, 0, 0, 0],
        ...                  [0, 0, 0, 0, 0, 0]])
        >>> found = np.array([[1, 1, 0, 2, 2, 3],
        ...                   [1, 0, 0, 2, 2, 3],
        ...                   [0, 0, 0, 0, 0, 0],
        ...                   [0, 0, 0, 0, 0, 0]])
        >>> matching = match(found, true)
        >>> matching.iou
        array([0.75      , 0.6666667 , 0.33333334], dtype=float32)
        >>> matching.pairs(0.5).found
        array([0, 1])
        >>> matching.pairs(0.7).found
        array([0])
    """
    _check(label_map, label_mask, ignore, class_map)
    given = [m for m in (ignore, class_map) if m is not None]
    (found, true, *others), lengths = runs(label_map, label_mask, *given)
    found_labels, found = numbered(found)
    true_labels, true = numbered(true)
    found_labels, true_labels = found_labels.astype(np.int64), true_labels.astype(np.int64)
    n_true, n_found = len(true_labels), len(found_labels)
    areas_true = pixels_of(true, lengths, n_true + 1)[1:]
    areas_found = pixels_of(found, lengths, n_found + 1)[1:]
    t, f, common = common_pixels(true, found, lengths)
    inside = unknown = np.zeros(n_found, np.int64)
    if ignore is not None:
        ignored = others.pop(0) != 0
        inside = pixels_of(found, lengths * ignored, n_found + 1)[1:]
        if label_mask.ndim == 3:
            unknown = pixels_of(found, lengths * (ignored & (true == 0)), n_found + 1)[1:]
    classes = np.zeros(n_true + 1, np.int64)
    if class_map is not None:
        classes[true] = others.pop()
    return Matching(
        true=t,
        found=f,
        common=common,
        iou=(common / (areas_true[t] + (areas_found - unknown)[f] - common)).astype(np.float32),
        true_labels=true_labels,
        found_labels=found_labels,
        true_areas=areas_true,
        found_areas=areas_found,
        true_classes=classes[1:],
        found_classes=_found_classes(found_labels, found_classes),
        ignored=2 * inside > areas_found,
    )


def _check(label_map: IntArray, label_mask: IntArray, *others: BoolArray | IntArray | None) -> None:
    for what, labels in (("label map", label_map), ("label mask", label_mask)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise UserError(f"a {what} holds integers, not {labels.dtype}; convert it first")
        if np.ma.is_masked(labels):
            raise UserError(f"a {what} has masked pixels: give array.filled(0), or pass ignore")
        if labels.size and labels.min() < 0:
            raise UserError(f"a {what} has no negative ids, this one has {labels.min()}")
        if labels.dtype == np.uint64 and labels.max(initial=0) > np.iinfo(np.int64).max:
            raise UserError(f"a {what} has ids of 2^63 and more; number its objects anew")
    for other in (label_mask, *others):
        if other is not None and other.shape != label_map.shape:
            raise UserError(
                f"found {label_map.shape} and truth {other.shape} differ in shape; "
                "score at the size of the truth"
            )


def _found_classes(found_labels: IntArray, found_classes: IntArray | None) -> IntArray:
    if found_classes is None:
        return np.zeros(len(found_labels), np.int64)
    if len(found_labels) and found_labels[-1] > len(found_classes):
        raise UserError(
            f"the label map has id {found_labels[-1]} but there are {len(found_classes)} classes "
            "of found objects; give one for each id"
        )
    return np.asarray(found_classes)[found_labels - 1]


def _best_of_few(true: IntArray, found: IntArray, gain: FloatArray) -> BoolArray:
    """Which of some pairs are of the assignment with the largest sum of gains."""
    rows, row = np.unique(true, return_inverse=True)
    columns, column = np.unique(found, return_inverse=True)
    # Each row may be left to a column of its own, which gains nothing. 1 is added to all gains: a
    # gain of 0 would be no pair, and every assignment has one pair a row.
    own = np.arange(len(rows))
    table = coo_array(
        (
            np.append(gain + 1, np.ones(len(rows))),
            (np.append(row, own), np.append(column, len(columns) + own)),
        )
    )
    taken = min_weight_full_bipartite_matching(table.tocsr(), maximize=True)[1]
    return np.asarray(taken[row] == column)
