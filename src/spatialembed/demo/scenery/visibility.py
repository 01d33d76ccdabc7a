"""What is seen of the things in a generated scene, and in which order they are painted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from spatialembed.demo.scenery.canvas import Flags, Flat, Floats
from spatialembed.demo.scenery.label_ids import BUS, CAR, PERSON, TRUCK

FAR_SCENERY = 45.0
"""Metres beyond which trees and poles are not counted as hiding anything."""

Bounds: TypeAlias = tuple[float, float, float, float]
"""x0, x1, z0, z1 on the ground in metres."""


@dataclass
class Part:
    """A mesh of one label: an object, a piece of a group, or scenery (``instance`` False)."""

    flat: Flat
    label: int
    instance: bool
    code: int = 0
    """What is written into the map of ids while the scene is drawn."""


@dataclass
class Thing:
    """What stands in one place: parts drawn together, the ground they cover, how high they are."""

    parts: list[Part]
    ground: Floats
    """(N, 3) corners of the covered ground, or of the shade right below."""
    height: float

    @cached_property
    def bounds(self) -> Bounds:
        """Of its ground."""
        (x0, _, z0), (x1, _, z1) = self.ground.min(0).tolist(), self.ground.max(0).tolist()
        return x0, x1, z0, z1

    @property
    def wide(self) -> bool:
        """Whether it covers more than a square metre."""
        x0, x1, z0, z1 = self.bounds
        return (x1 - x0) * (z1 - z0) > 1

    @property
    def counted(self) -> bool:
        """Whether it is an object or a group, rather than scenery."""
        return self.parts[0].label >= PERSON

    def too_small(self, seen: np.ndarray, limits: Limits) -> bool:
        """Whether an object of it shows fewer pixels than asked for, ``seen`` being by code."""
        return any(p.instance and seen[p.code] < 0.67 * limits.area_of(p.label) for p in self.parts)


@dataclass(frozen=True)
class Limits:
    """What is too little of an object to be asked for, in pixels of the finished picture."""

    area: float
    height: float
    share: float = 0.35
    """Least visible share of an object when the scene is composed."""

    def area_of(self, label: int) -> float:
        """Least visible area of an object: persons and two-wheelers are slender."""
        return self.area * (1.0 if label in (CAR, TRUCK, BUS) else 0.75)

    @staticmethod
    def of(width: int, height: int) -> Limits:
        """Limits of a picture: 120 pixels and 14 rows at 512x256, in proportion elsewhere."""
        scale = width * height / (512 * 256)
        return Limits(max(20.0, 120 * scale), max(6.0, 14 * scale**0.5))


def overlap(one: Bounds, other: Bounds, margin: float = 0.0) -> bool:
    """Whether two patches of ground lie within ``margin`` metres of each other."""
    (x0, x1, z0, z1), (a, b, c, d) = one, other
    return a - margin < x1 and x0 < b + margin and c - margin < z1 and z0 < d + margin


def keep_seen(things: list[Thing], limits: Limits, cover: Flags) -> list[Thing]:
    """Keep what is clearly visible, deciding from near to far: an occluder is decided first."""
    kept: list[Thing] = []
    for thing in sorted(things, key=lambda t: t.bounds[2]):
        taken = [k.bounds for k in kept if k.counted] if thing.counted else []
        if thing.bounds[2] < 3.2 or any(overlap(thing.bounds, other) for other in taken):
            continue
        if thing.counted or thing.bounds[2] <= FAR_SCENERY:
            shapes = [_silhouette(part.flat, cover) for part in thing.parts]
            if not _shown(thing, shapes, cover, limits):
                continue
            for box, mask in shapes:
                cover[box] |= mask
        kept.append(thing)
    return kept


Silhouette: TypeAlias = tuple[tuple[slice, slice], Flags]


def _silhouette(flat: Flat, cover: Flags) -> Silhouette:
    """Box and mask, at half the canvas, of all that is solid; empty where it is out of sight."""
    polygons = [points / 2 for points, _, solid in flat if solid]
    points = np.concatenate(polygons)
    x0, y0 = np.maximum(np.floor(points.min(0)), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(points.max(0)) + 1, cover.shape[::-1]).astype(int).tolist()
    if x1 - x0 < 2 or y1 - y0 < 2:
        return (slice(0), slice(0)), np.zeros((0, 0), dtype=bool)
    picture = Image.new("1", (x1 - x0, y1 - y0))
    pen = ImageDraw.Draw(picture)
    for polygon in polygons:
        pen.polygon((polygon - (x0, y0)).ravel().tolist(), fill=1)
    return (slice(y0, y1), slice(x0, x1)), np.asarray(picture)


def _shown(thing: Thing, shapes: list[Silhouette], cover: Flags, limits: Limits) -> bool:
    """Whether each object is large enough and enough of it is seen, or any of all else."""
    if not thing.parts[0].instance:
        return any(mask.size for _, mask in shapes)
    for part, (box, mask) in zip(thing.parts, shapes, strict=True):
        least = max(limits.area_of(part.label), limits.share * mask.sum())
        if len(mask) < limits.height or (mask & ~cover[box]).sum() < least:
            return False
    return True


def paint_order(things: list[Thing], camera_x: float) -> list[Thing]:
    """Far to near such that a nearer thing is never painted before one it stands in front of."""
    x0, x1, z0, z1 = np.array([t.bounds for t in things]).reshape(-1, 4).T
    beside = np.maximum(np.maximum(x0 - camera_x, camera_x - x1), 0)
    farther = z0[:, None] >= z1 - 1e-6
    behind = farther | (~farther.T & (beside[:, None] > beside + 1e-6))
    np.fill_diagonal(behind, False)
    left, order = list(range(len(things))), []
    while left:
        # One waits while something behind it is still to be painted.
        waits = behind[np.ix_(left, left)].any(axis=0)
        free = [left[k] for k in np.flatnonzero(~waits)] or left
        chosen = max(free, key=lambda i: (z0[i], i))
        left.remove(chosen)
        order.append(things[chosen])
    return order
