"""Enlarging and shrinking: of images on their way into a network, and of what comes out of it.

An image may be part of a larger one; it is then enlarged as that part of the whole would be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from spatialembed.embedding import Array

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

    def enlarged(self, zoom: float) -> Enlarged:
        """The lines of the enlarged whole that lie in the part."""
        sides = zip((self.rows, self.columns), self.shape, strict=True)
        return Enlarged(*(_side(own.start, own.stop, side, zoom) for own, side in sides))


@dataclass(frozen=True)
class Side:
    """Lines ``first`` to ``last`` of an enlarged side, and the pixels ``start`` to ``stop``."""

    first: int
    last: int
    start: int
    stop: int
    zoom: float

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


def _side(start: int, stop: int, side: int, zoom: float) -> Side:
    lines, zoom = _lines(side, zoom), _ratio(side, zoom)
    first = math.ceil(start * zoom / SQUARE) * SQUARE
    last = lines if stop == side else math.floor(stop * zoom)
    if first >= last:  # a part too narrow to have squares of its own
        first = min(math.floor(start * zoom), lines - 1)
        last = max(last, first + 1)
    return Side(first, last, start, stop, zoom)


def resized(image: Array, to: Enlarged) -> Array:
    """An image (C, H, W) at another size, float32: interpolated, or smoothed first as it shrinks.

    Of a tensor a tensor, on the same device, equal to rounding.
    """
    if to.is_same:
        return image
    if not isinstance(image, np.ndarray):
        return _resampled(_resampled(image, 2, to.columns), 1, to.rows)
    (top, bottom), (left, right) = to.rows.ends, to.columns.ends
    # By PIL and not by torch, which exported models do without.
    channels = [
        Image.fromarray(np.ascontiguousarray(channel)).resize(
            to.shape[::-1], Image.Resampling.BILINEAR, (left, top, right, bottom)
        )
        for channel in image
    ]
    return np.stack([np.asarray(channel) for channel in channels])


def _resampled(image: Array, axis: int, to: Side) -> Array:
    """What PIL does along one axis: torch's own resizing takes no part of an image."""
    import torch

    first, weights = _triangles(to, image.shape[axis])
    shape = [-1 if a == axis else 1 for a in range(3)]
    total: Array = 0.0
    for step, weight in enumerate(weights.T):
        place = torch.from_numpy(np.minimum(first + step, image.shape[axis] - 1)).to(image.device)
        part = torch.from_numpy(weight).to(image.device).reshape(shape)
        total = total + image.index_select(axis, place) * part
    return total


def _triangles(to: Side, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The first of the pixels that each line is a mean of, (L,); their weights (L, K) float32."""
    start, stop = np.array(to.ends, np.float32)  # as PIL has them
    scale = float(stop - start) / len(to)
    reach = max(scale, 1.0)
    center = float(start) + (np.arange(len(to)) + 0.5) * scale
    first = np.maximum((center - reach + 0.5).astype(np.intp), 0)
    last = np.minimum((center + reach + 0.5).astype(np.intp), length)
    place = first[:, None] + np.arange((last - first).max())
    weights = np.maximum(1 - np.abs(place - center[:, None] + 0.5) / reach, 0)
    weights[place >= last[:, None]] = 0
    return first, (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def sampled(maps: Array, at: Enlarged) -> Array:
    """Maps of an enlarged image at the pixels of the image, interpolated between the nearest four.

    Unlike :func:`resized` it does not smooth: what two objects say is mixed at their border alone.

    Args:
        maps: (C, h, w) float32 of numpy, or a tensor of any float type, which stays where it is.

    Returns:
        (C, H, W) float32; ``maps`` itself where it is of that size.
    """
    if at.is_same:
        return maps
    if not isinstance(maps, np.ndarray):
        maps = maps.float()
    for axis, side in ((1, at.rows), (2, at.columns)):
        place = side.places
        below = np.floor(place).astype(np.intp)
        share = np.expand_dims((place - below).astype(np.float32), (0, 3 - axis))
        above = np.minimum(below + 1, len(side) - 1)
        if isinstance(maps, np.ndarray):
            maps = maps.take(below, axis) * (1 - share) + maps.take(above, axis) * share
        else:
            maps = _between(maps, axis, below, above, share)
    return maps


def _between(
    maps: Array, axis: int, below: np.ndarray, above: np.ndarray, share: np.ndarray
) -> Array:
    """The same step for a tensor."""
    import torch

    lower, upper, part = (torch.from_numpy(a).to(maps.device) for a in (below, above, share))
    return maps.index_select(axis, lower) * (1 - part) + maps.index_select(axis, upper) * part
