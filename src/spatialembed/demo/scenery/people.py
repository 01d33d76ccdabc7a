"""Persons, bicycles and motorcycles of the generated street scenes: flat figures, upright.

A figure is drawn in a plane that stands on the ground: u metres along its heading, v metres up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from spatialembed.demo.scenery.canvas import Floats, Mesh, circle, rgb, square, xyz
from spatialembed.demo.scenery.label_ids import BICYCLE, MOTORCYCLE, PERSON, RIDER
from spatialembed.demo.scenery.street import Stage
from spatialembed.demo.scenery.visibility import Thing

UV: TypeAlias = tuple[float, float]

_CLOTHES = [
    (40, 44, 60), (28, 28, 32), (70, 80, 104), (120, 60, 52), (170, 50, 46), (60, 90, 70),
    (200, 196, 186), (150, 140, 120), (210, 160, 60), (90, 70, 110), (52, 84, 130), (128, 132, 138),
]  # fmt: skip
_SKIN = [(226, 182, 150), (200, 150, 116), (150, 104, 76), (104, 70, 52)]
_HAIR = [(40, 30, 24), (78, 54, 36), (150, 116, 70), (28, 26, 28), (130, 128, 126)]
_HELMETS = [(220, 220, 216), (180, 40, 40), (40, 40, 46), (60, 100, 160)]
_TORSO = np.array([(-0.2, 0.82), (0.2, 0.82), (0.22, 1.2), (0.2, 1.42), (0.07, 1.5), (-0.07, 1.5),
                   (-0.2, 1.42), (-0.22, 1.2)])  # fmt: skip
_BAG = np.array([(-0.42, 1.0), (-0.16, 1.0), (-0.16, 1.38), (-0.36, 1.36)])
_FRAME: list[list[UV]] = [
    [(-0.52, 0.34), (-0.06, 0.32)], [(-0.06, 0.32), (-0.2, 0.86)], [(-0.18, 0.78), (0.38, 0.82)],
    [(-0.06, 0.32), (0.38, 0.78)], [(-0.52, 0.34), (-0.18, 0.78)], [(0.52, 0.34), (0.36, 0.98)],
]  # fmt: skip
_HULL = np.array([(-0.7, 0.62), (-0.5, 0.34), (0.25, 0.26), (0.42, 0.55), (0.36, 0.86),
                  (0.02, 0.9), (-0.1, 0.78), (-0.62, 0.82)])  # fmt: skip

MIN_SLANT = 0.5
"""Least foreshortening of a two-wheeler: a flat figure would vanish when seen end on."""


@dataclass(frozen=True)
class _Figure:
    """The plane a figure stands in."""

    stage: Stage
    x: float
    z: float
    slant: float
    """Signed foreshortening of the plane, -1 to 1; 1 heads to the right of the picture."""
    scale: float

    @property
    def narrow(self) -> float:
        """By how much widths must grow in the plane: a narrow one must not make thin limbs."""
        return max(abs(self.slant), 0.2)

    def piece(self, uv: Floats, color: Floats, solid: bool = True) -> Mesh:
        """A polygon at (N, 2) u and v metres, before the figure's own scale."""
        points = xyz(self.x + uv[:, 0] * self.slant * self.scale, uv[:, 1] * self.scale, self.z)
        distance = self.stage.distance(self.x, self.z)
        return Mesh.equal(points, self.stage.light.even(color, distance), solid)

    def limb(self, ends: list[UV], widths: list[float], color: Floats) -> Mesh:
        """A tapered stroke along a line of points."""
        line, half = np.array(ends), np.array(widths)[:, None] / 2
        along = np.gradient(line, axis=0)
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        across /= np.maximum(np.sqrt((across**2).sum(1, keepdims=True)), 1e-6)
        across[:, 0] /= self.narrow
        outline = np.concatenate([line + across * half, (line - across * half)[::-1]])
        return self.piece(outline, color)

    def disc(self, u: float, v: float, radius: float, color: Floats, solid: bool = True) -> Mesh:
        """A round piece that faces the camera."""
        return self.piece(circle(12) * radius / (self.narrow, 1) + (u, v), color, solid)


def _clothes(stage: Stage) -> tuple[Floats, Floats, Floats]:
    """Coat, trousers, skin."""
    return stage.pick(_CLOTHES), stage.pick(_CLOTHES[:8]) * 0.8, stage.pick(_SKIN)


