"""Polygons of the generated scenes' vehicles, in the vehicle's own frame.

A body is a lower part, whose top line and width follow the length, and a glass house on it. Its
polygons (ahead, right, up, in metres) are kept with what decides how each is lit and whether it
is seen, so that placing a vehicle is a few operations on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np

from spatialembed.demo.scenery.bodies import BODIES, Body
from spatialembed.demo.scenery.canvas import Flags, Floats, circle, panel


@dataclass(frozen=True)
class Look:
    """How one polygon of a body is colored, lit and decided to be seen."""

    paint: float = 0.0
    """Share of the vehicle's paint in its color, added to ``tone``."""
    tone: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sky: float = 0.0
    """Share of the sky's color in it, as glass mirrors it."""
    gloss: float = 0.0
    lamp: int = 0
    """0: none, 1: tail lamp, 2: headlamp."""
    solid: bool = False


@dataclass(frozen=True)
class Shape:
    """The N polygons of a body with P corners in all, one row each where not said otherwise.

    Attributes:
        points: (P, 3) corners in the vehicle's frame; counts: (N,) corners of each polygon.
        normal, center: (N, 3) of the face that decides whether the polygon is seen; a normal of
            zero is seen from everywhere.
        lit: (N,) whether its normal decides the light too, as on faces, or it is lit evenly.
        paint, sky, gloss: (N,); tone: (N, 3); lamp: (N,) int; solid: (N,), see Look.
    """

    points: Floats
    counts: np.ndarray
    normal: Floats
    center: Floats
    lit: Flags
    paint: Floats
    tone: Floats
    sky: Floats
    gloss: Floats
    lamp: np.ndarray
    solid: Flags


@lru_cache(maxsize=64)
def shape_of(kind: str, style: int, small: bool) -> Shape:
    """Polygons of a kind of vehicle; ``style`` 0..2 is its lamps, ``small`` leaves out details."""
    return _Builder(BODIES[kind], style, small).build()


