"""Persons, bicycles and motorcycles of the generated street scenes: flat figures, upright.

A figure is drawn in a plane that stands on the ground: u metres along its heading, v metres up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from spatialembed.demo.scenery.canvas import Camera, Floats, Mesh, circle, rgb
from spatialembed.demo.scenery.weather import Light

PERSON, RIDER, MOTORCYCLE, BICYCLE = 24, 25, 32, 33

Piece: TypeAlias = tuple[Floats, Floats, bool]
"""Points, color and whether it belongs to the silhouette, as Mesh.of takes them."""

_CLOTHES = [
    (40, 44, 60), (28, 28, 32), (70, 80, 104), (120, 60, 52), (170, 50, 46), (60, 90, 70),
    (200, 196, 186), (150, 140, 120), (210, 160, 60), (90, 70, 110), (52, 84, 130), (128, 132, 138),
]  # fmt: skip
_SKIN = [(226, 182, 150), (200, 150, 116), (150, 104, 76), (104, 70, 52)]
_HAIR = [(40, 30, 24), (78, 54, 36), (150, 116, 70), (28, 26, 28), (130, 128, 126)]

MIN_SLANT = 0.5
"""Least foreshortening of a two-wheeler: a flat figure would vanish when seen end on."""


@dataclass(frozen=True)
class Figure:
    """The plane a figure stands in and how colors look there."""

    x: float
    z: float
    slant: float
    """Signed foreshortening of the plane, -1 to 1; 1 heads to the right of the picture."""
    scale: float
    light: Light
    distance: float

    def piece(self, uv: Floats, color: Floats, solid: bool = True) -> Piece:
        """A polygon at (N, 2) u and v metres, before the figure's own scale."""
        u, v = uv[:, 0] * self.slant * self.scale, uv[:, 1] * self.scale
        points = np.stack([self.x + u, v, np.full(len(u), self.z)], axis=1)
        return points, self.light.even(color, self.distance), solid

    def limb(self, ends: list[tuple[float, float]], widths: list[float], color: Floats) -> Piece:
        """A tapered stroke along a line of points."""
        line, half = np.array(ends), np.array(widths)[:, None] / 2
        along = np.gradient(line, axis=0)
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        across /= np.maximum(np.sqrt((across**2).sum(1, keepdims=True)), 1e-6)
        # a narrow plane must not make thin limbs: widths are across the picture
        across[:, 0] /= max(abs(self.slant), 0.2)
        return self.piece(
            np.concatenate([line + across * half, (line - across * half)[::-1]]), color
        )

    def disc(self, u: float, v: float, radius: float, color: Floats, solid: bool = True) -> Piece:
        """A round piece that faces the camera."""
        ring = circle(12) * radius
        ring[:, 0] /= max(abs(self.slant), 0.2)
        return self.piece(ring + np.array([u, v]), color, solid)


def _pick(rng: np.random.Generator, colors: list[tuple[int, int, int]]) -> Floats:
    return rgb(*colors[int(rng.integers(len(colors)))])


def _figure(x: float, z: float, slant: float, scale: float, camera: Camera, light: Light) -> Figure:
    return Figure(x, z, slant, scale, light, float(np.hypot(x - camera.x, z)))


def draw_person(x: float, z: float, camera: Camera, light: Light, rng: np.random.Generator) -> Mesh:
    """Someone who walks or stands."""
    slant = float(rng.choice([-1, 1])) * rng.uniform(0.55, 1)
    f = _figure(x, z, slant, rng.uniform(0.9, 1.06), camera, light)
    coat, trousers, skin = _pick(rng, _CLOTHES), _pick(rng, _CLOTHES[:8]) * 0.8, _pick(rng, _SKIN)
    step, swing = rng.uniform(0.04, 0.32), rng.uniform(-0.16, 0.16)
    shoe = rgb(32, 28, 28)
    pieces = []
    for side, dim in ((-1, 0.75), (1, 1.0)):
        foot = side * step
        knee = (foot * 0.5 + 0.06, 0.48)
        pieces.append(f.limb([(0, 0.92), knee, (foot, 0.06)], [0.2, 0.15, 0.11], trousers * dim))
        pieces.append(f.limb([(foot - 0.06, 0.04), (foot + 0.16, 0.03)], [0.08, 0.06], shoe))
    pieces.append(f.limb([(-0.02, 1.4), (-swing - 0.06, 0.98)], [0.12, 0.09], coat * 0.7))
    torso = np.array([(-0.2, 0.82), (0.2, 0.82), (0.22, 1.2), (0.2, 1.42), (0.07, 1.5),
                      (-0.07, 1.5), (-0.2, 1.42), (-0.22, 1.2)])  # fmt: skip
    torso[:, 0] *= 0.9 / max(abs(slant), 0.2) * 0.8
    pieces.append(f.piece(torso, coat))
    pieces.append(f.piece(torso[[1, 2, 3, 4]] * (0.98, 1), coat * 0.82, False))
    arm = [(0.05, 1.42), (swing + 0.1, 1.14), (swing + 0.2, 0.92)]
    pieces.append(f.limb(arm, [0.13, 0.11, 0.08], coat * 0.9))
    pieces.append(f.disc(swing + 0.2, 0.9, 0.05, skin))
    pieces.append(f.limb([(0, 1.46), (0.01, 1.58)], [0.11, 0.11], skin * 0.85))
    pieces.append(f.disc(0.02, 1.66, 0.125, skin))
    pieces.append(f.disc(-0.02, 1.71, 0.115, _pick(rng, _HAIR)))
    if rng.random() < 0.3:
        pieces.append(f.piece(np.array([(-0.42, 1.0), (-0.16, 1.0), (-0.16, 1.38), (-0.36, 1.36)]),
                              _pick(rng, _CLOTHES)))  # fmt: skip
    return Mesh.of(pieces)


