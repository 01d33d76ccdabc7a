"""What becomes of the annotations of a COCO image: objects, regions nobody knows, or nothing.

Objects are what is outlined and not set aside. Where an annotation says that something is there
but not which pixels, or not of which class, its region is ignored. Of objects that overlap, the one
of smaller area is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np

from spatialembed.data.annotations.coco_json import Annotation
from spatialembed.data.annotations.masks import (
    CORNERS,
    Rle,
    area,
    box_mask,
    pixels,
    segmentation_mask,
)
from spatialembed.data.data_set import Crowds

Kind = Literal["object", "crowd", "box", "shares", "unknown", "line", "outside", "flat", "hidden"]

MOST_COVERED = 0.1
"""Share of an object that smaller ones may cover without a word: outlines that touch overlap."""

Sorted = tuple[Annotation, Kind]
"""An annotation and what it is at sight."""


class Drawn(NamedTuple):
    """An annotation and what became of it.

    Attributes:
        annotation: as the json has it.
        kind: "object"; "hidden", an object that smaller ones cover; anything else is ignored.
        mask: the object's pixels, or those that are ignored; of a box where there is no other.
    """

    annotation: Annotation
    kind: Kind
    mask: Rle


class Drawing(NamedTuple):
    """An image's annotations as pixels.

    Attributes:
        drawn: all of them, in the order of the json.
        label_mask: (H, W) int32, 0 background, object k + 1 the k-th annotation.
        ignore: (H, W) bool, not on objects.
    """

    drawn: list[Drawn]
    label_mask: np.ndarray
    ignore: np.ndarray


def covered(drawing: Drawing) -> list[Annotation]:
    """The objects of which smaller ones cover more than :data:`MOST_COVERED`, but not all."""
    seen = np.bincount(drawing.label_mask.ravel(), minlength=len(drawing.drawn) + 1)[1:]
    return [
        each.annotation
        for each, pixels_seen in zip(drawing.drawn, seen.tolist(), strict=True)
        if each.kind == "object" and pixels_seen < (1 - MOST_COVERED) * area(each.mask)
    ]


def kind_at_sight(annotation: Annotation, known: bool, crowds: Crowds) -> Kind:
    """What an annotation is, as far as can be said without drawing it.

    Args:
        annotation: as the json has it.
        known: whether its category is one of the json's.
        crowds: what annotations marked iscrowd are.
    """
    if not known:
        return "unknown"
    if is_in_shares(annotation.outline):
        return "shares"
    if _is_empty(annotation.outline):
        return "box"
    set_aside = annotation.ignore or (annotation.crowd and crowds == "ignore")
    return "crowd" if set_aside else "object"


def has_box(annotation: Annotation) -> bool:
    """Whether its box is one: four numbers, in pixels."""
    try:
        box_mask(annotation.box, 1, 1)
    except ValueError:
        return False
    return not is_in_shares([annotation.box])


def is_in_shares(polygons: Any) -> bool:
    """Whether these are polygons (or boxes) in shares of the image's size, from 0 to 1."""
    if not isinstance(polygons, list) or not all(isinstance(each, list) for each in polygons):
        return False
    if not all(isinstance(v, int | float) and 0 <= v <= 1 for v in chain(*polygons)):
        return False
    return any(0 < v < 1 for v in chain(*polygons))  # else pixels 0 and 1 in a corner


def draw(rows: Sequence[Sorted], height: int, width: int) -> Drawing:
    """Draw the annotations of an image.

    Args:
        rows: the image's annotations, each with what :func:`kind_at_sight` says.
        height, width: of the image.

    Raises:
        ValueError: a segmentation that cannot be read; names the annotation.
    """
    drawn = [_draw(annotation, kind, height, width) for annotation, kind in rows]
    label_mask = np.zeros(height * width, np.int32)
    ignore = np.zeros(height * width, bool)
    largest_first = sorted((-area(each.mask), n) for n, each in enumerate(drawn))
    for _, n in largest_first:
        where = pixels(drawn[n].mask)
        if drawn[n].kind == "object":
            label_mask[where] = n + 1
        else:
            ignore[where] = True
    seen = np.bincount(label_mask, minlength=len(drawn) + 1) > 0
    for n, each in enumerate(drawn):
        if each.kind == "object" and not seen[n + 1]:
            drawn[n] = each._replace(kind="hidden")
    ignore &= label_mask == 0
    # Drawn down the columns, as COCO counts pixels; rows are wanted.
    upright = (np.ascontiguousarray(part.reshape(width, height).T) for part in (label_mask, ignore))
    return Drawing(drawn, *upright)


def _draw(annotation: Annotation, kind: Kind, height: int, width: int) -> Drawn:
    outlined = kind not in ("box", "shares") and not _is_empty(annotation.outline)
    try:
        if outlined:
            mask = segmentation_mask(annotation.outline, height, width)
            if area(mask) > 0:
                return Drawn(annotation, kind, mask)
            kind = _why_empty(annotation.outline, height, width)
        box = annotation.box if has_box(annotation) else (0, 0, 0, 0)
        return Drawn(annotation, kind, box_mask(box, height, width))
    except ValueError as error:
        raise ValueError(
            f"{annotation.name} has a segmentation that cannot be read ({error})"
        ) from error


def _why_empty(outline: Any, height: int, width: int) -> Kind:
    """What is the matter with an outline that has no pixel."""
    if isinstance(outline, dict):
        return "flat"
    if all(len(polygon) < 2 * CORNERS for polygon in outline):
        return "line"
    x, y = ([v for polygon in outline for v in polygon[axis::2]] for axis in (0, 1))
    beside = max(x) <= 0 or min(x) >= width or max(y) <= 0 or min(y) >= height
    return "outside" if beside else "flat"


def _is_empty(outline: Any) -> bool:
    """No outline at all: null, nothing, or polygons without a corner."""
    if isinstance(outline, list):
        return all(isinstance(each, list) and not each for each in outline)
    return outline is None or outline == {} or outline == ""
