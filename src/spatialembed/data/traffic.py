"""Who is on the street of a generated scene: candidates, of which those clearly seen are kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from .drawing import Camera, FlatPolygon, Floats, Light, Polygon, flatten
from .people import (
    BICYCLE,
    MOTORCYCLE,
    PERSON,
    RIDER,
    draw_bicycle,
    draw_motorcycle,
    draw_person,
)
from .street import STATIC, TREE, Street, bin_, pole, tree
from .vehicles import BODIES, CAR, Body, Placed, draw_cargo, draw_vehicle, footprint, random_body

FAR_CARS = 120.0
"""Metres up to which cars are considered; the camera then decides which are large enough."""


@dataclass
class Part:
    """Polygons of one label: an object, a piece of a group, or scenery (``instance`` False)."""

    polygons: list[Polygon]
    label: int
    instance: bool
    flat: list[FlatPolygon] = field(default_factory=list)
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
    def counted(self) -> bool:
        """Whether it is an object or a group, rather than scenery."""
        return self.parts[0].label >= PERSON


@dataclass(frozen=True)
class Limits:
    """What is too little of an object to be asked for, in pixels of the finished picture."""

    area: float
    height: float
    share: float = 0.3
    """Least visible share of an object when the scene is composed."""

    @staticmethod
    def of(width: int, height: int) -> Limits:
        """Limits of a picture: 90 pixels and 12 rows at 512x256, in proportion elsewhere."""
        scale = width * height / (512 * 256)
        return Limits(max(16.0, 90 * scale), max(5.0, 12 * scale**0.5))


def populate(
    street: Street, camera: Camera, light: Light, rng: np.random.Generator, limits: Limits
) -> list[Thing]:
    """Vehicles, persons, trees and poles of a scene, those that are clearly seen, near to far."""
    things = _Crowd(street, camera, light, rng, limits).run()
    return _seen(things, camera, limits)


class _Crowd:
    """Draws candidates one after the other; holds what every step of it needs."""

    def __init__(
        self,
        street: Street,
        camera: Camera,
        light: Light,
        rng: np.random.Generator,
        limits: Limits,
    ) -> None:
        self.street, self.camera, self.light, self.rng = street, camera, light, rng
        self.things: list[Thing] = []
        # farther than this a car is lower than the limit (2 pixels of the canvas are one)
        self.reach = min(FAR_CARS, 1.5 * camera.focal / 2 / limits.height)

    def run(self) -> list[Thing]:
        self._lanes()
        self._parked()
        self._crossing()
        self._beside()
        self._people()
        if self.rng.random() < 0.4:
            self._far_cars()
        return self.things

    # vehicles --------------------------------------------------------------------------------

    def _vehicle(self, x: float, z: float, heading: float, kind: str | None = None) -> float:
        """Place a vehicle; its length."""
        if kind == "truck":
            return self._truck(x, z, heading)
        body, at = random_body(self.rng, kind), Placed(x, z, heading)
        polygons = draw_vehicle(body, at, self.camera, self.light, self.rng)
        self._add(polygons, body.label, footprint(body, at), body.height)
        return body.length

    def _truck(self, x: float, z: float, heading: float) -> float:
        cab, length = BODIES["truck"], self.rng.uniform(5, 7)
        ahead = np.array([np.sin(heading), np.cos(heading)])
        front = Placed(*(np.array([x, z]) + ahead * (length / 2 + 0.1)), heading)
        back = Placed(*(np.array([x, z]) - ahead * (cab.length / 2 + 0.1)), heading)
        pieces = [
            (back.z, draw_cargo(back, length, self.camera, self.light, self.rng)),
            (front.z, draw_vehicle(cab, front, self.camera, self.light, self.rng)),
        ]
        polygons = [p for _, part in sorted(pieces, key=lambda piece: -piece[0]) for p in part]
        whole = Body(cab.label, length + cab.length, 2.5, 3.5, cab.top, (0, 0), (0, 0))
        self._add(polygons, cab.label, footprint(whole, Placed(x, z, heading)), 3.5)
        return whole.length

    def _lanes(self) -> None:
        rng = self.rng
        for k, (lane, way) in enumerate(self.street.lanes):
            z = rng.uniform(9, 24) if k == 0 else rng.uniform(5, 22)
            heading = 0.0 if way > 0 else np.pi
            while z < self.reach:
                kind = str(rng.choice(["", "bus", "truck", "motor"], p=[0.86, 0.05, 0.05, 0.04]))
                x = lane + rng.uniform(-0.25, 0.25)
                z += 3.5 if kind in ("bus", "truck") else 0.0
                if kind == "motor":
                    self._two_wheeler(x, z, heading, True)
                    length = 2.0
                else:
                    turn = rng.uniform(-0.05, 0.05)
                    length = self._vehicle(x, z + 2, heading + turn, kind or None)
                z += length + 2.5 + rng.exponential(9.0 if way < 0 else 14.0)

    def _parked(self) -> None:
        rng = self.rng
        for middle, depth, turn in self.street.parking:
            full = rng.uniform(0.3, 0.75)
            step = 6.0 if turn == 0 else 3.1
            away = middle > 0
            z = rng.uniform(4, 8)
            # a slanting row is narrow slots side by side: farther ones would be hidden anyhow
            while z < min(self.reach, 45.0 if turn == 0 else 32.0):
                z += step * rng.uniform(1.0, 1.15)
                if rng.random() > full or not self._beside_crossing(z):
                    continue
                kind = "van" if rng.random() < 0.06 else None
                heading = turn if turn else (0.0 if away or rng.random() < 0.4 else np.pi)
                nose_in = turn != 0 and rng.random() < 0.3
                heading += np.pi * nose_in + rng.uniform(-0.04, 0.04)
                self._vehicle(middle + rng.uniform(-0.15, 0.15), z, heading, kind)

    def _crossing(self) -> None:
        if self.street.crossing is None or self.street.crossing[0] > self.reach:
            return
        near, far = self.street.crossing
        for share, way in ((0.28, 1), (0.72, -1)):
            x = self.rng.uniform(-14, -4)
            while x < 16:
                if self.rng.random() < 0.5:
                    z = near + (far - near) * share
                    kind = "bus" if self.rng.random() < 0.06 else None
                    heading = way * np.pi / 2 + self.rng.uniform(-0.1, 0.1)
                    if self._free(x, z):
                        x += self._vehicle(x, z, heading, kind)
                x += self.rng.uniform(3, 10)

    def _far_cars(self) -> None:
        """Cars too far to be told apart: a group region, as annotators mark them."""
        rng, parts, corners = self.rng, [], []
        z = max(self.reach * 1.05, 40.0)
        side = self.street.lanes[-1][0] if rng.random() < 0.5 else self.street.right - 1.2
        for k in range(int(rng.integers(4, 8))):
            at = Placed(side + rng.uniform(-0.6, 0.6), z + 5.2 * k, float(rng.choice([0, np.pi])))
            body = random_body(rng)
            polygons = draw_vehicle(body, at, self.camera, self.light, rng)
            parts.insert(0, Part(polygons, CAR, False))
            corners.append(footprint(body, at))
        self.things.append(Thing(parts, np.concatenate(corners), 1.5))

    # people ----------------------------------------------------------------------------------

    def _two_wheeler(self, x: float, z: float, heading: float, motor: bool = False) -> None:
        draw = draw_motorcycle if motor else draw_bicycle
        machine, rider = draw(x, z, heading, self.camera, self.light, self.rng)
        parts = [Part(machine, MOTORCYCLE if motor else BICYCLE, True), Part(rider, RIDER, True)]
        self.things.append(Thing(parts, _square(x, z, 0.5), 1.7))

    def _people(self) -> None:
        rng, street = self.rng, self.street
        for _ in range(int(rng.poisson(2.2))):
            self._walker(*self._sidewalk(7, 32))
        if street.crossing and rng.random() < 0.5:
            z = street.crossing[0] - 2.2
            for _ in range(int(rng.integers(1, 4))):
                self._walker(rng.uniform(street.left, street.right), z + rng.uniform(-0.8, 0.8))
        for _ in range(int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1]))):
            side = float(rng.choice([street.left + 0.8, street.right - 0.8]))
            z = rng.uniform(8, 26)
            if self._free(side, z):
                self._two_wheeler(side, z, (0.0 if side > 0 else np.pi) + rng.uniform(-0.3, 0.3))
        if rng.random() < 0.2:
            self._group()

    def _walker(self, x: float, z: float) -> None:
        if self._free(x, z):
            polygons = draw_person(x, z, self.camera, self.light, self.rng)
            self._add(polygons, PERSON, _square(x, z, 0.25), 1.75)

    def _group(self) -> None:
        """People or bicycles packed so close that they are one region without instances."""
        rng, bicycles = self.rng, self.rng.random() < 0.4
        x, z = self._sidewalk(12, 28)
        parts = []
        for _ in range(int(rng.integers(4, 8))):
            a, b = x + rng.uniform(-0.9, 0.9), z + rng.uniform(-0.5, 0.5)
            if bicycles:
                polygons, _ = draw_bicycle(a, b, np.pi / 2, self.camera, self.light, rng)
            else:
                polygons = draw_person(a, b, self.camera, self.light, rng)
            parts.append(Part(polygons, BICYCLE if bicycles else PERSON, False))
        if self._free(x, z):
            self.things.append(Thing(parts, _square(x, z, 1.2), 1.7))

    # beside the road -------------------------------------------------------------------------

    def _sidewalk(self, near: float, far: float) -> tuple[float, float]:
        street, rng = self.street, self.rng
        z = rng.uniform(near, far)
        if rng.random() < 0.5:
            return rng.uniform(street.walls[0] + 0.8, street.left - 0.6), z
        return rng.uniform(street.right + 0.6, street.walls[1] - 0.8), z

    def _beside(self) -> None:
        """Trees, lamps, signs and bins along the curbs."""
        rng, street = self.rng, self.street
        for side, curb in ((-1, street.left), (1, street.right)):
            planted = rng.random() < 0.6
            z = rng.uniform(7, 16)
            while z < 90:
                if self._beside_crossing(z):
                    if planted and rng.random() < 0.7:
                        self._tree(curb + side * rng.uniform(0.9, 1.6), z)
                    elif rng.random() < 0.5:
                        kind = "lamp" if rng.random() < 0.6 else "sign"
                        self._pole(curb + side * 0.45, z, kind, side)
                    if rng.random() < 0.1 and z < 40:
                        polygons = bin_(curb + side * 0.9, z + 2, self.light, rng)
                        ground = _square(curb + side * 0.9, z + 2, 0.3)
                        self.things.append(Thing([Part(polygons, STATIC, False)], ground, 1.0))
                z += rng.uniform(7, 15)
            if street.crossing and rng.random() < 0.6:
                self._pole(curb + side * 0.4, street.crossing[0] - 0.8, "light", side)

    def _tree(self, x: float, z: float) -> None:
        height = self.rng.uniform(5, 8.5)
        leaves = int(np.clip(1500 / z, 16, 110))
        polygons = tree(x, z, height, self.light, self.rng, leaves)
        self.things.append(Thing([Part(polygons, TREE, False)], _square(x, z, 0.2), height))

    def _pole(self, x: float, z: float, kind: str, side: int) -> None:
        drawn = pole(x, z, kind, side, self.light, self.rng)
        parts = [Part(polygons, label, False) for polygons, label in drawn]
        self.things.append(Thing(parts, _square(x, z, 0.1), 2.5))

    def _add(self, polygons: list[Polygon], label: int, ground: Floats, height: float) -> None:
        self.things.append(Thing([Part(polygons, label, True)], ground, height))

    def _beside_crossing(self, z: float) -> bool:
        crossing = self.street.crossing
        return crossing is None or not crossing[0] - 4.5 < z < crossing[1] + 3

    def _free(self, x: float, z: float) -> bool:
        """Whether nothing placed so far is within a step of a point on the ground."""
        boxes = [t.bounds for t in self.things if t.counted]
        return not any(
            x0 - 0.6 < x < x1 + 0.6 and z0 - 0.6 < z < z1 + 0.6 for x0, x1, z0, z1 in boxes
        )


def _square(x: float, z: float, half: float) -> Floats:
    points = [[-half, 0, -half], [half, 0, -half], [half, 0, half], [-half, 0, half]]
    return np.array(points) + (x, 0, z)


# what is seen --------------------------------------------------------------------------------


def _seen(things: list[Thing], camera: Camera, limits: Limits) -> list[Thing]:
    """Keep what is clearly visible, deciding from near to far: an occluder is decided first."""
    width, height = camera.width // 2, camera.height // 2
    cover = np.zeros((height, width), dtype=bool)
    kept: list[Thing] = []
    taken: list[tuple[float, float, float, float]] = []
    for thing in sorted(things, key=lambda t: t.bounds[2]):
        if thing.bounds[2] < 3.2 or (thing.counted and _collides(thing.bounds, taken)):
            continue
        masks = []
        for part in thing.parts:
            part.flat = flatten(camera, part.polygons)
            masks.append(_silhouette(part.flat, width, height))
        together = [m for m in masks if m is not None]
        if not together or (
            thing.parts[0].instance
            and (len(together) < len(masks) or not all(_clear(m, cover, limits) for m in together))
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


Silhouette = tuple[tuple[slice, slice], np.ndarray]


def _silhouette(flat: list[FlatPolygon], width: int, height: int) -> Silhouette | None:
    """Box and mask, at half the canvas, of all that is solid; None where it is out of sight."""
    solid = [np.array(p.points).reshape(-1, 2) / 2 for p in flat if p.solid]
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


def _clear(silhouette: Silhouette, cover: np.ndarray, limits: Limits) -> bool:
    """Whether enough of an object is seen, and it is large enough."""
    box, mask = silhouette
    whole, seen = int(mask.sum()), int((mask & ~cover[box]).sum())
    return mask.shape[0] >= limits.height and seen >= limits.area and seen >= limits.share * whole


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
        waiting = behind[np.ix_(left, left)].any(axis=0)  # has something behind it to be painted
        free = [i for i, wait in zip(left, waiting, strict=True) if not wait] or left
        chosen = max(free, key=lambda i: (z0[i], i))
        left.remove(chosen)
        order.append(things[chosen])
    return order