def _slant(heading: float, x: float, z: float) -> float:
    """Foreshortening of a figure with a heading, seen from the camera at the origin."""
    seen = float(np.sin(heading - np.arctan2(x, z)))
    return float(np.copysign(max(abs(seen), MIN_SLANT), seen))


def draw_bicycle(
    x: float, z: float, heading: float, camera: Camera, light: Light, rng: np.random.Generator
) -> tuple[Mesh, Mesh]:
    """A bicycle and the rider that may sit on it."""
    f = _figure(x, z, _slant(heading, x - camera.x, z), rng.uniform(0.98, 1.05), camera, light)
    frame, tire = _pick(rng, _CLOTHES) * 1.1, rgb(24, 24, 26)
    pieces = []
    for u in (-0.52, 0.52):
        ring = circle(14) * 0.34 + (u, 0.34)
        pieces.append(f.piece(ring, tire))
        pieces.append(f.piece((ring - (u, 0.34)) * 0.8 + (u, 0.34), rgb(112, 112, 110), False))
        pieces.append(f.disc(u, 0.34, 0.05, tire, False))
    for a, b in (((-0.52, 0.34), (-0.06, 0.32)), ((-0.06, 0.32), (-0.2, 0.86)),
                 ((-0.18, 0.78), (0.38, 0.82)), ((-0.06, 0.32), (0.38, 0.78)),
                 ((-0.52, 0.34), (-0.18, 0.78)), ((0.52, 0.34), (0.36, 0.98))):  # fmt: skip
        pieces.append(f.limb([a, b], [0.05, 0.05], frame))
    pieces.append(f.limb([(-0.32, 0.92), (-0.1, 0.93)], [0.07, 0.05], tire))
    pieces.append(f.limb([(0.28, 1.02), (0.42, 0.99)], [0.05, 0.05], tire))
    return Mesh.of(pieces), _rider(
        f, rng, (-0.2, 0.93), (0.0, 0.2), (0.38, 1.0), rng.random() < 0.5
    )


def draw_motorcycle(
    x: float, z: float, heading: float, camera: Camera, light: Light, rng: np.random.Generator
) -> tuple[Mesh, Mesh]:
    """A motorcycle or scooter and the rider that may sit on it."""
    f = _figure(x, z, _slant(heading, x - camera.x, z), rng.uniform(0.98, 1.06), camera, light)
    paint, dark = _pick(rng, _CLOTHES) * 1.15, rgb(28, 28, 30)
    pieces = []
    for u in (-0.62, 0.64):
        pieces.append(f.piece(circle(14) * 0.31 + (u, 0.31), dark))
        pieces.append(f.piece(circle(12) * 0.18 + (u, 0.31), rgb(130, 130, 132), False))
    pieces.append(f.limb([(0.64, 0.31), (0.4, 0.95)], [0.09, 0.08], dark))
    hull = np.array([(-0.7, 0.62), (-0.5, 0.34), (0.25, 0.26), (0.42, 0.55), (0.36, 0.86),
                     (0.02, 0.9), (-0.1, 0.78), (-0.62, 0.82)])  # fmt: skip
    pieces.append(f.piece(hull, paint))
    pieces.append(f.piece(hull[[1, 2, 3, 0]] * (1, 0.96), dark, False))
    pieces.append(f.limb([(-0.62, 0.83), (-0.08, 0.8)], [0.1, 0.1], dark))
    pieces.append(f.disc(0.5, 0.88, 0.09, rgb(236, 236, 226)))
    pieces.append(f.limb([(0.3, 1.05), (0.44, 0.98)], [0.06, 0.06], dark))
    return Mesh.of(pieces), _rider(f, rng, (-0.26, 0.88), (0.02, 0.34), (0.36, 1.04), True)


def _rider(
    f: Figure,
    rng: np.random.Generator,
    seat: tuple[float, float],
    pedal: tuple[float, float],
    bar: tuple[float, float],
    helmet: bool,
) -> Mesh:
    coat, trousers, skin = _pick(rng, _CLOTHES), _pick(rng, _CLOTHES[:8]) * 0.8, _pick(rng, _SKIN)
    shoulder = (seat[0] + 0.24, seat[1] + 0.52)
    knee = (pedal[0] + 0.16, (seat[1] + pedal[1]) / 2 + 0.08)
    head = (shoulder[0] + 0.08, shoulder[1] + 0.22)
    top = _pick(rng, [(220, 220, 216), (180, 40, 40), (40, 40, 46), (60, 100, 160)])
    return Mesh.of([
        f.limb([seat, knee, pedal], [0.2, 0.16, 0.11], trousers),
        f.limb([pedal, (pedal[0] + 0.18, pedal[1] - 0.02)], [0.08, 0.06], rgb(30, 28, 28)),
        f.limb([seat, ((seat[0] + shoulder[0]) / 2 - 0.04, seat[1] + 0.27), shoulder],
               [0.27, 0.31, 0.24], coat),
        f.limb([shoulder, (shoulder[0] + 0.16, shoulder[1] - 0.28), bar], [0.12, 0.1, 0.08],
               coat * 0.8),
        f.disc(*head, 0.12, skin),
        f.disc(head[0] - 0.02, head[1] + 0.05, 0.125, top if helmet else _pick(rng, _HAIR)),
    ])  # fmt: skip