@dataclass
class _Builder:
    """Collects the polygons of a body, back to front within each part."""

    body: Body
    style: int
    small: bool
    rows: list[tuple[Floats, Floats, Floats, bool, Look]] = field(default_factory=list)

    def build(self) -> Shape:
        self._underbody()
        if self.body.cargo:
            self._cargo()
        else:
            self._lower()
            self._glass_house()
        points, normal, center, lit, looks = zip(*self.rows, strict=True)
        return Shape(
            np.concatenate(points), np.array([len(p) for p in points]),
            np.stack(normal), np.stack(center), np.array(lit),
            np.array([k.paint for k in looks]), np.array([k.tone for k in looks], dtype=float),
            np.array([k.sky for k in looks]), np.array([k.gloss for k in looks]),
            np.array([k.lamp for k in looks]), np.array([k.solid for k in looks]),
        )  # fmt: skip

    def face(self, quad: Floats, paint: float, gloss: float, tone: float = 0.0) -> Floats:
        """Add a solid quad (4, 3) that is seen from outside only, and give it back."""
        (a, b, c), (d, e, f) = (quad[2] - quad[0]).tolist(), (quad[3] - quad[1]).tolist()
        normal = np.array([b * f - c * e, c * d - a * f, a * e - b * d])
        normal /= max(float(np.sqrt(normal @ normal)), 1e-9)
        center = quad.mean(0)
        if (center - (0, 0, 0.25 * self.body.height)) @ normal < 0:
            normal = -normal
        look = Look(paint, (tone, tone, tone), gloss=gloss, solid=True)
        self.rows.append((quad, normal, center, True, look))
        return quad

    def detail(self, points: Floats, look: Look) -> None:
        """Add a polygon that is seen whenever the last face is."""
        _, normal, center, _, _ = next(row for row in reversed(self.rows) if row[3])
        self.rows.append((points, normal, center, False, look))

    def free(self, points: Floats, look: Look, facing: Floats | None = None) -> None:
        """Add a polygon seen from everywhere, or from the side that ``facing`` points to."""
        normal = np.zeros(3) if facing is None else facing
        self.rows.append((points, normal, points.mean(0), False, look))

    # parts -----------------------------------------------------------------------------------

    def _underbody(self) -> None:
        """What is seen between the body and the road: a dark floor and the wheels behind it."""
        body = self.body
        a, b, c = body.length * 0.46, body.width * 0.42, body.clearance + 0.1
        corners = [(-a, -b), (-a, b), (a, b), (a, -b)]
        for (a0, b0), (a1, b1) in zip(corners, corners[1:] + corners[:1], strict=True):
            self.face(
                np.array([[a0, b0, 0.11], [a1, b1, 0.11], [a1, b1, c], [a0, b0, c]]), 0, 0, 26
            )
        for axle in body.axles:
            for side in (-1, 1):
                b1, b0 = side * body.width * 0.48, side * (body.width * 0.48 - 0.2)
                a = axle * body.length
                quad = np.array([[a, b0, 0.0], [a, b1, 0.0], [a, b1, c], [a, b0, c]])
                self.free(quad, Look(tone=(16, 16, 17), solid=True))

    def _lower(self) -> None:
        body = self.body
        stations = np.array([-0.5, -0.475, -0.42, -0.15, 0.1, 0.34, 0.45, 0.5])
        top = np.interp(stations, *np.array(body.top).T) * body.height
        ends = 0.97 if body.height > 2.5 else 0.8
        half = np.interp(np.abs(stations), [0.3, 0.44, 0.475, 0.5], [1, 0.98, 0.93, ends])
        half, along = half * body.width / 2, stations * body.length
        for (a0, w0, t0), (a1, w1, t1) in pairwise(zip(along, half, top, strict=True)):
            self.face(np.array([[a0, -w0, t0], [a1, -w1, t1], [a1, w1, t1], [a0, w0, t0]]), 1, 0.3)
            for side in (-1, 1):
                self._side(side, (a0, a1), (w0, w1), (t0, t1))
        self._end(-1, along[0], half[0], top[0])
        self._end(1, along[-1], half[-1], top[-1])
        self._side_lines()
        for side in (-1, 1):
            self._wheels(side)

    def _side(
        self,
        side: int,
        along: tuple[float, float],
        half: tuple[float, float],
        top: tuple[float, float],
    ) -> None:
        """One piece of a side, darker towards the sill and light along the shoulder."""
        low = self.body.clearance
        for v0, v1, bright, gloss in ((0.0, 0.16, 0.5, 0.0), (0.16, 0.6, 0.86, 0.1),
                                      (0.6, 0.84, 1.0, 0.2), (0.84, 1.0, 1.1, 0.4)):  # fmt: skip
            lean = 1.0 if v0 < 0.8 else 0.96  # the shoulder leans in and mirrors more of the sky
            (a0, a1), (w0, w1), (t0, t1) = along, half, (t - low for t in top)
            self.face(
                np.array([
                    [a0, side * w0, low + v0 * t0], [a1, side * w1, low + v0 * t1],
                    [a1, side * w1 * lean, low + v1 * t1], [a0, side * w0 * lean, low + v1 * t0],
                ]), bright, gloss,
            )  # fmt: skip

    def _side_lines(self) -> None:
        """Door gaps and handles."""
        body = self.body
        if self.small or body.height > 2.5:
            return
        belt, low = body.height * 0.6, body.clearance + 0.14
        for side in (-1, 1):
            b, out = side * body.width * 0.5, np.array([0, side, 0.0])
            for share in body.panes[1:-1]:
                a = (body.base[0] + share * (body.base[1] - body.base[0])) * body.length
                gap = np.array(
                    [[a, b, low], [a + 0.025, b, low], [a + 0.025, b, belt], [a, b, belt]]
                )
                self.free(gap, Look(paint=0.45), out)
                knob = np.array([[a + 0.1, b, belt - 0.12], [a + 0.3, b, belt - 0.12],
                                 [a + 0.3, b, belt - 0.07], [a + 0.1, b, belt - 0.07]])  # fmt: skip
                self.free(knob, Look(paint=0.5, tone=(30, 30, 32)), out)

    def _end(self, end: int, a: float, half: float, top: float) -> None:
        """Rear (-1) or front (1) with lamps, plate, bumper and grille."""
        low = self.body.clearance
        quad = np.array([[a, -half, low], [a, half, low], [a, half, top], [a, -half, top]])
        self.face(quad, 0.92, 0.16)
        self.detail(panel(quad, 0.02, 0.98, 0.0, 0.2), Look(tone=(34, 35, 38)))
        self.detail(panel(quad, 0.03, 0.97, 0.46, 0.5), Look(paint=0.6))
        if end > 0:
            self.detail(panel(quad, 0.27, 0.73, 0.57, 0.84), Look(tone=(22, 23, 26)))
            self.detail(panel(quad, 0.3, 0.7, 0.68, 0.72), Look(tone=(160, 162, 166)))
            self.detail(panel(quad, 0.2, 0.8, 0.08, 0.2), Look(tone=(14, 14, 16)))
        depth, v0, v1 = ((0.2, 0.64, 0.92), (0.13, 0.5, 0.96), (0.27, 0.7, 0.9))[self.style]
        tone = (190, 24, 26) if end < 0 else (226, 228, 222)
        lamp = 1 if end < 0 else 2
        for u0, u1 in ((0.0, depth), (1 - depth, 1.0)):
            self.detail(panel(quad, u0, u1, v0, v1), Look(tone=tone, lamp=lamp))
            inner = panel(quad, u0 + depth * 0.28, u1 - depth * 0.28, v0 + 0.1, v1 - 0.08)
            bright = (236, 96, 84) if end < 0 else (255, 255, 250)
            if not self.small:
                self.detail(inner, Look(tone=bright, lamp=lamp))
        self.detail(panel(quad, 0.4, 0.6, 0.27, 0.4), Look(tone=(226, 227, 222)))
        if end < 0 and self.style == 2:
            self.detail(panel(quad, 0.27, 0.73, 0.78, 0.83), Look(tone=(120, 26, 28)))

    def _wheels(self, side: int) -> None:
        body, ring = self.body, circle(14)
        out = np.array([0, side, 0.0])
        rings = ((1.2, 18, False), (1.0, 30, True), (0.66, 164, False), (0.54, 112, False),
                 (0.2, 176, False))  # fmt: skip
        for axle in body.axles:
            for radius, grey, solid in rings[: 3 if self.small else 5]:
                spoke = ring * (radius * body.wheel)
                a, c = axle * body.length + spoke[:, 0], body.wheel + spoke[:, 1]
                c = np.maximum(c, body.clearance) if radius > 1 else c
                # a little outside, the outer the more, so that each is decided like the side
                points = np.stack([a, np.full(len(a), side * body.width * 0.494), c], axis=1)
                self.free(points, Look(tone=(grey, grey, grey + 3), solid=solid), out)

    def _glass_house(self) -> None:
        body, h = self.body, self.body.height - 0.045
        (b0, b1), (r0, r1) = ([x * body.length for x in ends] for ends in (body.base, body.roof))
        t0, t1 = np.interp(body.base, *np.array(body.top).T) * body.height - 0.03
        wb, wr = body.width * 0.475, body.width * 0.5 * body.cabin
        rear = np.array([[b0, -wb, t0], [b0, wb, t0], [r0, wr, h], [r0, -wr, h]])
        front = np.array([[b1, wb, t1], [b1, -wb, t1], [r1, -wr, h], [r1, wr, h]])
        left = np.array([[b1, -wb, t1], [b0, -wb, t0], [r0, -wr, h], [r1, -wr, h]])
        right = left[[1, 0, 3, 2]] * (1, -1, 1)
        self._roof(r0, r1, wr)
        for quad, mirrored in ((left, True), (right, False)):
            self.face(quad, 0.9, 0.2)
            self._side_windows(quad, mirrored)
        self.face(rear, 0.85, 0.2)
        self._window(rear, 0.09, 0.08)
        self.face(front, 0.85, 0.2)
        self._window(front, 0.05, 0.03)
        for side in (-1, 1):  # mirrors
            a, m0, m1 = b1 - 0.35, side * (wb + 0.02), side * (wb + 0.2)
            c0, c1 = t1 + 0.02, t1 + 0.16
            mirror = np.array([[a, m0, c0], [a, m1, c0], [a, m1, c1], [a, m0, c1]])
            self.free(mirror, Look(paint=0.72, solid=True))

    def _roof(self, r0: float, r1: float, wr: float) -> None:
        """A flat middle and four edges that lean down to the windows."""
        h, low, w, e = self.body.height, self.body.height - 0.045, wr * 0.8, 0.15
        inner = np.array([[r0 + e, -w, h], [r1 - e, -w, h], [r1 - e, w, h], [r0 + e, w, h]])
        outer = np.array([[r0, -wr, low], [r1, -wr, low], [r1, wr, low], [r0, wr, low]])
        self.face(inner, 1, 0.38)
        for k, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
            self.face(np.stack([outer[k], outer[j], inner[j], inner[k]]), 1.02, 0.3)

    def _window(self, quad: Floats, margin: float, low: float) -> None:
        """A pane with the sky mirrored in its upper part and slanting gleams."""
        u, v = margin, 1 - margin
        self.detail(panel(quad, u, v, low, 0.94), Look(tone=(34, 41, 50)))
        self.detail(panel(quad, u, v, 0.5, 0.94), Look(tone=(26, 31, 38), sky=0.14))
        if self.small:
            return
        self.detail(panel(quad, u, v, 0.76, 0.94), Look(tone=(24, 28, 35), sky=0.24))
        for u0, width in ((0.5, 0.13), (0.68, 0.04)):
            shine = panel(quad, u0, u0 + width, low + 0.02, 0.92)
            shine[2:] += (quad[1] - quad[0]) * 0.16
            self.detail(shine, Look(tone=(24, 28, 34), sky=0.34))
        for u0 in (0.18, 0.6):  # head rests
            self.detail(panel(quad, u0, u0 + 0.16, low, low + 0.3), Look(tone=(20, 22, 26)))

    def _side_windows(self, quad: Floats, mirrored: bool) -> None:
        for p0, p1 in pairwise(self.body.panes):
            u0, u1 = 0.05 + 0.9 * p0 + 0.012, 0.05 + 0.9 * p1 - 0.012
            u0, u1 = (1 - u1, 1 - u0) if mirrored else (u0, u1)
            self.detail(panel(quad, u0, u1, 0.1, 0.9), Look(tone=(32, 38, 46)))
            self.detail(panel(quad, u0, u1, 0.56, 0.9), Look(tone=(25, 30, 37), sky=0.18))

    def _cargo(self) -> None:
        a, b, c0, c1 = self.body.length / 2, 1.25, 0.75, 3.5
        corners = [(-a, -b), (-a, b), (a, b), (a, -b)]
        for (a0, b0), (a1, b1) in zip(corners, corners[1:] + corners[:1], strict=True):
            quad = np.array([[a0, b0, c0], [a1, b1, c0], [a1, b1, c1], [a0, b0, c1]])
            self.face(quad, 1, 0.1)
            self.detail(panel(quad, 0, 1, 0, 0.05), Look(tone=(70, 72, 76)))
            self.detail(panel(quad, 0, 1, 0.96, 1), Look(paint=0.8))
            if a0 == a1 == -a:
                self.detail(panel(quad, 0.495, 0.505, 0.05, 0.96), Look(paint=0.6))
                for u in (0.03, 0.87):
                    self.detail(panel(quad, u, u + 0.1, 0, 0.05), Look(tone=(200, 24, 24), lamp=1))
            elif b0 == b1:
                sign = Look(paint=0.45, tone=(70, 90, 110))
                self.detail(panel(quad, 0.25, 0.75, 0.42, 0.64), sign)
        for side in (-1, 1):
            self._wheels(side)
