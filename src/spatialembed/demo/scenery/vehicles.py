"""Vehicles of a generated scene: a body placed on the street and lit as the camera sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spatialembed.demo.scenery.bodies import BODIES, PAINTS, Body
from spatialembed.demo.scenery.canvas import Camera, Floats, Mesh
from spatialembed.demo.scenery.shapes import shape_of
from spatialembed.demo.scenery.weather import Light

PASSENGER_CARS = {"hatchback": 0.3, "sedan": 0.24, "estate": 0.18, "suv": 0.18, "van": 0.1}
"""Kinds of cars and how often each is met."""

_SMALL = 44
"""Rows of the canvas below which a vehicle is drawn without its finest details."""


@dataclass(frozen=True)
class Vehicle:
    """A kind of vehicle on the street.

    Attributes:
        kind: a name of BODIES.
        x, z: middle of the covered ground in metres.
        heading: radians, 0 away from the camera, rising to the right.
        stretch: (3,) factors on length, width and height.
    """

    kind: str
    x: float
    z: float
    heading: float
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def body(self) -> Body:
        """Its measures before stretching."""
        return BODIES[self.kind]

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return self.body.length * self.stretch[0]

    def world(self, local: Floats, direction: bool = False) -> Floats:
        """(N, 3) ahead, right, up in its frame to the world's x, y, z."""
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        turn = np.array([[sin, 0, cos], [cos, 0, -sin], [0, 1, 0]])
        if direction:
            return np.asarray(local @ turn)
        return np.asarray((local * self.stretch) @ turn + (self.x, 0, self.z))

    def footprint(self) -> Floats:
        """(4, 3) corners of the ground it covers."""
        a, b = self.body.length / 2, self.body.width / 2
        return self.world(np.array([[-a, -b, 0], [-a, b, 0], [a, b, 0], [a, -b, 0]]))

    def draw(self, camera: Camera, light: Light, rng: np.random.Generator) -> Mesh:
        """Its polygons as seen from the camera, in a paint of their own."""
        distance = float(np.hypot(self.x - camera.x, self.z))
        small = self.body.height * camera.focal / max(distance, 1.0) < _SMALL
        paint = PAINTS[int(rng.integers(len(PAINTS)))] * rng.uniform(0.92, 1.06)
        style, braking = int(rng.integers(3)), rng.random() < 0.35
        shape = shape_of(self.kind, style, small)
        normal = self.world(shape.normal, direction=True)
        seen = ((camera.position - self.world(shape.center)) * normal).sum(1) >= 0
        color = shape.paint[:, None] * paint + shape.tone + shape.sky[:, None] * light.sky_low
        faces = light.shade(color, normal, distance, shape.gloss)
        glow = np.array([0.0, 0.85 if braking else 0.3, 0.9 * light.dusk])[shape.lamp][:, None]
        details = (
            light.even(color, distance) * (1 - glow) + light.hazy(color * 1.1, distance) * glow
        )
        colors = np.where(shape.lit[:, None], faces, details)
        points = self.world(shape.points)[np.repeat(seen, shape.counts)]
        return Mesh(points, shape.counts[seen], colors[seen], shape.solid[seen])


def random_vehicle(
    rng: np.random.Generator, x: float, z: float, heading: float, kind: str | None = None
) -> Vehicle:
    """A vehicle of the given kind, or a passenger car, a few percent larger or smaller."""
    chosen = kind or str(rng.choice(list(PASSENGER_CARS), p=list(PASSENGER_CARS.values())))
    stretch = rng.uniform((0.94, 0.98, 0.95), (1.05, 1.02, 1.06))
    return Vehicle(chosen, x, z, heading, tuple(stretch.tolist()))


def draw_truck(
    x: float, z: float, heading: float, camera: Camera, light: Light, rng: np.random.Generator
) -> tuple[Mesh, Floats, float]:
    """A cab and its cargo box: polygons, footprint (4, 3) and length."""
    stretch = rng.uniform(0.85, 1.15)
    ahead = np.array([np.sin(heading), np.cos(heading)])
    cab_length, box_length = BODIES["truck"].length, BODIES["cargo"].length * stretch
    front = np.array([x, z]) + ahead * (box_length / 2 + 0.1)
    back = np.array([x, z]) - ahead * (cab_length / 2 + 0.1)
    cab = Vehicle("truck", float(front[0]), float(front[1]), heading)
    box = Vehicle("cargo", float(back[0]), float(back[1]), heading, (stretch, 1.0, 1.0))
    parts = [v.draw(camera, light, rng) for v in sorted((cab, box), key=lambda v: -v.z)]
    ground = np.concatenate([box.footprint()[:2], cab.footprint()[2:]])
    return Mesh.join(parts), ground, box_length + cab_length
