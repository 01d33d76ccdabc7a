"""Signs that a label mask is none of objects: what is seen in one image, by its parts and rims."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spatialembed.data.checks.hollow import are_rings
from spatialembed.data.parts import (
    AREA,
    BOTTOM,
    LABEL,
    LEFT,
    RIGHT,
    TOP,
    Ints,
    first_parts,
    is_far,
    largest_parts,
    part_map,
)

CLASSES = 10
"""Most ids of a mask that may number classes."""

STRAY_PIXELS, STRAY_SHARE = 5, 0.02
"""Pixels, or share of its object's largest part, up to which a part that lies far away is stray."""

RIM = 4
"""Pixels from its outside that the inside of a border between objects lies at most."""

FULL = 255
"""The value of whatever is no background in a mask of a class, as most tools write it."""


VOIDS = (255, 65535)
"""Ids that other tools give to what is to be ignored."""


class Sign(Enum):
    """What a mask looks like; the values are sentences about a file."""

    SEMANTIC = (
        "has one id in several parts far apart: is it a mask of the class, not of objects? "
        "Give each object an id of its own"
    )
    BINARY = (
        "holds no id but 255, so that all of it is taken as one object: is it a mask of the "
        "class? Give each object an id of its own"
    )
    SHARED = (
        "has ids that lie in several parts far apart: do objects share an id, as where tiles "
        "that count from 1 each were put together? Number its objects anew"
    )
    WRAPPED = (
        "uses every id up to 255, some of them in several parts far apart: had it more objects "
        "than 8 bits can count? Write it with 16 bits"
    )
    BACKGROUND = (
        "has an id that surrounds all others and no or little 0: is its background not 0? "
        "Set that id to 0"
    )
    INVERTED = (
        "has one id around many holes of 0: are objects and background the wrong way round? "
        "Write 0 for the background and an id of its own for each object"
    )
    BORDER = (
        "has a thin border of one id around its objects, as VOC's 255: it is taken as an object. "
        "Set it to 0 there, and mark it in ignore"
    )
    VOID = (
        "has id 255 or 65535 far above its other ids: does it stand for what nobody knows, as in "
        "other tools? It is taken as an object: set it to 0 there, and mark it in ignore"
    )
    INTERPOLATED = (
        "has thin rims of other ids along its objects, each taken as an object: was it resized "
        "with interpolation, or stored in a lossy format? Resize the original with nearest "
        "neighbour"
    )
    PLANES = (
        "has other ids in each plane for what lies above each other: were its planes labelled one "
        "by one? Give each object one id in all its planes"
    )
    OUTLINES = (
        "has objects that are rings, most of them around more than they cover: are they outlines "
        "alone? Fill each with its id"
    )
    FOREIGN = (
        "has ids that are none of Cityscapes': was it resized with interpolation, or stored in a "
        "lossy format? Resize the original with nearest neighbour"
    )
    IGNORED = (
        "has objects that lie wholly where ignore is above 0, so that they teach nothing: is that "
        "image the wrong way round? It is above 0 where nobody knows"
    )
    STRAY = "has stray pixels of an object's id far away from it; remove them"


@dataclass(frozen=True)
class Signs:
    """What one mask shows.

    Attributes:
        objects: how many there are.
        clear: seen beyond doubt.
        hints: seen, but an image alone may look like that without harm.
        shared: objects with other parts of note far from their largest.
        stray: objects with a few pixels far from their largest part.
    """

    objects: int = 0
    clear: frozenset[Sign] = frozenset()
    hints: frozenset[Sign] = frozenset()
    shared: int = 0
    stray: int = 0


