"""The objects of all frames in one table: where they are and how large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spatialembed.data.checks.mask_signs import FULL, signs_of
from spatialembed.data.checks.one_volume import volume_signs
from spatialembed.data.parts import parts_of
from spatialembed.data.volume_objects import objects_in_volume


@dataclass(frozen=True, eq=False)
class Objects:
    """N objects, frame by frame, in each in order of label.

    Attributes:
        frame: (N,) int64, from 0.
        label: (N,) int64, in its frame's label map.
        area: (N,) int64, pixels or voxels.
        center: (N, D) float64, centroid in pixels or voxels.
        place: (N, D) float64, the same in the unit of the spacing.
        diameter: (N,) float64, of the circle or sphere of that size, in the unit of the spacing.
    """

    frame: np.ndarray
    label: np.ndarray
    area: np.ndarray
    center: np.ndarray
    place: np.ndarray
    diameter: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def is_picture(label_map: np.ndarray) -> bool:
    """Whether hardly a pixel is like those beside it, as in images and in no map of objects.

    Of objects of five pixels, without any background, half of the pixels' neighbours are of
    others; of images nearly all. The commonest value is left out: an image's background, too.

    Args:
        label_map: (*spatial) integers, 0 background.
    """
    values, counts = np.unique(label_map, return_counts=True)
    inside = (label_map > 0) & (label_map != values[counts.argmax()])
    least = 2 * np.count_nonzero(inside)
    return bool(least) and all(
        3 * np.count_nonzero((one > 0) & (other > 0) & (one != other)) > least
        for along in (-1, -2)
        for turned in [np.moveaxis(label_map * inside, along, 0)]
        for one, other in [(turned[1:], turned[:-1])]
    )


def no_label_map(label_map: np.ndarray, spacing: Sequence[float]) -> str | None:
    """What shows a frame to be an image or a mask of classes: words that follow its name.

    Args:
        label_map: (*spatial) integers, 0 background.
        spacing: (D,) how far pixels lie apart along each axis, in any unit.

    Returns:
        None for what may be a map of objects.
    """
    if is_picture(label_map):
        return "is an image, no label map: hardly a pixel has the value of those beside it"
    if not 0 < label_map.max(initial=0) <= np.iinfo(np.int32).max:  # no image has such values
        return None
    classes = np.zeros(label_map.shape, np.int32)
    if label_map.ndim == 3:
        z, y, x = spacing
        signs = volume_signs(label_map, objects_in_volume(label_map, classes), (z, y, x))
    else:
        signs = signs_of(parts_of(label_map, classes).table, label_map.shape)
    wrong = sorted(sign.value for sign in signs.clear)
    return f"is no map of instances: it {wrong[0]}" if wrong else None


def class_map_in(objects: Sequence[Objects]) -> int | None:
    """The first frame with objects where none has another label than 255, as masks of a class.

    A lone object of a frame may have that label where others have others.
    """
    labels = [frame.label.tolist() for frame in objects]
    if any(set(each) - {FULL} for each in labels):
        return None
    return next((t for t, each in enumerate(labels) if each), None)


def measured(frame: int, label_map: np.ndarray, spacing: Sequence[float]) -> Objects:
    """The objects of one frame.

    Args:
        frame: its number.
        label_map: (*spatial) integers, 0 background.
        spacing: (D,) how far pixels lie apart along each axis, in any unit.
    """
    pixels = np.nonzero(label_map)
    label, inverse, area = np.unique(label_map[pixels], return_inverse=True, return_counts=True)
    sums = [np.bincount(inverse, along, len(label)) for along in pixels]
    center = np.stack(sums, axis=1) / area[:, None]
    dims = label_map.ndim
    unit_ball = math.pi ** (dims / 2) / math.gamma(dims / 2 + 1)
    diameter = 2 * (area * math.prod(spacing) / unit_ball) ** (1 / dims)
    frames = np.full(len(label), frame, np.int64)
    return Objects(frames, label.astype(np.int64), area, center, center * spacing, diameter)


def joined(parts: Sequence[Objects]) -> Objects:
    """One table of those of frames."""
    names = ("frame", "label", "area", "center", "place", "diameter")
    return Objects(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
