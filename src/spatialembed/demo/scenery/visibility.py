"""What is seen of the things in a generated scene, and in which order they are painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from spatialembed.demo.scenery.bodies import BUS, CAR, TRUCK
from spatialembed.demo.scenery.canvas import Flags, FlatMesh, Floats
from spatialembed.demo.scenery.people import PERSON

VEHICLES = (CAR, TRUCK, BUS)

FAR_SCENERY = 45.0
"""Metres beyond which trees and poles are not counted as hiding anything."""


@dataclass
class Part:
    """A mesh of one label: an object, a piece of a group, or scenery (``instance`` False)."""

    flat: FlatMesh
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

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """x0, x1, z0, z1 in metres."""
        low, high = self.ground.min(0), self.ground.max(0)
        return float(low[0]), float(high[0]), float(low[2]), float(high[2])

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
        return self.area * (1.0 if label in VEHICLES else 0.75)

    @staticmethod
    def of(width: int, height: int) -> Limits:
        """Limits of a picture: 120 pixels and 14 rows at 512x256, in proportion elsewhere."""
        scale = width * height / (512 * 256)
        return Limits(max(20.0, 120 * scale), max(6.0, 14 * scale**0.5))


def keep_seen(things: list[Thing], limits: Limits, cover: Flags) -> list[Thing]:
    """Keep what is clearly visible, deciding from near to far: an occluder is decided first."""
    height, width = cover.shape
    kept: list[Thing] = []
    taken: list[tuple[float, float, float, float]] = []
    for thing in sorted(things, key=lambda t: t.bounds[2]):
        if thing.bounds[2] < 3.2 or (thing.counted and _collides(thing.bounds, taken)):
            continue
        if not thing.counted and thing.bounds[2] > FAR_SCENERY:
            kept.append(thing)
            continue
        masks = [_silhouette(part.flat, width, height) for part in thing.parts]
        together = [m for m in masks if m is not None]
        if not together or (
            thing.parts[0].instance
            and (
                len(together) < len(masks)
                or not all(
                    _clear(m, cover, limits, p.label)
                    for m, p in zip(together, thing.parts, strict=True)
                )
            )
        ):
            continue
        for box, mask in together:
            cover[box] |= mask
        kept.append(thing)
        if thing.counted:
            taken.append(thing.bounds)
    return kept


def _collides(
    bounds: tuple[float, float, float, float], taken: list[tuple[float, float, float, float]]
) -> bool:
    x0, x1, z0, z1 = bounds
    return any(x0 < b and a < x1 and z0 < d and c < z1 for a, b, c, d in taken)


Silhouette = tuple[tuple[slice, slice], Flags]


def _silhouette(flat: FlatMesh, width: int, height: int) -> Silhouette | None:
    """Box and mask, at half the canvas, of all that is solid; None where it is out of sight."""
    solid = [p / 2 for p, counts in zip(flat.polygons, flat.solid, strict=True) if counts]
    if not solid:
        return None
    points = np.concatenate(solid)
    x0, y0 = np.maximum(np.floor(points.min(0)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(points.max(0)) + 1, (width, height)).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    picture = Image.new("L", (int(x1 - x0), int(y1 - y0)))
    pen = ImageDraw.Draw(picture)
    for polygon in solid:
        pen.polygon((polygon - (x0, y0)).ravel().tolist(), fill=1)
    return (slice(y0, y1), slice(x0, x1)), np.asarray(picture, dtype=bool)


def _clear(silhouette: Silhouette, cover: Flags, limits: Limits, label: int) -> bool:
    """Whether enough of an object is seen, and it is large enough."""
    box, mask = silhouette
    whole, seen = int(mask.sum()), int((mask & ~cover[box]).sum())
    return (
        mask.shape[0] >= limits.height
        and seen >= limits.area_of(label)
        and seen >= limits.share * whole
    )


def paint_order(things: list[Thing], camera_x: float) -> list[Thing]:
    """Far to near such that a nearer thing is never painted before one it stands in front of."""
    boxes = np.array([t.bounds for t in things]).reshape(-1, 4)
    x0, x1, z0, z1 = boxes.T
    beside = np.maximum(np.maximum(x0 - camera_x, camera_x - x1), 0)
    farther = z0[:, None] >= z1[None] - 1e-6
    nearer = z1[:, None] <= z0[None] + 1e-6
    behind = farther | (~nearer & (beside[:, None] > beside[None] + 1e-6))
    np.fill_diagonal(behind, False)
    left, order = list(range(len(things))), []
    while left:
        # One waits while something behind it is still to be painted.
        waiting = set(np.flatnonzero(behind[np.ix_(left, left)].any(axis=0)).tolist())
        free = [i for k, i in enumerate(left) if k not in waiting] or left
        chosen = max(free, key=lambda i: (z0[i], i))
        left.remove(chosen)
        order.append(things[chosen])
    return order
