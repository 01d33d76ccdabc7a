"""Vehicles of the generated street scenes: small 3D bodies shaded face by face.

A body is a lower part, whose top line and width follow the length, and a glass house on it. Both
are placed in the world and only the faces turned to the camera are drawn, details after them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .drawing import (
    Camera,
    Floats,
    Light,
    Polygon,
    circle,
    on_quad,
    panel,
    quad_normal,
    rgb,
)

CAR, TRUCK, BUS = 26, 27, 28


@dataclass(frozen=True)
class Body:
    """Measures of a vehicle: metres, or shares of its length (rear -0.5, front 0.5) and height."""

    label: int
    length: float
    width: float
    height: float
    top: tuple[tuple[float, float], ...]
    """Top line of the lower part: (share of length, share of height) from rear to front."""
    base: tuple[float, float]
    """Where the glass house stands, rear and front, in shares of the length."""
    roof: tuple[float, float]
    """Where the roof begins and ends, in shares of the length."""
    panes: tuple[float, ...] = (0.0, 0.46, 1.0)
    """Pillars between the side windows, as shares of the glass house."""
    wheel: float = 0.32
    """Radius of the wheels in metres."""
    axles: tuple[float, ...] = (-0.29, 0.31)
    cabin: float = 0.8
    """Width of the roof as a share of the vehicle's."""
    blind: bool = False
    """Closed sides behind the doors, as vans and trucks have."""


_LOW = ((-0.5, 0.52), (-0.47, 0.64), (-0.25, 0.66), (0.2, 0.64), (0.42, 0.55), (0.5, 0.44))
_TALL = ((-0.5, 0.5), (-0.48, 0.56), (0.0, 0.57), (0.28, 0.56), (0.44, 0.5), (0.5, 0.4))
_BOX = ((-0.5, 0.36), (0.0, 0.36), (0.5, 0.36))

BODIES: dict[str, Body] = {
    "hatchback": Body(CAR, 4.0, 1.76, 1.48, _LOW, (-0.47, 0.25), (-0.38, 0.03)),
    "sedan": Body(
        CAR, 4.6, 1.82, 1.44, _LOW, (-0.37, 0.2), (-0.2, 0.02), (0.0, 0.4, 0.8, 1.0)
    ),
    "estate": Body(
        CAR, 4.6, 1.82, 1.48, _LOW, (-0.48, 0.2), (-0.41, 0.02), (0.0, 0.28, 0.6, 1.0)
    ),
    "suv": Body(CAR, 4.5, 1.9, 1.7, _TALL, (-0.48, 0.23), (-0.42, 0.06), wheel=0.37, cabin=0.82),
    "van": Body(
        CAR, 4.9, 1.92, 1.95, _TALL, (-0.495, 0.36), (-0.475, 0.18), (0.0, 0.7, 1.0), cabin=0.86
    ),
    "bus": Body(
        BUS, 11.0, 2.5, 3.1, _BOX, (-0.498, 0.498), (-0.493, 0.485),
        (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0), 0.48, (-0.25, 0.33), 0.96,
    ),
    "truck": Body(
        TRUCK, 2.3, 2.4, 2.8, _BOX, (-0.49, 0.49), (-0.48, 0.4), (0.0, 0.4, 1.0), 0.46, (0.1,), 0.94
    ),
}  # fmt: skip

_PAINTS = [
    (232, 232, 230), (232, 232, 230), (190, 194, 198), (176, 180, 184), (120, 124, 130),
    (72, 76, 82), (38, 40, 44), (30, 32, 36), (40, 66, 118), (58, 100, 160), (150, 30, 34),
    (178, 44, 38), (36, 74, 60), (196, 176, 140), (206, 134, 40), (104, 52, 44), (222, 190, 66),
]  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """Where a vehicle stands: its middle on the ground and its heading (0: away from us)."""

    x: float
    z: float
    heading: float

    def world(self, local: Floats) -> Floats:
        """(N, 3) ahead, right, up in the vehicle to (N, 3) in the world."""
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        ahead, right, up = local.T
        x = self.x + ahead * sin + right * cos
        return np.stack([x, up, self.z + ahead * cos - right * sin], axis=1)


def footprint(body: Body, at: Placed) -> Floats:
    """(4, 3) corners of the ground a vehicle covers."""
    a, b = body.length / 2, body.width / 2
    return at.world(np.array([[-a, -b, 0], [-a, b, 0], [a, b, 0], [a, -b, 0]]))


def random_body(rng: np.random.Generator, kind: str | None = None) -> Body:
    """A body of the given kind, or of a passenger car's, a few percent larger or smaller."""
    names = ["hatchback", "sedan", "estate", "suv", "van"]
    body = BODIES[kind or str(rng.choice(names, p=[0.3, 0.24, 0.18, 0.18, 0.1]))]
    stretch, lift = rng.uniform(0.95, 1.05, size=2)
    return replace(body, length=body.length * stretch, height=body.height * lift)


