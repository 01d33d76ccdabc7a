"""Shapes that a tool drew on one image, as pixels: polygons by pycocotools, as in training."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from spatialembed.convert.picture import Notes
from spatialembed.data.annotations.masks import CORNERS, Rle, area, box_mask, segmentation_mask
from spatialembed.errors import UserError
from spatialembed.formats.coco_results import compressed_rle

BOXES = "boxes, which do not say which pixels are the object's: ignored there"
LINES = "points, lines and texts, which have no area: left out"
EMPTY = "objects without a pixel in their image: left out"

_TURNS = 90
"""Corners of an ellipse."""


class Canvas:
    """The shapes of one image.

    Args:
        file: that has the annotations, for messages.
        size: height and width of the image.
        notes: what is lost is noted there.
    """

    def __init__(self, file: Path, size: tuple[int, int], notes: Notes) -> None:
        self.file, self.size, self.notes = file, size, notes
        self._parts: dict[Hashable, tuple[str, list[Rle]]] = {}
        self._boxes: list[tuple[Hashable, str, Rle]] = []

    def polygon(self, what: str, name: str, points: Any, group: Hashable = None) -> None:
        """Add the inside of a line through ``points``, pairs x, y in pixels.

        Args:
            what: the shape is called in messages.
            name: of its class.
            points: at least three.
            group: shapes of one class and group, which is not None, are one object.

        Raises:
            UserError: too few points, or what are none.
        """
        if isinstance(points, Sequence) and len(points) < CORNERS:
            raise self.wrong(what, f"is a polygon of {len(points)} points")
        try:
            mask = segmentation_mask([list(chain.from_iterable(points))], *self.size)
        except (TypeError, ValueError) as error:
            raise self.wrong(what, f"is no polygon that can be drawn ({error})") from error
        self.add(name, mask, group)

    def ellipse(
        self, what: str, name: str, center: Any, radii: Any, degrees: Any = 0, group: Any = None
    ) -> None:
        """Add an ellipse: x, y of its center, its two radii and how it is turned, clockwise."""
        try:
            (x, y), (a, b) = center, radii
            angles = np.arange(_TURNS) * (2 * math.pi / _TURNS)
            points = _turned(x + a * np.cos(angles), y + b * np.sin(angles), center, degrees)
        except (TypeError, ValueError) as error:
            raise self.wrong(what, "is no ellipse of numbers") from error
        self.polygon(what, name, points, group)

    def bitmap(self, name: str, mask: np.ndarray, x: int, y: int, group: Hashable = None) -> None:
        """Add what is not 0 of an array (h, w) whose upper left pixel is at x, y."""
        height, width = self.size
        left, top = max(-x, 0), max(-y, 0)
        inside = mask[top : max(height - y, 0), left : max(width - x, 0)] != 0
        self.add(name, compressed_rle(inside, (max(y, 0), max(x, 0)), self.size), group)

    def box(
        self,
        what: str,
        name: str,
        corners: Any,
        group: Hashable = None,
        degrees: Any = 0,
        center: Any = None,
    ) -> None:
        """Note that something is within x0, y0, x1, y1, but not which pixels.

        It may be turned, clockwise, around a point, or else around its middle.
        """
        try:
            x0, y0, x1, y1 = map(float, corners)
            mask = box_mask((min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)), *self.size)
            if float(degrees):
                xs, ys = np.array([x0, x1, x1, x0]), np.array([y0, y0, y1, y1])
                points = _turned(xs, ys, center or ((x0 + x1) / 2, (y0 + y1) / 2), degrees)
                mask = segmentation_mask([list(chain.from_iterable(points))], *self.size)
        except (TypeError, ValueError) as error:
            raise self.wrong(what, "is no box of four numbers") from error
        self._boxes.append((self._key(name, group), name, mask))

    def corners(self, what: str, name: str, points: Any, group: Hashable = None) -> None:
        """Note the same of a box by two of its corners or, as where it is turned, all of them."""
        try:
            if len(points) < 2:
                raise ValueError
            if len(points) == 2:
                self.box(what, name, chain.from_iterable(points), group)
                return
            mask = segmentation_mask([list(chain.from_iterable(points))], *self.size)
        except (TypeError, ValueError) as error:
            raise self.wrong(what, "is no box of corners") from error
        self._boxes.append((self._key(name, group), name, mask))

    def line(self, what: str) -> None:
        """Note a shape that has no area."""
        self.notes.add(LINES, f"{self.file}, {what}")

    def add(self, name: str, mask: Rle, group: Hashable = None) -> None:
        """Add pixels."""
        self._parts.setdefault(self._key(name, group), (name, []))[1].append(mask)

    def objects(self) -> list[tuple[str, Rle]]:
        """Class and pixels of every object that has some."""
        found = []
        for name, parts in self._parts.values():
            mask = parts[0] if len(parts) == 1 else dict(coco.merge(parts))
            if area(mask):
                found.append((name, mask))
            else:
                self.notes.add(EMPTY, f"{self.file}, of {name}")
        return found

    def ignored(self) -> list[tuple[str, Rle]]:
        """Class and pixels of the boxes that are of no object that is drawn, too."""
        found = [(name, mask) for key, name, mask in self._boxes if key not in self._parts]
        if found:
            self.notes.add(BOXES, self.file, len(found))
        return [each for each in found if area(each[1])]

    def wrong(self, what: str, how: str) -> UserError:
        """The error for a shape."""
        return UserError(f"{self.file}: {what} {how}; draw it anew in the tool, or delete it there")

    def _key(self, name: str, group: Hashable) -> Hashable:
        return (name, group) if group is not None else len(self._parts) + len(self._boxes)


def _turned(xs: np.ndarray, ys: np.ndarray, center: Any, degrees: Any) -> list[list[float]]:
    """Points, turned clockwise as they are seen, y down."""
    (x, y), turn = center, math.radians(degrees)
    across, down = xs - x, ys - y
    right = x + across * math.cos(turn) - down * math.sin(turn)
    below = y + across * math.sin(turn) + down * math.cos(turn)
    points: list[list[float]] = np.stack([right, below], axis=1).tolist()
    return points
