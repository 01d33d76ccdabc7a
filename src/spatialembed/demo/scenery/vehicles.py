"""Vehicles of a generated scene: a body placed on the street and lit as the camera sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spatialembed.demo.scenery.bodies import BODIES, PAINTS, TRUCK, Body
from spatialembed.demo.scenery.canvas import Floats, Mesh, xyz
from spatialembed.demo.scenery.shapes import shape_of
from spatialembed.demo.scenery.street import Stage

PASSENGER_CARS = {"hatchback": 0.3, "sedan": 0.24, "estate": 0.18, "suv": 0.18, "van": 0.1}
"""Kinds of cars and how often each is met."""

_SMALL = 44
"""Rows of the canvas below which a vehicle is drawn without its finest details."""


class Placed(NamedTuple):
    """A vehicle on the street as it is drawn; ``ground`` are the (4, 3) corners it covers."""

    mesh: Mesh
    label: int
    ground: Floats
    height: float
    length: float


@dataclass(frozen=True)
class _Vehicle:
    """A body on the street.

    Attributes:
        body: its measures before stretching.
        x, z: middle of the covered ground in metres.
        heading: radians, 0 away from the camera, rising to the right.
        stretch: (3,) factors on length, width and height.
    """

    kind: str
    x: float
    z: float
    heading: float
    stretch: Floats

    @property
    def body(self) -> Body:
        return BODIES[self.kind]

    def turn(self, local: Floats) -> Floats:
        """Directions (N, 3) ahead, right, up in its frame to the world's x, y, z."""
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        return np.asarray(local @ np.array([[sin, 0, cos], [cos, 0, -sin], [0, 1, 0]]))

    def world(self, local: Floats) -> Floats:
        """Points, likewise."""
        where = np.array([self.x, 0, self.z])
        return np.asarray(self.turn(local * self.stretch) + where)

    def footprint(self) -> Floats:
        """(4, 3) corners of the ground it covers."""
        a, b = self.body.length / 2, self.body.width / 2
        return self.world(xyz([-a, -a, a, a], [-b, b, b, -b], 0))

    def draw(self, stage: Stage) -> Mesh:
        """Its polygons as seen from the camera, in a paint of their own."""
        light, camera, rng = stage.light, stage.camera, stage.rng
        distance = stage.distance(self.x, self.z)
        small = self.body.height * camera.focal / max(distance, 1.0) < _SMALL
        paint = stage.pick(PAINTS) * rng.uniform(0.92, 1.06)
        style, braking = int(rng.integers(3)), rng.random() < 0.35
        shape = shape_of(self.kind, style, small)
        look, normal = shape.look, self.turn(shape.normal)
        seen = (((camera.x, camera.up, 0.0) - self.world(shape.center)) * normal).sum(1) >= 0
        color = look["paint"][:, None] * paint + look["tone"] + look["sky"][:, None] * light.sky_low
        glow = np.array([0.0, 0.85 if braking else 0.3, 0.9 * light.dusk])[look["lamp"]][:, None]
        faces = light.shade(color, normal, distance, look["gloss"])
        shining = light.hazy(color * 1.1, distance) * glow
        details = light.even(color, distance) * (1 - glow) + shining
        colors = np.where(shape.lit[:, None], faces, details)
        points = self.world(shape.points)[np.repeat(seen, shape.counts)]
        return Mesh(points, shape.counts[seen], colors[seen], look["solid"][seen])


def draw_vehicle(stage: Stage, x: float, z: float, heading: float, kind: str = "") -> Placed:
    """A vehicle of the given kind, or a passenger car, a few percent larger or smaller."""
    if kind == "truck":
        return _draw_truck(stage, x, z, heading)
    kind = kind or str(stage.rng.choice(list(PASSENGER_CARS), p=list(PASSENGER_CARS.values())))
    stretch = stage.rng.uniform((0.94, 0.98, 0.95), (1.05, 1.02, 1.06))
    vehicle, body = _Vehicle(kind, x, z, heading, stretch), BODIES[kind]
    length = float(body.length * stretch[0])
    return Placed(vehicle.draw(stage), body.label, vehicle.footprint(), body.height, length)


def _draw_truck(stage: Stage, x: float, z: float, heading: float) -> Placed:
    """A cab and its cargo box."""
    stretch = stage.rng.uniform(0.85, 1.15)
    cab_length, box_length = BODIES["truck"].length, BODIES["cargo"].length * stretch
    ahead = np.array([np.sin(heading), np.cos(heading)])
    x1, z1 = (np.array([x, z]) + ahead * (box_length / 2 + 0.1)).tolist()
    x0, z0 = (np.array([x, z]) - ahead * (cab_length / 2 + 0.1)).tolist()
    cab = _Vehicle("truck", x1, z1, heading, np.ones(3))
    box = _Vehicle("cargo", x0, z0, heading, np.array([stretch, 1.0, 1.0]))
    mesh = Mesh.join(v.draw(stage) for v in sorted((cab, box), key=lambda v: -v.z))
    ground = np.concatenate([box.footprint()[:2], cab.footprint()[2:]])
    return Placed(mesh, TRUCK, ground, 3.5, box_length + cab_length)