def draw_person(stage: Stage, x: float, z: float) -> Thing:
    """Someone who walks or stands."""
    rng = stage.rng
    slant = float(rng.choice([-1, 1])) * rng.uniform(0.55, 1)
    f = _Figure(stage, x, z, slant, rng.uniform(0.9, 1.06))
    coat, trousers, skin = _clothes(stage)
    step, swing = rng.uniform(0.04, 0.32), rng.uniform(-0.16, 0.16)
    pieces = []
    for foot, dim in ((-step, 0.75), (step, 1.0)):
        leg = [(0, 0.92), (foot * 0.5 + 0.06, 0.48), (foot, 0.06)]
        shoe = [(foot - 0.06, 0.04), (foot + 0.16, 0.03)]
        pieces.append(f.limb(leg, [0.2, 0.15, 0.11], trousers * dim))
        pieces.append(f.limb(shoe, [0.08, 0.06], rgb(32, 28, 28)))
    torso = _TORSO * (0.9 / f.narrow * 0.8, 1)
    arm = [(0.05, 1.42), (swing + 0.1, 1.14), (swing + 0.2, 0.92)]
    pieces += [
        f.limb([(-0.02, 1.4), (-swing - 0.06, 0.98)], [0.12, 0.09], coat * 0.7),
        f.piece(torso, coat),
        f.piece(torso[1:5] * (0.98, 1), coat * 0.82, False),
        f.limb(arm, [0.13, 0.11, 0.08], coat * 0.9),
        f.disc(swing + 0.2, 0.9, 0.05, skin),
        f.limb([(0, 1.46), (0.01, 1.58)], [0.11, 0.11], skin * 0.85),
        f.disc(0.02, 1.66, 0.125, skin),
        f.disc(-0.02, 1.71, 0.115, stage.pick(_HAIR)),
    ]
    if rng.random() < 0.3:
        pieces.append(f.piece(_BAG, stage.pick(_CLOTHES)))
    return stage.thing(square(x, z, 0.25), 1.75, (Mesh.join(pieces), PERSON))


def draw_two_wheeler(stage: Stage, x: float, z: float, heading: float, motor: bool) -> Thing:
    """A bicycle, or a motorcycle or scooter, and its rider."""
    # foreshortening as seen from the camera
    seen = float(np.sin(heading - np.arctan2(x - stage.camera.x, z)))
    slant = float(np.copysign(max(abs(seen), MIN_SLANT), seen))
    f = _Figure(stage, x, z, slant, stage.rng.uniform(0.98, 1.06 if motor else 1.05))
    paint = stage.pick(_CLOTHES)
    if motor:
        machine = _motorcycle(f, paint * 1.15), MOTORCYCLE
        rider = _rider(f, (-0.26, 0.88), (0.02, 0.34), (0.36, 1.04), True)
    else:
        machine = _bicycle(f, paint * 1.1), BICYCLE
        rider = _rider(f, (-0.2, 0.93), (0.0, 0.2), (0.38, 1.0), stage.rng.random() < 0.5)
    return stage.thing(square(x, z, 0.5), 1.7, machine, (rider, RIDER))


def _bicycle(f: _Figure, paint: Floats) -> Mesh:
    tire, pieces = rgb(24, 24, 26), []
    for u in (-0.52, 0.52):
        pieces.append(f.piece(circle(14) * 0.34 + (u, 0.34), tire))
        pieces.append(f.piece(circle(14) * 0.34 * 0.8 + (u, 0.34), rgb(112, 112, 110), False))
        pieces.append(f.disc(u, 0.34, 0.05, tire, False))
    pieces += [f.limb(tube, [0.05, 0.05], paint) for tube in _FRAME]
    pieces.append(f.limb([(-0.32, 0.92), (-0.1, 0.93)], [0.07, 0.05], tire))
    pieces.append(f.limb([(0.28, 1.02), (0.42, 0.99)], [0.05, 0.05], tire))
    return Mesh.join(pieces)


def _motorcycle(f: _Figure, paint: Floats) -> Mesh:
    dark, pieces = rgb(28, 28, 30), []
    for u in (-0.62, 0.64):
        pieces.append(f.piece(circle(14) * 0.31 + (u, 0.31), dark))
        pieces.append(f.piece(circle(12) * 0.18 + (u, 0.31), rgb(130, 130, 132), False))
    return Mesh.join([
        *pieces,
        f.limb([(0.64, 0.31), (0.4, 0.95)], [0.09, 0.08], dark),
        f.piece(_HULL, paint),
        f.piece(_HULL[[1, 2, 3, 0]] * (1, 0.96), dark, False),
        f.limb([(-0.62, 0.83), (-0.08, 0.8)], [0.1, 0.1], dark),
        f.disc(0.5, 0.88, 0.09, rgb(236, 236, 226)),
        f.limb([(0.3, 1.05), (0.44, 0.98)], [0.06, 0.06], dark),
    ])  # fmt: skip


def _rider(f: _Figure, seat: UV, pedal: UV, bar: UV, helmet: bool) -> Mesh:
    coat, trousers, skin = _clothes(f.stage)
    top = f.stage.pick(_HELMETS)
    shoulder = (seat[0] + 0.24, seat[1] + 0.52)
    back = ((seat[0] + shoulder[0]) / 2 - 0.04, seat[1] + 0.27)
    elbow = (shoulder[0] + 0.16, shoulder[1] - 0.28)
    knee = (pedal[0] + 0.16, (seat[1] + pedal[1]) / 2 + 0.08)
    head = (shoulder[0] + 0.08, shoulder[1] + 0.22)
    toe = (pedal[0] + 0.18, pedal[1] - 0.02)
    return Mesh.join([
        f.limb([seat, knee, pedal], [0.2, 0.16, 0.11], trousers),
        f.limb([pedal, toe], [0.08, 0.06], rgb(30, 28, 28)),
        f.limb([seat, back, shoulder], [0.27, 0.31, 0.24], coat),
        f.limb([shoulder, elbow, bar], [0.12, 0.1, 0.08], coat * 0.8),
        f.disc(*head, 0.12, skin),
        f.disc(head[0] - 0.02, head[1] + 0.05, 0.125, top if helmet else f.stage.pick(_HAIR)),
    ])  # fmt: skip