def draw_vehicle(
    body: Body, at: Placed, camera: Camera, light: Light, rng: np.random.Generator
) -> list[Polygon]:
    """A vehicle's polygons, back to front, as seen from the camera."""
    paint = rgb(*_PAINTS[int(rng.integers(len(_PAINTS)))]) * rng.uniform(0.92, 1.06)
    return _Painter(body, at, camera, light, rng, paint).run()


class _Painter:
    """Draws one vehicle; holds what every step of it needs."""

    def __init__(
        self,
        body: Body,
        at: Placed,
        camera: Camera,
        light: Light,
        rng: np.random.Generator,
        paint: Floats,
    ) -> None:
        self.body, self.at, self.light, self.rng, self.paint = body, at, light, rng, paint
        self.eye = camera.position
        self.distance = float(np.hypot(at.x - camera.x, at.z))
        self.middle = np.array([at.x, 0.25 * body.height, at.z])
        self.polygons: list[Polygon] = []
        self.clearance = 0.19 if body.height < 2.5 else 0.32
        self.small = body.height * camera.focal / max(self.distance, 1) < 44

    def run(self) -> list[Polygon]:
        self._underbody()
        self._lower()
        self._glass_house()
        return self.polygons

    # faces -----------------------------------------------------------------------------------

    def face(self, local: Floats, color: Floats, gloss: float = 0.2) -> Floats | None:
        """Add a quad if it is turned to the camera; its world corners, or None."""
        quad = self.at.world(local)
        normal = quad_normal(quad)
        if float((quad.mean(0) - self.middle) @ normal) < 0:
            normal = -normal
        if float((self.eye - quad.mean(0)) @ normal) <= 0:
            return None
        self.polygons.append(Polygon(quad, self.light.shade(color, normal, self.distance, gloss)))
        return quad

    def detail(self, points: Floats, color: Floats, glow: float = 0.0, solid: bool = False) -> None:
        """Add a polygon that is lit evenly and faces the camera whatever its winding."""
        lit = self.light.ambient + 0.5 * self.light.sun_color
        shaded = color * (lit * (1 - glow) + glow)
        self.polygons.append(Polygon(points, self.light.hazy(shaded, self.distance), solid))

    # parts -----------------------------------------------------------------------------------

    def _underbody(self) -> None:
        """What is seen between the body and the road: a dark floor and the wheels behind it."""
        body, dark = self.body, rgb(26, 26, 28)
        a, b, c = body.length * 0.46, body.width * 0.42, self.clearance + 0.1
        corners = [(-a, -b), (-a, b), (a, b), (a, -b)]
        for (a0, b0), (a1, b1) in zip(corners, corners[1:] + corners[:1], strict=True):
            quad = np.array([[a0, b0, 0.11], [a1, b1, 0.11], [a1, b1, c], [a0, b0, c]])
            self.face(quad, dark, 0)
        for axle in body.axles:
            for side in (-1, 1):
                b1, b0 = side * body.width * 0.48, side * (body.width * 0.48 - 0.2)
                for end in (-1, 1):
                    a = axle * body.length + end * body.wheel * 0.8
                    quad = np.array([[a, b0, 0], [a, b1, 0], [a, b1, c], [a, b0, c]])
                    self.detail(self.at.world(quad), dark * 0.6, solid=True)

    def _lower(self) -> None:
        body = self.body
        stations = np.array([-0.5, -0.46, -0.36, -0.15, 0.1, 0.32, 0.44, 0.5])
        top = np.interp(stations, *np.array(body.top).T) * body.height
        ends = 0.97 if body.height > 2.5 else 0.84
        half = np.interp(np.abs(stations), [0.3, 0.44, 0.47, 0.5], [1, 0.985, 0.95, ends])
        half, along = half * body.width / 2, stations * body.length
        low = self.clearance
        for k in range(len(stations) - 1):  # hood, trunk, and what the glass house hides
            a0, a1, w0, w1, t0, t1 = *along[k : k + 2], *half[k : k + 2], *top[k : k + 2]
            quad = np.array([[a0, -w0, t0], [a1, -w1, t1], [a1, w1, t1], [a0, w0, t0]])
            self.face(quad, self.paint, 0.35)
            for side in (-1, 1):
                self._side_panel(side, (a0, a1), (w0, w1), (t0, t1), low)
        self._end(-1, along[0], half[0], low, top[0])
        self._end(1, along[-1], half[-1], low, top[-1])
        for side in (-1, 1):
            self._wheels(side)

    def _side_panel(
        self,
        side: int,
        along: tuple[float, float],
        half: tuple[float, float],
        top: tuple[float, float],
        low: float,
    ) -> None:
        """One piece of a side, darker towards the sill and light along the shoulder."""
        (a0, a1), (w0, w1) = along, half
        bands = ((0.0, 0.16, 0.5, 0.0), (0.16, 0.62, 0.88, 0.12), (0.62, 0.84, 1.0, 0.22),
                 (0.84, 1.0, 1.1, 0.42))  # fmt: skip
        for v0, v1, bright, gloss in bands:
            heights = [low + v * (t - low) for t in top for v in (v0, v1)]
            # the shoulder leans in, so it mirrors more of the sky
            lean = (1.0, 1.0) if v0 < 0.8 else (1.0, 0.96)
            quad = np.array([
                [a0, side * w0 * lean[0], heights[0]], [a1, side * w1 * lean[0], heights[2]],
                [a1, side * w1 * lean[1], heights[3]], [a0, side * w0 * lean[1], heights[1]],
            ])  # fmt: skip
            self.face(quad, self.paint * bright, gloss)

    def _end(self, end: int, a: float, half: float, low: float, top: float) -> None:
        """Rear (-1) or front (1) with lamps, plate, bumper and grille."""
        quad = np.array([[a, -half, low], [a, half, low], [a, half, top], [a, -half, top]])
        shown = self.face(quad, self.paint * 0.92, 0.16)
        if shown is None:
            return
        self.detail(panel(shown, 0.02, 0.98, 0.0, 0.22), rgb(34, 35, 38))
        self.detail(panel(shown, 0.04, 0.96, 0.44, 0.5), self.paint * 0.62)
        if end > 0:
            self.detail(panel(shown, 0.28, 0.72, 0.56, 0.86), rgb(22, 23, 26))
            self.detail(panel(shown, 0.3, 0.7, 0.68, 0.73), rgb(150, 152, 156))
        lamp = rgb(196, 22, 24) if end < 0 else rgb(238, 238, 228)
        glow = float(self.rng.random() < 0.35) * 0.7 + 0.2 if end < 0 else 0.9 * self.light.dusk
        for u0, u1 in ((0.02, 0.22), (0.78, 0.98)):
            self.detail(panel(shown, u0, u1, 0.58, 0.92), lamp * (0.75 + 0.4 * glow), glow)
            if end > 0:
                self.detail(panel(shown, u0 + 0.05, u1 - 0.05, 0.66, 0.84), rgb(255, 255, 246), 0.6)
        self.detail(panel(shown, 0.39, 0.61, 0.27, 0.41), rgb(235, 236, 230))

    def _wheels(self, side: int) -> None:
        body, ring = self.body, circle(12)
        b = side * body.width * 0.492
        towards = self.at.world(np.array([[0, b, 0.5], [0, b + side, 0.5]]))
        if float((self.eye - towards[0]) @ (towards[1] - towards[0])) <= 0:
            return
        for axle in body.axles:
            for radius, grey, solid in ((1.2, 20, False), (1.0, 30, True), (0.66, 158, False),
                                        (0.5, 118, False), (0.16, 60, False)):  # fmt: skip
                if self.small and radius in (0.5, 0.16):
                    continue
                spoke = ring * (radius * body.wheel)
                a, c = axle * body.length + spoke[:, 0], body.wheel + spoke[:, 1]
                c = np.maximum(c, self.clearance) if radius > 1 else c
                points = self.at.world(np.stack([a, np.full(len(a), b), c], axis=1))
                self.detail(points, rgb(grey, grey, grey + 3), solid=solid)

    def _glass_house(self) -> None:
        body = self.body
        (b0, b1), (r0, r1) = ([x * body.length for x in ends] for ends in (body.base, body.roof))
        tops = np.interp(body.base, *np.array(body.top).T) * body.height
        wb, wr, h = body.width * 0.475, body.width * 0.5 * body.cabin, body.height
        t0, t1 = tops - 0.03
        rear = np.array([[b0, -wb, t0], [b0, wb, t0], [r0, wr, h - 0.04], [r0, -wr, h - 0.04]])
        front = np.array([[b1, wb, t1], [b1, -wb, t1], [r1, -wr, h - 0.04], [r1, wr, h - 0.04]])
        left = np.array([[b1, -wb, t1], [b0, -wb, t0], [r0, -wr, h - 0.04], [r1, -wr, h - 0.04]])
        right = left[[1, 0, 3, 2]] * [1, -1, 1]
        self._roof(r0, r1, wr, h)
        for quad in (left, right):
            self._side_windows(self.face(quad, self.paint * 0.9), quad is left)
        self._window(self.face(rear, self.paint * 0.85), 0.1, 0.08 if not body.blind else 0.6)
        self._window(self.face(front, self.paint * 0.85), 0.05, 0.03)
        self._mirrors(b1 - 0.35, wb, t1)

    def _roof(self, r0: float, r1: float, wr: float, h: float) -> None:
        w = wr * 0.8
        mid = np.array([[r0, -w, h], [r1, -w, h], [r1, w, h], [r0, w, h]])
        self.face(mid, self.paint, 0.4)
        h0 = h - 0.04
        for b0, b1 in ((-wr, -w), (w, wr)):
            heights = (h0, h) if b0 < 0 else (h, h0)
            quad = np.array([
                [r0, b0, heights[0]], [r1, b0, heights[0]],
                [r1, b1, heights[1]], [r0, b1, heights[1]],
            ])  # fmt: skip
            self.face(quad, self.paint, 0.3)
        for a, a1 in ((r0, r0 + 0.15), (r1, r1 - 0.15)):
            quad = np.array([[a, -wr, h0], [a, wr, h0], [a1, w, h], [a1, -w, h]])
            self.face(quad, self.paint, 0.3)

    def _window(self, quad: Floats | None, margin: float, low: float) -> None:
        """A pane with the sky mirrored in its upper part and a slanting gleam."""
        if quad is None:
            return
        glass = rgb(34, 41, 50)
        u, v = margin, 1 - margin
        sky = self.light.sky_low
        self.detail(panel(quad, u, v, low, 0.94), glass)
        self.detail(panel(quad, u, v, 0.55, 0.94), glass * 0.72 + sky * 0.2)
        if not self.small:
            shine = on_quad(
                quad, [(0.55, low + 0.02), (0.7, low + 0.02), (0.86, 0.92), (0.66, 0.92)]
            )
            self.detail(shine, glass * 0.6 + sky * 0.34)

    def _side_windows(self, quad: Floats | None, mirrored: bool) -> None:
        if quad is None:
            return
        glass, sky = rgb(32, 38, 46), self.light.sky_low
        panes = self.body.panes
        for k, (u0, u1) in enumerate(zip(panes[:-1], panes[1:], strict=True)):
            if self.body.blind and k == 0:
                continue
            u0, u1 = (0.05 + 0.9 * u0 + 0.012, 0.05 + 0.9 * u1 - 0.012)
            u0, u1 = (1 - u1, 1 - u0) if mirrored else (u0, u1)
            self.detail(panel(quad, u0, u1, 0.1, 0.9), glass)
            self.detail(panel(quad, u0, u1, 0.58, 0.9), glass * 0.75 + sky * 0.2)

    def _mirrors(self, a: float, half: float, up: float) -> None:
        for side in (-1, 1):
            b0, b1 = side * (half + 0.02), side * (half + 0.2)
            c0, c1 = up + 0.02, up + 0.16
            quad = np.array([[a, b0, c0], [a, b1, c0], [a, b1, c1], [a, b0, c1]])
            self.detail(self.at.world(quad), self.paint * 0.75, solid=True)


