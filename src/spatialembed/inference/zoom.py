"""Where an image lies once it is enlarged, and where its pixels lie among the enlarged lines.

An image may be part of a larger one; it is then enlarged as that part of the whole would be.
resizing.py does it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SQUARE = 32
"""Networks see squares of so many pixels at their deepest level, which parts must not shift."""


@dataclass(frozen=True)
class Part:
    """Which rows and columns of a whole image of ``shape`` an image is."""

    rows: slice
    columns: slice
    shape: tuple[int, int]

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Part:
        """All of an image."""
        return cls(slice(0, shape[0]), slice(0, shape[1]), shape)

    @property
    def size(self) -> tuple[int, int]:
        """Its height and width."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the image."""
        return self == Part.whole(self.shape)

    def turned(self, quarters: int, mirror: bool) -> Part:
        """Where the part lies once the whole is turned as by ``numpy.rot90``, then mirrored."""
        part = self
        for _ in range(quarters % 4):
            shape = part.shape[::-1]
            part = Part(_mirrored(part.columns, shape[0]), part.rows, shape)
        if not mirror:
            return part
        return Part(part.rows, _mirrored(part.columns, part.shape[1]), part.shape)

    def ratios(self, zoom: float) -> tuple[float, float]:
        """By how much the whole's x and y are truly enlarged, to a whole number of lines."""
        height, width = self.shape
        return _ratio(width, zoom), _ratio(height, zoom)

    def enlarged(self, zoom: float, square: int = SQUARE) -> Enlarged:
        """The lines of the enlarged whole that lie in the part, from a multiple of that on."""
        sides = zip((self.rows, self.columns), self.shape, strict=True)
        return Enlarged(*(_side(own.start, own.stop, side, zoom, square) for own, side in sides))


@dataclass(frozen=True)
class Side:
    """Lines ``first`` to ``last`` of an enlarged side, and the pixels ``start`` to ``stop``."""

    first: int
    last: int
    start: int
    stop: int
    zoom: float

    @classmethod
    def whole(cls, length: int, zoom: float) -> Side:
        """All of a side of so many pixels."""
        lines = _lines(length, zoom)
        return cls(0, lines, 0, length, _ratio(length, zoom))

    def __len__(self) -> int:
        return self.last - self.first

    @property
    def ends(self) -> tuple[float, float]:
        """Where the lines begin and end, in pixels from ``start``."""
        ends = (line / self.zoom - self.start for line in (self.first, self.last))
        first, last = (min(max(end, 0.0), self.stop - self.start) for end in ends)
        return first, last

    @property
    def places(self) -> np.ndarray:
        """(pixels,) where the pixels' centers lie among the lines' centers, from ``first``."""
        centers = (np.arange(self.start, self.stop) + 0.5) * self.zoom - 0.5
        return (centers - self.first).clip(0, len(self) - 1)


@dataclass(frozen=True)
class Enlarged:
    """A part of an enlarged image."""

    rows: Side
    columns: Side

    @property
    def shape(self) -> tuple[int, int]:
        """Its height and width."""
        return len(self.rows), len(self.columns)

    @property
    def is_same(self) -> bool:
        """Whether its lines are the pixels themselves."""
        sides = (self.rows, self.columns)
        return all((s.first, s.last, s.zoom) == (s.start, s.stop, 1) for s in sides)


def _mirrored(side: slice, length: int) -> slice:
    return slice(length - side.stop, length - side.start)


def _lines(side: int, zoom: float) -> int:
    return max(1, round(side * zoom))


def _ratio(side: int, zoom: float) -> float:
    return _lines(side, zoom) / max(side, 1)


def _side(start: int, stop: int, side: int, zoom: float, square: int) -> Side:
    lines, zoom = _lines(side, zoom), _ratio(side, zoom)
    first = math.ceil(start * zoom / square) * square
    last = lines if stop == side else math.floor(stop * zoom)
    if first >= last:  # a part too narrow to have squares of its own
        first = min(math.floor(start * zoom), lines - 1)
        last = max(last, first + 1)
    return Side(first, last, start, stop, zoom)
