"""An annotated image, whatever tool its annotations are of, and what was lost on the way here."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco

from spatialembed.data.annotations.masks import Rle, area, pixels
from spatialembed.data.data_set import Split
from spatialembed.files.names import stem

OBJECT = "object"
"""The class of objects that have none."""

_ENDINGS = ("_img", "_masks", "_ignore", "_flows", "_overlay")
"""How names may not end, as label folders take these away, or take such files for none."""


class Picture(NamedTuple):
    """An image and its annotations."""

    image: Path
    name: str
    """Of the image below the set's folder, without suffix."""
    split: Split
    size: tuple[int, int]
    """Height and width."""
    objects: list[tuple[str, Rle]]
    """Class and pixels of each; they may overlap."""
    ignored: list[tuple[str, Rle]]
    """Where nobody knows: class and pixels."""


@dataclass
class Notes:
    """What could not be taken along: how often, and the first example of each kind."""

    lost: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, what: str, where: object, count: int = 1) -> None:
        """Note ``count`` things of one kind.

        Args:
            what: they are and became, in the plural.
            where: the first is.
        """
        before, first = self.lost.get(what, (0, str(where)))
        self.lost[what] = before + count, first

    def lines(self) -> list[str]:
        """A line each."""
        return [f"{count} {what} (first: {at})" for what, (count, at) in self.lost.items()]


class Placed(NamedTuple):
    """A picture and the file, below some folder, that its image becomes."""

    picture: Picture
    folder: str
    """Its split, or nothing where all are of one and splits are not wanted."""
    name: str
    """Without suffix; no other of the folder has it."""
    suffix: str

    @property
    def file(self) -> str:
        """With ``/`` between the parts."""
        return f"{self.folder}/{self.name}{self.suffix}".lstrip("/")


def placed(pictures: Sequence[Picture], splits: bool = True) -> list[Placed]:
    """Pictures with names that are unique in each split.

    Args:
        pictures: of any splits.
        splits: have a folder of the split even if there is one alone.
    """
    several = splits or len({picture.split for picture in pictures}) > 1
    short = Counter((p.split, stem(p.image.name).lower()) for p in pictures)
    taken: set[tuple[str, str]] = set()
    found = []
    for picture in pictures:
        name = stem(picture.image.name)
        if short[picture.split, name.lower()] > 1:
            name = picture.name.replace("/", "_").replace("\\", "_")
        name += "-" * name.endswith(_ENDINGS)
        free, number = name, 1
        while (picture.split, free.lower()) in taken:
            free, number = f"{name}_{number + 1}", number + 1
        taken.add((picture.split, free.lower()))
        base, suffix = os.path.splitext(picture.image.name)
        suffix = base[-4:] * base.lower().endswith(".ome") + suffix
        found.append(Placed(picture, picture.split if several else "", free, suffix))
    return found


def class_names(pictures: Sequence[Picture]) -> list[str]:
    """Names of all classes, sorted; "object" where there is none."""
    held = {name for each in pictures for name, _ in (*each.objects, *each.ignored)}
    return sorted(held) or [OBJECT]


def overlap(picture: Picture) -> bool:
    """Whether objects have pixels in common."""
    masks = [mask for _, mask in picture.objects]
    return len(masks) > 1 and sum(map(area, masks)) > area(dict(coco.merge(masks)))


def painted(masks: Sequence[Rle], size: tuple[int, int]) -> np.ndarray:
    """(H, W) int32: pixel of the k-th mask k + 1, else 0; of two the smaller is seen."""
    height, width = size
    found = np.zeros(height * width, np.int32)
    for k in sorted(range(len(masks)), key=lambda k: -area(masks[k])):
        found[pixels(masks[k])] = k + 1
    return np.ascontiguousarray(found.reshape(width, height).T)


def cut_out(mask: Rle) -> tuple[int, int, np.ndarray]:
    """x and y of a mask's box, and (h, w) bool what is in it; of a mask that has a pixel."""
    x, y, width, height = (int(value) for value in coco.toBbox(mask))
    columns, rows = np.divmod(pixels(mask), mask["size"][0])
    found = np.zeros((height, width), bool)
    found[rows - y, columns - x] = True
    return x, y, found