def draw_cargo(
    at: Placed, length: float, camera: Camera, light: Light, rng: np.random.Generator
) -> list[Polygon]:
    """The closed box of a truck, ``length`` metres long, its cab not included."""
    tones = [(226, 226, 222), (200, 204, 206), (60, 94, 140), (168, 52, 44), (214, 160, 60)]
    paint = rgb(*tones[int(rng.integers(len(tones)))])
    body = Body(TRUCK, length, 2.5, 3.5, _BOX, (0, 0), (0, 0), wheel=0.48, axles=(-0.3, 0.25))
    painter = _Painter(body, at, camera, light, rng, paint)
    painter._underbody()
    a, b, c0, c1 = length / 2, 1.25, 0.75, 3.5
    corners = [(-a, -b), (-a, b), (a, b), (a, -b)]
    for (a0, b0), (a1, b1) in zip(corners, corners[1:] + corners[:1], strict=True):
        quad = np.array([[a0, b0, c0], [a1, b1, c0], [a1, b1, c1], [a0, b0, c1]])
        shown = painter.face(quad, paint, 0.1)
        if shown is not None:
            painter.detail(panel(shown, 0, 1, 0, 0.05), rgb(70, 72, 76))
            painter.detail(panel(shown, 0, 1, 0.96, 1), paint * 0.8)
            if a0 == a1 == -a:
                painter.detail(panel(shown, 0.495, 0.505, 0.05, 0.96), paint * 0.6)
                for u in (0.03, 0.87):
                    painter.detail(panel(shown, u, u + 0.1, 0.0, 0.05), rgb(200, 24, 24), 0.6)
            else:
                tone = rgb(*tones[int(rng.integers(len(tones)))])
                painter.detail(panel(shown, 0.25, 0.75, 0.4, 0.65), tone * 0.5 + paint * 0.4)
    for side in (-1, 1):
        painter._wheels(side)
    return painter.polygons