def signs_of(
    table: Ints, shape: tuple[int, ...], rims: Sign | None = None, as_stored: bool = True
) -> Signs:
    """Signs of one image.

    Args:
        table: its parts, as :func:`~spatialembed.data.parts.joined` gives them.
        shape: its height and width.
        rims: what else is known of it, such as of :func:`rim_sign`.
        as_stored: whether ids are those of a mask's file, which say something by themselves.
    """
    surrounded = as_stored and _surrounds(table, shape)
    labels = table[first_parts(table), LABEL]
    pieces = pieces_of(table[:, AREA])
    return signs_by_parts(labels, *_far_parts(table), rims, surrounded, as_stored, pieces)


def signs_by_parts(
    labels: NDArray[np.integer],
    far: Ints,
    stray: Ints,
    rims: Sign | None = None,
    surrounded: bool = False,
    as_stored: bool = True,
    pieces: int = 1,
) -> Signs:
    """Signs of one image or volume, of what is known of its n objects.

    Args:
        labels: (n,) their ids, in order.
        far, stray: (n,) how many parts of each lie far from its largest one, of note and stray.
        rims, as_stored: as for :func:`signs_of`.
        surrounded: whether an id reaches all borders around the others.
        pieces: parts of note that all of it lies in, near or far.
    """
    shared, strays = np.count_nonzero(far), np.count_nonzero(stray)
    clear: set[Sign] = set()
    hints: set[Sign] = set()
    # One cause a mask: a background of its own, say, also lies in several parts far apart.
    if rims is not None:
        clear.add(rims)
        if rims is Sign.BORDER and shared == len(labels):  # classes: inside and border
            clear.add(Sign.SEMANTIC)
    elif surrounded:
        (clear if len(labels) > 2 else hints).add(Sign.BACKGROUND)
    elif as_stored and labels.tolist() == [FULL] and not shared:
        (clear if pieces > 1 else hints).add(Sign.BINARY)
    elif as_stored and shared and labels[-1] == FULL and len(labels) >= FULL - 5:
        clear.add(Sign.WRAPPED)
    elif 2 * shared >= len(labels) > CLASSES:
        clear.add(Sign.SHARED)
    elif shared and 2 * shared >= len(labels):
        # What stands in front of an object may cut it up: then others in the image are whole.
        alike = as_stored and shared == len(labels) and (far.max() > 2 or labels[0] == FULL)
        (clear if alike else hints).add(Sign.SEMANTIC)
    if as_stored and rims is None and not surrounded and _ends_in_void(labels):
        clear.add(Sign.VOID)
    return Signs(len(labels), frozenset(clear), frozenset(hints), int(shared), int(strays))


def _ends_in_void(labels: NDArray[np.integer]) -> bool:
    """Whether the highest id is one of :data:`VOIDS`, and the others count up from 1 far below."""
    if len(labels) < 2 or labels[-1] not in VOIDS:
        return False
    highest = int(labels[-2])
    return highest < FULL / 2 and 2 * (len(labels) - 1) >= highest


def rim_sign(label_mask: NDArray[np.integer]) -> Sign | None:
    """What the rims of the objects of a mask (H, W), or of a block of one, say of it."""
    ids = np.unique(label_mask)
    ids = ids[ids > 0]
    if len(ids) == 1 and _is_inverted(label_mask > 0):
        return Sign.INVERTED
    if len(ids) < 2:
        return None
    if _is_border(label_mask, int(ids[-1])):
        return Sign.BORDER
    if are_rings(label_mask):
        return Sign.OUTLINES
    return Sign.INTERPOLATED if _has_fringes(label_mask) else None


def ignored_sign(label_mask: NDArray[np.integer], ignore: NDArray[np.bool_]) -> Sign | None:
    """Whether most objects of a mask (H, W) are ignored altogether."""
    if not ignore.any():
        return None
    known, objects = (np.count_nonzero(np.unique(m)) for m in (label_mask[~ignore], label_mask))
    return Sign.IGNORED if 2 * known < objects else None


