"""Vehicles of a generated scene: a body placed on the street and lit as the camera sees it."""

from __future__ import annotations

import numpy as np

from spatialembed.demo.scenery.bodies import BODIES, PAINTS
from spatialembed.demo.scenery.canvas import Floats, Mesh, xyz
from spatialembed.demo.scenery.label_ids import TRUCK
from spatialembed.demo.scenery.shapes import shape_of
from spatialembed.demo.scenery.street import Stage
from spatialembed.demo.scenery.visibility import Thing
from spatialembed.demo.scenery.weather import Light

PASSENGER_CARS = {"hatchback": 0.3, "sedan": 0.24, "estate": 0.18, "suv": 0.18, "van": 0.1}
"""Kinds of cars and how often each is met."""

_SMALL = 44
"""Rows of the canvas below which a vehicle is drawn without its finest details."""


def draw_vehicle(
    stage: Stage, x: float, z: float, heading: float, kind: str = ""
) -> tuple[Thing, float]:
    """A vehicle of the given kind, or a passenger car, a few percent larger or smaller; its length.

    ``heading`` is in radians, 0 away from the camera, rising to the right.
    """
    if kind == "truck":
        return _draw_truck(stage, x, z, heading)
    kind = kind or str(stage.rng.choice(list(PASSENGER_CARS), p=list(PASSENGER_CARS.values())))
    stretch, body = stage.rng.uniform((0.94, 0.98, 0.95), (1.05, 1.02, 1.06)), BODIES[kind]
    mesh, ground = _draw(stage, kind, x, z, heading, stretch)
    return stage.thing(ground, body.height, (mesh, body.label)), body.length * stretch[0]


def _draw_truck(stage: Stage, x: float, z: float, heading: float) -> tuple[Thing, float]:
    """A cab and its cargo box, the farther of them first."""
    stretch = np.array([stage.rng.uniform(0.85, 1.15), 1.0, 1.0])
    cab_length, box_length = BODIES["truck"].length, BODIES["cargo"].length * stretch[0]
    shift = np.array([[box_length / 2 + 0.1], [-cab_length / 2 - 0.1]])
    (x1, z1), (x0, z0) = shift * (np.sin(heading), np.cos(heading)) + (x, z)
    places = (("truck", x1, z1, heading, np.ones(3)), ("cargo", x0, z0, heading, stretch))
    drawn = {p[0]: _draw(stage, *p) for p in sorted(places, key=lambda place: -place[2])}
    ground = np.concatenate([drawn["cargo"][1][:2], drawn["truck"][1][2:]])
    mesh = Mesh.join(mesh for mesh, _ in drawn.values())
    return stage.thing(ground, 3.5, (mesh, TRUCK)), box_length + cab_length


def _draw(
    stage: Stage, kind: str, x: float, z: float, heading: float, stretch: Floats
) -> tuple[Mesh, Floats]:
    """A body around x and z in a paint of its own, seen from the camera, and its ground (4, 3).

    ``stretch`` (3,) holds factors on length, width and height.
    """
    body, camera = BODIES[kind], stage.camera
    sin, cos = np.sin(heading), np.cos(heading)
    turn = np.array([[sin, 0, cos], [cos, 0, -sin], [0, 1, 0]])

    def world(local: Floats) -> Floats:
        return np.asarray((local * stretch) @ turn + (x, 0, z))

    distance = stage.distance(x, z)
    small = body.height * camera.focal / max(distance, 1.0) < _SMALL
    paint = stage.pick(PAINTS) * stage.rng.uniform(0.92, 1.06)
    style, braking = int(stage.rng.integers(3)), stage.rng.random() < 0.35
    shape = shape_of(kind, style, small)
    normal = shape.normal @ turn
    seen = (((camera.x, camera.up, 0.0) - world(shape.center)) * normal).sum(1) >= 0
    colors = _colors(stage.light, shape.look, paint, normal, distance, braking)
    points = world(shape.points)[np.repeat(seen, shape.counts)]
    mesh = Mesh(points, shape.counts[seen], colors[seen], shape.look["solid"][seen])
    a, b = body.length / 2, body.width / 2
    return mesh, world(xyz([-a, -a, a, a], [-b, b, b, -b], 0))


def _colors(
    light: Light, look: np.ndarray, paint: Floats, normal: Floats, distance: float, braking: bool
) -> Floats:
    """(N, 3) colors of polygons: faces by their normals, details evenly, lamps by their glow."""
    color = look["paint"][:, None] * paint + look["tone"] + look["sky"][:, None] * light.sky_low
    glow = np.array([0.0, 0.85 if braking else 0.3, 0.9 * light.dusk])[look["lamp"]][:, None]
    details = light.even(color, distance) * (1 - glow) + light.hazy(color * 1.1, distance) * glow
    faces = light.shade(color, normal, distance, look["gloss"])
    return np.where(look["lit"][:, None], faces, details)
