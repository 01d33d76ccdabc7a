"""What was found in an image: one label map, and one row of facts per instance.

An instance's mask is kept once, in the label map, and cut out of it on demand; a thousand
instances never become a thousand full images, and masks and label map cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Instances:
    """Instances of one image or volume of ``D`` spatial axes, in the order they were accepted.

    Raises:
        ValueError: arrays that do not fit each other or have masked values, a dtype other than
            below, a score outside [0, 1], a class index without a name, or an empty box.
    """

    label_map: np.ndarray
    """(*spatial) int32; 0 is background, ``k + 1`` is row ``k`` of the arrays below. Of a map that
    was changed make new instances by :meth:`from_label_map`: formats refuse these."""
    scores: np.ndarray
    """(N,) float32 in [0, 1], never increasing: the seed score each instance was found by."""
    classes: np.ndarray
    """(N,) int32 index into ``class_names``."""
    boxes: np.ndarray
    """(N, 2 D) int32 half-open boxes in pixels: lower corner, then upper corner, each in the
    label map's axis order; y0, x0, y1, x1 on an image."""
    class_names: tuple[str, ...] = ("object",)

    def __repr__(self) -> str:
        size = "×".join(map(str, self.label_map.shape))
        return f"Instances({len(self)} of {', '.join(self.class_names)} in {size} pixels)"

    def __post_init__(self) -> None:
        for name, dtype, axes in (
            ("scores", np.float32, 1),
            ("classes", np.int32, 1),
            ("boxes", np.int32, 2),
            ("label_map", np.int32, self.label_map.ndim),
        ):
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != axes:
                raise ValueError(
                    f"{name} is {array.dtype} of {array.ndim} axes; "
                    f"it must be {np.dtype(dtype).name} of {axes}"
                )
            _require_unmasked(array)
        as_names(self.class_names)
        self._validate_rows()

    def _validate_rows(self) -> None:
        n, dims = len(self.scores), self.label_map.ndim
        if self.classes.shape != (n,) or self.boxes.shape != (n, 2 * dims):
            raise ValueError(
                f"{n} scores need ({n},) classes and ({n}, {2 * dims}) boxes, "
                f"not {self.classes.shape} and {self.boxes.shape}"
            )
        if self.label_map.size and not (self.label_map.min() >= 0 and self.label_map.max() <= n):
            raise ValueError(f"the label map has labels outside 0 to {n}, the number of instances")
        if not (
            ((self.scores >= 0) & (self.scores <= 1)).all() and (np.diff(self.scores) <= 0).all()
        ):
            raise ValueError("scores must lie in [0, 1] and never increase")
        if not ((self.classes >= 0) & (self.classes < len(self.class_names))).all():
            raise ValueError(f"a class index lies outside 0 to {len(self.class_names) - 1}")
        lower, upper = self.boxes[:, :dims], self.boxes[:, dims:]
        if not ((lower >= 0) & (lower < upper) & (upper <= self.label_map.shape)).all():
            raise ValueError("a box is empty or reaches outside the label map")

    @classmethod
    def unchecked(
        cls,
        label_map: np.ndarray,
        scores: np.ndarray,
        classes: np.ndarray,
        boxes: np.ndarray,
        class_names: tuple[str, ...],
    ) -> Instances:
        """Instances of arrays that are known to fit: two passes over a large image are spared."""
        found = cls.__new__(cls)
        given = (label_map, scores, classes, boxes, class_names)
        for field, value in zip(fields(cls), given, strict=True):
            object.__setattr__(found, field.name, value)
        return found

    @classmethod
    def from_label_map(
        cls,
        label_map: np.ndarray,
        scores: np.ndarray | None = None,
        classes: np.ndarray | None = None,
        class_names: Sequence[str] = ("object",),
    ) -> Instances:
        """Instances of a label map whose labels are 1 to N without gaps; boxes are computed.

        Args:
            label_map: (*spatial) integers, 0 background.
            scores: (N,) in [0, 1], never increasing; 1 each if None.
            classes: (N,) index into ``class_names``; 0 each if None.

        Raises:
            ValueError: a label without a pixel, masked ones, names that are a single text, or
                what :class:`Instances` refuses.
        """
        _require_unmasked(label_map)
        given = np.asarray(label_map)
        label_map = given.astype(np.int32, casting="same_kind", copy=False)
        if (highest := given.max(initial=0)) > given.size:  # beyond 32 bits it would be another
            raise ValueError(f"label {highest} of {given.size} pixels; relabel without gaps")
        boxes = bounding_boxes(label_map)
        n = len(boxes)
        return cls(
            label_map,
            np.ones(n, np.float32) if scores is None else np.asarray(scores, np.float32),
            np.zeros(n, np.int32) if classes is None else _as_indices(classes),
            boxes,
            as_names(class_names),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def at_least(self, score: float) -> Instances:
        """The instances of at least this score, as if clustering had stopped there.

        They are the first ones, and what came after them took none of their pixels, unless these
        instances are refined: refine what this gives.
        """
        count = int((self.scores >= np.float32(score)).sum())
        return Instances(
            np.where(self.label_map <= count, self.label_map, 0),
            self.scores[:count],
            self.classes[:count],
            self.boxes[:count],
            self.class_names,
        )

    def window(self, k: int) -> tuple[slice, ...]:
        """Box of instance ``k`` as slices into the label map or an image of its size."""
        lower, upper = np.split(self.boxes[k], 2)
        return tuple(slice(int(a), int(b)) for a, b in zip(lower, upper, strict=True))

    def mask(self, k: int) -> np.ndarray:
        """Boolean mask of instance ``k`` (0 to N − 1), as large as its box only."""
        if not 0 <= k < len(self):
            raise IndexError(f"there is no instance {k}: {len(self)} were found")
        return np.asarray(self.label_map[self.window(k)] == k + 1)

    def require_unchanged(self) -> None:
        """Refuse instances whose label map was written to, so that their boxes cut objects off.

        Raises:
            ValueError: an object lost all of its pixels, reaches beyond its box, or was added.
        """
        dims, fits = self.label_map.ndim, not self.label_map.size
        with suppress(ValueError):  # a label without a pixel
            boxes = bounding_boxes(self.label_map)
            fits = len(boxes) == len(self) and bool(
                (boxes[:, :dims] >= self.boxes[:, :dims]).all()
                and (boxes[:, dims:] <= self.boxes[:, dims:]).all()
            )
        if not fits:
            raise ValueError(
                "the label map was changed, and is no longer that of the boxes and scores: make "
                "new ones of it by Instances.from_label_map"
            )

    @cached_property
    def areas(self) -> np.ndarray:
        """(N,) int64 number of pixels of each instance."""
        found = self.label_map[self.label_map > 0]
        return np.bincount(found, minlength=len(self) + 1)[1:]


def as_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes as they are kept; of a single text each letter would be one.

    Raises:
        ValueError: a single text.
    """
    if isinstance(class_names, str):
        raise ValueError(f"class_names is a list of names, not {class_names!r}")
    return tuple(class_names)


def _as_indices(classes: np.ndarray) -> np.ndarray:
    given = np.asarray(classes)
    if given.size and given.dtype.kind not in "iu":
        raise ValueError(f"class indices are whole numbers, not of {given.dtype}")
    return given.astype(np.int32)


def _require_unmasked(array: np.ndarray) -> None:
    if np.ma.is_masked(array):
        raise ValueError(
            "the array has masked values, which would be taken as they are stored: give "
            "array.filled(0)"
        )


def bounding_boxes(label_map: np.ndarray) -> np.ndarray:
    """Half-open boxes (N, 2 D) int32 of the labels 1 to N of an int32 label map.

    Raises:
        ValueError: a label below the highest has no pixel.
    """
    from scipy.ndimage import find_objects

    windows = find_objects(label_map)
    if None in windows:
        raise ValueError(f"label {windows.index(None) + 1} has no pixel; relabel without gaps")
    boxes = [[axis.start for axis in w] + [axis.stop for axis in w] for w in windows]
    return np.array(boxes, np.int32).reshape(len(boxes), 2 * label_map.ndim)