def _far_parts(table: Ints) -> tuple[Ints, Ints]:
    """(n,) of every object: parts of note that lie far from its largest one, and stray ones."""
    first = first_parts(table)
    count = len(first)
    number = np.repeat(np.arange(count), np.diff(first, append=len(table)))
    area, bulk = table[:, AREA], largest_parts(table)[:, AREA]
    far = is_far(table)
    stray = far & is_stray(area, bulk)
    others, strays = number[far & ~stray], number[stray]
    return np.bincount(others, minlength=count), np.bincount(strays, minlength=count)


def pieces_of(area: NDArray[np.integer]) -> int:
    """How many parts are of note, by the pixels of each."""
    return int(np.count_nonzero(~is_stray(area, area.max(initial=0))))


def is_stray(
    area: NDArray[np.integer], bulk: NDArray[np.integer] | np.integer
) -> NDArray[np.bool_]:
    """Whether parts that lie far away are stray, by their pixels and their largest part's."""
    found: NDArray[np.bool_] = area <= np.maximum(STRAY_PIXELS, STRAY_SHARE * bulk)
    return found & (4 * area <= bulk)


def _surrounds(table: Ints, shape: tuple[int, ...]) -> bool:
    """Whether a part reaches all borders and hardly a pixel is 0."""
    pixels = shape[0] * shape[1]
    if table[:, AREA].sum() < 0.75 * pixels:  # lines of 0 may lie between objects
        return False
    part = table[table[:, AREA].argmax()]
    near = part[TOP] <= 2 and part[LEFT] <= 2
    ends = part[BOTTOM] >= shape[0] - 2 and part[RIGHT] >= shape[1] - 2
    return bool(near and ends and part[AREA] >= pixels / 3)


def _is_inverted(filled: NDArray[np.bool_]) -> bool:
    """Whether most is filled, up to all borders, but for several holes."""
    sides = (filled[0], filled[-1], filled[:, 0], filled[:, -1])
    if filled.mean() < 0.5 or not all(side.mean() > 0.5 for side in sides):
        return False
    holes, count = ndimage.label(~filled)
    at_border = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    return bool(count >= 3 and count >= 2 * np.count_nonzero(at_border))


def _is_border(label_mask: NDArray[np.integer], label: int) -> bool:
    """Whether one id is thin everywhere and lies along most outlines of the others."""
    of_label = label_mask == label
    (rows, columns), *_ = ndimage.find_objects(of_label.astype(np.int8))
    if ndimage.distance_transform_cdt(np.pad(of_label[rows, columns], 1)).max() > RIM:
        return False
    one, other = _meeting(label_mask)
    outline = (one > 0) & (one != label)
    return bool(np.mean(other[outline] == label) > 0.5)


def _has_fringes(label_mask: NDArray[np.integer]) -> bool:
    """Whether most of the outline of parts that have an inside lies along parts that have none."""
    parts = part_map(label_mask)
    count = int(parts.max()) + 1
    thick = np.bincount(parts[_inside(parts)], minlength=count) > 0
    one, other = _meeting(parts)
    outline = thick[one]
    return bool(outline.any() and np.mean((other[outline] > 0) & ~thick[other[outline]]) > 0.5)


def _inside(parts: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Pixels of parts whose four neighbours are of the same part, or outside of the image."""
    around = np.pad(parts, 1, "edge")
    sides = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    inside: NDArray[np.bool_] = (parts > 0) & np.logical_and.reduce(
        [each == parts for each in sides]
    )
    return inside


def _meeting(array: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Values of all pairs of pixels that differ and touch, at a side or a corner, both ways."""
    views = (
        (array[:, 1:], array[:, :-1]),
        (array[1:], array[:-1]),
        (array[1:, 1:], array[:-1, :-1]),
        (array[1:, :-1], array[:-1, 1:]),
    )
    pairs = [(one[differ], other[differ]) for one, other in views for differ in [one != other]]
    one, other = map(np.concatenate, zip(*pairs, strict=True))
    return np.concatenate([one, other]), np.concatenate([other, one])
