"""Who is on the street of a generated scene: candidates, of which those clearly seen are kept."""

from __future__ import annotations

import numpy as np

from spatialembed.demo.scenery.bodies import BODIES
from spatialembed.demo.scenery.canvas import Flags, Floats, square
from spatialembed.demo.scenery.people import draw_person, draw_two_wheeler
from spatialembed.demo.scenery.roadside import draw_bin, draw_pole, draw_tree
from spatialembed.demo.scenery.street import Stage
from spatialembed.demo.scenery.vehicles import draw_vehicle
from spatialembed.demo.scenery.visibility import Limits, Part, Thing, keep_seen, overlap

FAR_CARS = 120.0
"""Metres up to which cars are considered; the camera then decides which are large enough."""


def populate(stage: Stage, limits: Limits, cover: Flags) -> list[Thing]:
    """Vehicles, persons, trees and poles of a scene, those that are clearly seen, near to far.

    ``cover`` (H, W), at half the canvas, is what hides them from the start; it is added to.
    """
    return keep_seen(_Crowd(stage, limits).things, limits, cover)


class _Crowd:
    """Draws candidates one after the other."""

    def __init__(self, stage: Stage, limits: Limits) -> None:
        self.stage, self.street, self.rng = stage, stage.street, stage.rng
        self.things: list[Thing] = []
        # farther than this a car is lower than the limit (2 pixels of the canvas are one)
        self.reach = min(FAR_CARS, 1.5 * stage.camera.focal / 2 / limits.height)
        self._lanes()
        self._parked()
        self._crossing()
        self._beside()
        self._people()
        if self.rng.random() < 0.4:
            self._far_cars()

    def _free(self, x: float, z: float) -> bool:
        """Whether nothing placed so far is within a step of a point on the ground."""
        counted = (t.bounds for t in self.things if t.counted)
        return not any(overlap((x, x, z, z), bounds, 0.6) for bounds in counted)

    # vehicles --------------------------------------------------------------------------------

    def _vehicle(self, x: float, z: float, heading: float, kind: str = "") -> float:
        """Place a vehicle; its length."""
        vehicle, length = draw_vehicle(self.stage, x, z, heading, kind)
        self.things.append(vehicle)
        return length

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
                    self.things.append(draw_two_wheeler(self.stage, x, z, heading, True))
                    length = 2.0
                else:
                    length = self._vehicle(x, z + 2, heading + rng.uniform(-0.05, 0.05), kind)
                z += length + 2.5 + rng.exponential(9.0 if way < 0 else 14.0)

    def _parked(self) -> None:
        rng = self.rng
        for middle, _, turn in self.street.parking:
            full = rng.uniform(0.3, 0.75)
            # a slanting row is narrow slots side by side: farther ones would be hidden anyhow
            step, last = (6.0, 45.0) if turn == 0 else (3.1, 32.0)
            z = rng.uniform(4, 8)
            while z < min(self.reach, last):
                z += step * rng.uniform(1.0, 1.15)
                if rng.random() > full or self.street.open_at(z, 4.5, 3):
                    continue
                kind = "van" if rng.random() < 0.06 else ""
                heading = turn if turn else (0.0 if middle > 0 or rng.random() < 0.4 else np.pi)
                nose_in = turn != 0 and rng.random() < 0.3
                heading += np.pi * nose_in + rng.uniform(-0.04, 0.04)
                self._vehicle(middle + rng.uniform(-0.15, 0.15), z, heading, kind)

    def _crossing(self) -> None:
        if self.street.crossing is None or self.street.crossing[0] > self.reach:
            return
        (near, far), rng, eye = self.street.crossing, self.rng, self.stage.camera.x
        for share, way in ((0.28, 1), (0.72, -1)):
            z = near + (far - near) * share
            # as far aside as can be seen past the houses at the corners
            left, right = (eye + (w - eye) * z / (near - 2) for w in self.street.walls)
            x = left + rng.uniform(0, 5)
            while True:
                kind = "bus" if rng.random() < 0.06 else ""
                length = BODIES[kind or "sedan"].length
                if x + length > right:
                    break
                middle, heading = x + length / 2, way * np.pi / 2 + rng.uniform(-0.1, 0.1)
                if rng.random() < 0.65 and self._free(middle, z):
                    self._vehicle(middle, z, heading, kind)
                x += length + rng.uniform(1.5, 8)

    def _far_cars(self) -> None:
        """Cars too far to be told apart: a group region, as annotators mark them."""
        rng, z = self.rng, max(self.reach * 1.05, 40.0)
        side = self.street.lanes[-1][0] if rng.random() < 0.5 else self.street.right - 1.2
        cars = []
        for k in range(int(rng.integers(4, 8))):
            x, heading = side + rng.uniform(-0.6, 0.6), float(rng.choice([0, np.pi]))
            cars.append(draw_vehicle(self.stage, x, z + 5.2 * k, heading)[0])
        ground = np.concatenate([car.ground for car in cars])
        self._group([car.parts[0] for car in reversed(cars)], ground, 1.5)

    def _group(self, parts: list[Part], ground: Floats, height: float) -> None:
        """One region without instances."""
        for part in parts:
            part.instance = False
        self.things.append(Thing(parts, ground, height))

    # people ----------------------------------------------------------------------------------

    def _people(self) -> None:
        rng, street = self.rng, self.street
        for _ in range(int(rng.poisson(2.2))):
            self._walker(*self._sidewalk(7, 32))
        if street.crossing and rng.random() < 0.5:
            z = street.crossing[0] - 2.2
            for _ in range(int(rng.integers(1, 4))):
                self._walker(rng.uniform(street.left, street.right), z + rng.uniform(-0.8, 0.8))
        for _ in range(int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1]))):
            x, z = float(rng.choice([street.left + 0.8, street.right - 0.8])), rng.uniform(8, 26)
            if self._free(x, z):
                heading = (0.0 if x > 0 else np.pi) + rng.uniform(-0.3, 0.3)
                self.things.append(draw_two_wheeler(self.stage, x, z, heading, False))
        if rng.random() < 0.2:
            self._dense()

    def _walker(self, x: float, z: float) -> None:
        if self._free(x, z):
            self.things.append(draw_person(self.stage, x, z))

    def _dense(self) -> None:
        """People or bicycles packed so close that none can be told apart."""
        rng, bicycles = self.rng, self.rng.random() < 0.4
        x, z = self._sidewalk(12, 28)
        parts = []
        for _ in range(int(rng.integers(4, 8))):
            a, b = x + rng.uniform(-0.9, 0.9), z + rng.uniform(-0.5, 0.5)
            if bicycles:
                one = draw_two_wheeler(self.stage, a, b, np.pi / 2, False)
            else:
                one = draw_person(self.stage, a, b)
            parts.append(one.parts[0])
        if self._free(x, z):
            self._group(parts, square(x, z, 1.2), 1.7)

    def _sidewalk(self, near: float, far: float) -> tuple[float, float]:
        street, rng = self.street, self.rng
        z = rng.uniform(near, far)
        if rng.random() < 0.5:
            return rng.uniform(street.walls[0] + 0.8, street.left - 0.6), z
        return rng.uniform(street.right + 0.6, street.walls[1] - 0.8), z

    # beside the road -------------------------------------------------------------------------

    def _beside(self) -> None:
        """Trees, lamps, signs and bins along the curbs."""
        rng, street = self.rng, self.street
        for side, curb in ((-1, street.left), (1, street.right)):
            planted = rng.random() < 0.6
            z = rng.uniform(7, 16)
            while z < 75:
                if not street.open_at(z, 4.5, 3):
                    if planted and rng.random() < 0.7:
                        x, height = curb + side * rng.uniform(0.9, 1.6), rng.uniform(5, 8.5)
                        leaves = int(np.clip(2600 / z, 14, 170))
                        self.things.append(draw_tree(self.stage, x, z, height, leaves))
                    elif rng.random() < 0.5:
                        kind = "lamp" if rng.random() < 0.6 else "sign"
                        self.things.append(draw_pole(self.stage, curb + side * 0.45, z, kind, side))
                    if rng.random() < 0.1 and z < 40:
                        self.things.append(draw_bin(self.stage, curb + side * 0.9, z + 2))
                z += rng.uniform(7, 15)
            if street.crossing and rng.random() < 0.6:
                x, z = curb + side * 0.4, street.crossing[0] - 0.8
                self.things.append(draw_pole(self.stage, x, z, "light", side))
