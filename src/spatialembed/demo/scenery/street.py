"""The street of a generated scene, its plan, and the stage that every step of drawing needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spatialembed.demo.scenery.canvas import Camera, Floats, Mesh, rgb
from spatialembed.demo.scenery.label_ids import PERSON
from spatialembed.demo.scenery.visibility import Part, Thing
from spatialembed.demo.scenery.weather import Light

FAR = 140.0
"""Metres at which the street ends."""


@dataclass(frozen=True)
class Street:
    """Lines of the street in metres; the camera drives in the right-hand lane at x = 0.

    Attributes:
        left, right: the curbs.
        walls: (left, right) the fronts of the buildings.
        lanes: middles of the lanes, (x, direction): 1 away from the camera, -1 towards it.
        parking: parked rows as (middle, depth, heading) with heading 0 for parallel parking.
        crossing: (near, far) edges of a crossing road, or None.
        green: whether a strip of grass lies between curb and buildings.
    """

    left: float
    right: float
    walls: tuple[float, float]
    lanes: tuple[tuple[float, int], ...]
    parking: tuple[tuple[float, float, float], ...]
    crossing: tuple[float, float] | None
    green: bool

    def open_at(self, z: float, before: float, after: float) -> bool:
        """Whether z is in the mouth of the crossing, or within metres before or after it."""
        return self.crossing is not None and (
            self.crossing[0] - before < z < self.crossing[1] + after
        )


@dataclass(frozen=True)
class Stage:
    """What every step of drawing needs; the order in which it draws from ``rng`` is the scene."""

    street: Street
    camera: Camera
    light: Light
    rng: np.random.Generator

    def pick(self, colors: Sequence[tuple[int, int, int]]) -> Floats:
        """One of the colors, (3,)."""
        return rgb(*colors[int(self.rng.integers(len(colors)))])

    def thing(self, ground: Floats, height: float, *meshes: tuple[Mesh, int]) -> Thing:
        """What stands on a patch of ground, meshes with their labels drawn together."""
        flatten = self.camera.flatten
        parts = [Part(flatten(mesh), label, label >= PERSON) for mesh, label in meshes]
        return Thing(parts, ground, height)

    def distance(self, x: float, z: float) -> float:
        """Metres from the camera to a point on the ground."""
        return float(np.hypot(x - self.camera.x, z))


def random_street(rng: np.random.Generator) -> Street:
    """A street of two to four lanes, with or without parked rows, crossing and grass."""
    count, lane = int(rng.choice([1, 1, 2])), rng.uniform(3.1, 3.6)
    oncoming = int(rng.choice([0, 1, 1, 1, 2]))
    lanes = [(-k * lane, 1 if k < count else -1) for k in range(count + oncoming)]
    edges, parking = {1: lane / 2, -1: lanes[-1][0] - lane / 2}, []
    for side in edges:
        way = int(rng.choice(3, p=[0.25, 0.55, 0.2]))  # none, parallel, slanting
        if way:
            depth = 2.3 * way
            turn = 0.0 if way == 1 else side * rng.uniform(0.9, 1.25)
            parking.append((edges[side] + side * depth / 2, depth, turn))
            edges[side] += side * depth
    right, left = edges.values()
    walls = (left - rng.uniform(3, 7), right + rng.uniform(3, 7))
    near = rng.uniform(14, 45)
    crossing = (near, near + rng.uniform(7, 10)) if rng.random() < 0.5 else None
    return Street(left, right, walls, tuple(lanes), tuple(parking), crossing, rng.random() < 0.35)
