"""Pairs found objects with true ones by intersection over union (IoU), as stardist.matching does.

The matrix of overlaps comes from one count over the pixels; a threshold then asks only for the
matrix. Above an IoU of one half a pair excludes every other, so an assignment problem is solved
only where a threshold leaves a choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from spatialembed.errors import UserError

IntArray = np.ndarray[Any, np.dtype[np.integer[Any]]]
FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Matching:
    """Overlaps of the true and the found objects of one image.

    Attributes:
        iou: (T, N) float32 IoU of true object t and found object n, in [0, 1].
        true_labels: (T,) ids of the true objects in the label mask, increasing.
        found_labels: (N,) ids of the found objects in the label map, increasing.
        true_classes: (T,) class index of each true object.
        found_classes: (N,) class index of each found object.
        ignored: (N,) whether more than half of a found object lies in an ignore region; such an
            object is no error where it matches nothing.
    """

    iou: FloatArray
    true_labels: IntArray
    found_labels: IntArray
    true_classes: IntArray
    found_classes: IntArray
    ignored: BoolArray

    def __post_init__(self) -> None:
        n_true, n_found = self.iou.shape
        for name, size in (
            ("true_labels", n_true),
            ("true_classes", n_true),
            ("found_labels", n_found),
            ("found_classes", n_found),
            ("ignored", n_found),
        ):
            if getattr(self, name).shape != (size,):
                raise ValueError(f"{name} must have shape ({size},) like iou {self.iou.shape}")

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return len(self.true_labels)

    @property
    def n_found(self) -> int:
        """Number of found objects, those in ignore regions included."""
        return len(self.found_labels)

    def pairs(self, threshold: float) -> tuple[IntArray, IntArray]:
        """One-to-one pairs of IoU at or above ``threshold``: as many as can be.

        Among the assignments with most pairs, the one of the largest sum of IoU over all assigned
        objects is taken, which is the rule of stardist.matching.

        Returns:
            rows and columns of ``iou``, two (P,) arrays.
        """
        # float32 on both sides: an IoU of 11/20 is at the threshold 0.55
        hit = self.iou >= np.float32(threshold)
        if not hit.any() or (hit.sum(0).max() == 1 and hit.sum(1).max() == 1):
            rows, columns = np.nonzero(hit)
        else:
            gain = hit + self.iou.astype(np.float64) / (2 * min(self.iou.shape))
            rows, columns = linear_sum_assignment(gain, maximize=True)
            kept = hit[rows, columns]
            rows, columns = rows[kept], columns[kept]
        return rows, columns

    def of_class(self, index: int) -> Matching:
        """The same for the objects of one class alone."""
        true, found = self.true_classes == index, self.found_classes == index
        return Matching(
            self.iou[np.ix_(true, found)],
            self.true_labels[true],
            self.found_labels[found],
            self.true_classes[true],
            self.found_classes[found],
            self.ignored[found],
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
        ignore: (*S) bool, where nothing found is an error; None for nowhere.
        found_classes: class index of the found object with id k + 1 in row k (the ``classes`` of
            ``Instances``); None for class 0 throughout.
        class_map: (*S) class index on true objects, any value elsewhere; None for class 0.

    Raises:
        UserError: shapes that differ, labels that are not integers or negative, or a found id
            without a row in ``found_classes``.
    """
    _check(label_map, label_mask, ignore, class_map)
    found_labels, found = _compact(label_map)
    true_labels, true = _compact(label_mask)
    n_true, n_found = len(true_labels), len(found_labels)
    overlap = np.bincount(true * (n_found + 1) + found, minlength=(n_true + 1) * (n_found + 1))
    overlap = overlap.reshape(n_true + 1, n_found + 1)
    area_true, area_found = overlap.sum(1)[1:], overlap.sum(0)[1:]
    inner = overlap[1:, 1:]
    union = area_true[:, None] + area_found[None] - inner
    inside = np.zeros(n_found, np.int64)
    if ignore is not None:
        inside = np.bincount(found[ignore.ravel()], minlength=n_found + 1)[1:]
    return Matching(
        iou=(inner / union).astype(np.float32),
        true_labels=true_labels,
        found_labels=found_labels,
        true_classes=_true_classes(true, n_true, class_map),
        found_classes=_found_classes(found_labels, found_classes),
        ignored=2 * inside > area_found,
    )


def _check(label_map: IntArray, label_mask: IntArray, *others: BoolArray | IntArray | None) -> None:
    for what, labels in (("label map", label_map), ("label mask", label_mask)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise UserError(f"a {what} holds integers, not {labels.dtype}; convert it first")
        if labels.size and labels.min() < 0:
            raise UserError(f"a {what} has no negative ids, this one has {labels.min()}")
    for other in (label_mask, *others):
        if other is not None and other.shape != label_map.shape:
            raise UserError(
                f"found {label_map.shape} and truth {other.shape} differ in shape; "
                "score at the size of the truth"
            )


def _compact(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Ids that occur, increasing, and the flat labels renumbered 0 (background), 1, 2, ..."""
    flat = labels.ravel()
    if not flat.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # a table as long as the largest id is much faster than sorting, unless ids are sparse
    largest = int(flat.max())
    if largest > 4 * flat.size + 100_000:
        ids, inverse = np.unique(flat, return_inverse=True)
        return ids[ids > 0].astype(np.int64), inverse + (ids[0] > 0)
    present = np.zeros(largest + 1, bool)
    present[flat] = True
    present[0] = False
    return np.flatnonzero(present), np.cumsum(present)[flat] * (flat > 0)


def _true_classes(true: IntArray, n_true: int, class_map: IntArray | None) -> IntArray:
    classes = np.zeros(n_true + 1, np.int64)
    if class_map is not None:
        classes[true] = class_map.ravel()
    return classes[1:]


def _found_classes(found_labels: IntArray, found_classes: IntArray | None) -> IntArray:
    if found_classes is None:
        return np.zeros(len(found_labels), np.int64)
    if len(found_labels) and found_labels[-1] > len(found_classes):
        raise UserError(
            f"the label map has id {found_labels[-1]} but there are {len(found_classes)} classes "
            "of found objects; give one for each id"
        )
    return np.asarray(found_classes)[found_labels - 1]
