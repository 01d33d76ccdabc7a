"""Who is on the street of a generated scene: candidates, of which those clearly seen are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from spatialembed.demo.scenery.bodies import BODIES, CAR, TRUCK
from spatialembed.demo.scenery.canvas import Camera, Flags, Floats, Mesh
from spatialembed.demo.scenery.people import (
    BICYCLE,
    MOTORCYCLE,
    PERSON,
    RIDER,
    draw_bicycle,
    draw_motorcycle,
    draw_person,
)
from spatialembed.demo.scenery.street import STATIC, TREE, Street, draw_bin, draw_pole, draw_tree
from spatialembed.demo.scenery.vehicles import draw_truck, random_vehicle
from spatialembed.demo.scenery.visibility import Limits, Part, Thing, keep_seen
from spatialembed.demo.scenery.weather import Light

FAR_CARS = 120.0
"""Metres up to which cars are considered; the camera then decides which are large enough."""


def populate(
    street: Street,
    camera: Camera,
    light: Light,
    rng: np.random.Generator,
    limits: Limits,
    cover: Flags,
) -> list[Thing]:
    """Vehicles, persons, trees and poles of a scene, those that are clearly seen, near to far.

    ``cover`` (H, W), at half the canvas, is what hides them from the start; it is added to.
    """
    things = _Crowd(street, camera, light, rng, limits).run()
    return keep_seen(things, limits, cover)


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

    def _part(self, mesh: Mesh, label: int, instance: bool) -> Part:
        return Part(self.camera.flatten(mesh), label, instance)

    def _add(self, mesh: Mesh, label: int, ground: Floats, height: float) -> None:
        self.things.append(Thing([self._part(mesh, label, True)], ground, height))

    def _vehicle(self, x: float, z: float, heading: float, kind: str | None = None) -> float:
        """Place a vehicle; its length."""
        if kind == "truck":
            mesh, ground, length = draw_truck(x, z, heading, self.camera, self.light, self.rng)
            self._add(mesh, TRUCK, ground, 3.5)
            return length
        vehicle = random_vehicle(self.rng, x, z, heading, kind)
        mesh = vehicle.draw(self.camera, self.light, self.rng)
        self._add(mesh, vehicle.body.label, vehicle.footprint(), vehicle.body.height)
        return vehicle.length

    def _lanes(self) -> None:
        rng = self.rng
        for k, (lane, way) in enumerate(self.street.lanes):
            z = rng.uniform(9, 24) if k == 0 else rng.uniform(5, 22)
            heading = 0.0 if way > 0 else np.pi
            while z < self.reach:
                kind = str(rng.choice(["", "bus", "truck", "motor"], p=[0.9, 0.03, 0.03, 0.04]))
                if z < 12 and kind in ("bus", "truck"):
                    kind = ""  # one so near would hide everything else
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
        for middle, _, turn in self.street.parking:
            full = rng.uniform(0.3, 0.75)
            step = 6.0 if turn == 0 else 3.1
            away = middle > 0
            z = rng.uniform(4, 8)
            # a slanting row is narrow slots side by side: farther ones would be hidden anyhow
            while z < min(self.reach, 45.0 if turn == 0 else 32.0):
                z += step * rng.uniform(1.0, 1.15)
                if rng.random() > full or self.street.open_at(z, 4.5, 3):
                    continue
                kind = "van" if rng.random() < 0.06 else None
                heading = turn if turn else (0.0 if away or rng.random() < 0.4 else np.pi)
                nose_in = turn != 0 and rng.random() < 0.3
                heading += np.pi * nose_in + rng.uniform(-0.04, 0.04)
                self._vehicle(middle + rng.uniform(-0.15, 0.15), z, heading, kind)

    def _crossing(self) -> None:
        if self.street.crossing is None or self.street.crossing[0] > self.reach:
            return
        (near, far), rng = self.street.crossing, self.rng
        for share, way in ((0.28, 1), (0.72, -1)):
            z = near + (far - near) * share
            # as far aside as can be seen past the houses at the corners
            left, right = (self.camera.x + (w - self.camera.x) * z / (near - 2)
                           for w in self.street.walls)  # fmt: skip
            x = left + rng.uniform(0, 5)
            while True:
                kind = "bus" if rng.random() < 0.06 else None
                length = BODIES[kind or "sedan"].length
                if x + length > right:
                    break
                middle, heading = x + length / 2, way * np.pi / 2 + rng.uniform(-0.1, 0.1)
                if rng.random() < 0.65 and self._free(middle, z):
                    self._vehicle(middle, z, heading, kind)
                x += length + rng.uniform(1.5, 8)

    def _far_cars(self) -> None:
        """Cars too far to be told apart: a group region, as annotators mark them."""
        rng = self.rng
        parts: list[Any] = []
        corners: list[Any] = []
        z = max(self.reach * 1.05, 40.0)
        side = self.street.lanes[-1][0] if rng.random() < 0.5 else self.street.right - 1.2
        for k in range(int(rng.integers(4, 8))):
            x, heading = side + rng.uniform(-0.6, 0.6), float(rng.choice([0, np.pi]))
            vehicle = random_vehicle(rng, x, z + 5.2 * k, heading)
            mesh = vehicle.draw(self.camera, self.light, rng)
            parts.insert(0, self._part(mesh, CAR, False))
            corners.append(vehicle.footprint())
        self.things.append(Thing(parts, np.concatenate(corners), 1.5))

    # people ----------------------------------------------------------------------------------

    def _two_wheeler(self, x: float, z: float, heading: float, motor: bool = False) -> None:
        draw = draw_motorcycle if motor else draw_bicycle
        machine, rider = draw(x, z, heading, self.camera, self.light, self.rng)
        label = MOTORCYCLE if motor else BICYCLE
        parts = [self._part(machine, label, True), self._part(rider, RIDER, True)]
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
            mesh = draw_person(x, z, self.camera, self.light, self.rng)
            self._add(mesh, PERSON, _square(x, z, 0.25), 1.75)

    def _group(self) -> None:
        """People or bicycles packed so close that they are one region without instances."""
        rng, bicycles = self.rng, self.rng.random() < 0.4
        x, z = self._sidewalk(12, 28)
        parts = []
        for _ in range(int(rng.integers(4, 8))):
            a, b = x + rng.uniform(-0.9, 0.9), z + rng.uniform(-0.5, 0.5)
            if bicycles:
                mesh, _ = draw_bicycle(a, b, np.pi / 2, self.camera, self.light, rng)
            else:
                mesh = draw_person(a, b, self.camera, self.light, rng)
            parts.append(self._part(mesh, BICYCLE if bicycles else PERSON, False))
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
            while z < 75:
                if not street.open_at(z, 4.5, 3):
                    if planted and rng.random() < 0.7:
                        self._tree(curb + side * rng.uniform(0.9, 1.6), z)
                    elif rng.random() < 0.5:
                        kind = "lamp" if rng.random() < 0.6 else "sign"
                        self._pole(curb + side * 0.45, z, kind, side)
                    if rng.random() < 0.1 and z < 40:
                        mesh = draw_bin(curb + side * 0.9, z + 2, self.light, rng)
                        ground = _square(curb + side * 0.9, z + 2, 0.3)
                        self.things.append(Thing([self._part(mesh, STATIC, False)], ground, 1.0))
                z += rng.uniform(7, 15)
            if street.crossing and rng.random() < 0.6:
                self._pole(curb + side * 0.4, street.crossing[0] - 0.8, "light", side)

    def _tree(self, x: float, z: float) -> None:
        height = self.rng.uniform(5, 8.5)
        leaves = int(np.clip(2600 / z, 14, 170))
        mesh = draw_tree(x, z, height, self.light, self.rng, leaves)
        self.things.append(Thing([self._part(mesh, TREE, False)], _square(x, z, 0.2), height))

    def _pole(self, x: float, z: float, kind: str, side: int) -> None:
        drawn = draw_pole(x, z, kind, side, self.light, self.rng)
        parts = [self._part(mesh, label, False) for mesh, label in drawn]
        self.things.append(Thing(parts, _square(x, z, 0.1), 2.5))

    def _free(self, x: float, z: float) -> bool:
        """Whether nothing placed so far is within a step of a point on the ground."""
        boxes = [t.bounds for t in self.things if t.counted]
        return not any(
            x0 - 0.6 < x < x1 + 0.6 and z0 - 0.6 < z < z1 + 0.6 for x0, x1, z0, z1 in boxes
        )


def _square(x: float, z: float, half: float) -> Floats:
    points = [[-half, 0, -half], [half, 0, -half], [half, 0, half], [-half, 0, half]]
    return np.asarray(np.array(points) + np.array([x, 0, z]))
