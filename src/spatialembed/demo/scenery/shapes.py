"""Polygons of the generated scenes' vehicles, in the vehicle's own frame.

A body is a lower part, whose top line and width follow the length, and a glass house on it. Its
polygons (ahead, right, up, in metres) are kept with what decides how each is lit and whether it
is seen, so that placing a vehicle is a few operations on arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from spatialembed.demo.scenery.bodies import BODIES, Body
from spatialembed.demo.scenery.canvas import Flags, Floats, circle, panel, xyz

TAIL, HEAD = 1, 2
"""Lamps."""


class Look(NamedTuple):
    """How one polygon of a body is colored and lit."""

    tone: tuple[float, float, float] = (0, 0, 0)
    paint: float = 0
    """Share of the vehicle's paint in its color, added to ``tone``."""
    sky: float = 0
    """Share of the sky's color in it, as glass mirrors it."""
    gloss: float = 0
    lamp: int = 0
    solid: bool = False


_LOOK = np.dtype(
    [("tone", "f8", 3), ("paint", "f8"), ("sky", "f8"), ("gloss", "f8"), ("lamp", "i8"),
     ("solid", "?")]
)  # fmt: skip

Detail: TypeAlias = tuple[float, float, float, float, Look]
"""Where it lies on its face, u0, u1, v0, v1 as ``panel`` takes them, and its look."""


class Shape(NamedTuple):
    """The N polygons of a body with P corners in all."""

    points: Floats
    """(P, 3) corners in the vehicle's frame, polygon after polygon."""
    counts: np.ndarray
    """(N,) corners of each polygon."""
    normal: Floats
    """(N, 3) of the face that decides whether it is seen; zero is seen from everywhere."""
    center: Floats
    """(N, 3) of that face."""
    lit: Flags
    """(N,) whether its normal decides the light too, as on faces, or it is lit evenly."""
    look: np.ndarray
    """(N,) with the fields of Look."""


@lru_cache(maxsize=64)
def shape_of(kind: str, style: int, small: bool) -> Shape:
    """Polygons of a kind of vehicle; ``style`` 0..2 is its lamps, ``small`` leaves out details."""
    points, normal, center, lit, look = zip(*_Builder(BODIES[kind], style, small).rows, strict=True)
    counts = np.array([len(p) for p in points])
    stacked = np.concatenate(points), counts, np.stack(normal), np.stack(center), np.array(lit)
    return Shape(*stacked, np.array(list(look), dtype=_LOOK))


_BUMPER, _DOOR_GAP = Look((34, 35, 38)), Look(paint=0.45)
_HANDLE, _MIRROR = Look((30, 30, 32), 0.5), Look(paint=0.72, solid=True)
_BANDS = ((0.0, 0.16, 0.5, 0.0), (0.16, 0.6, 0.86, 0.1), (0.6, 0.84, 1.0, 0.2),
          (0.84, 1.0, 1.1, 0.4))  # fmt: skip
"""Of a side, upwards: from and to which share of its height, how much paint, gloss."""
_END: list[Detail] = [(0.02, 0.98, 0, 0.2, _BUMPER), (0.03, 0.97, 0.46, 0.5, Look(paint=0.6))]
_GRILLE: list[Detail] = [
    (0.27, 0.73, 0.57, 0.84, Look((22, 23, 26))),
    (0.3, 0.7, 0.68, 0.72, Look((160, 162, 166))),
    (0.2, 0.8, 0.08, 0.2, Look((14, 14, 16))),
]
_PLATE: Detail = (0.4, 0.6, 0.27, 0.4, Look((226, 227, 222)))
_THIRD_LAMP: Detail = (0.27, 0.73, 0.78, 0.83, Look((120, 26, 28)))
_LAMP_STYLES = ((0.2, 0.64, 0.92), (0.13, 0.5, 0.96), (0.27, 0.7, 0.9))
"""Width and lower and upper edge of the lamps."""
_LAMPS = {
    TAIL: (Look((190, 24, 26), lamp=TAIL), Look((236, 96, 84), lamp=TAIL)),
    HEAD: (Look((226, 228, 222), lamp=HEAD), Look((255, 255, 250), lamp=HEAD)),
}
"""Their rim and middle."""
_RINGS = ((1.2, 18, False), (1.0, 30, True), (0.66, 164, False), (0.54, 112, False),
          (0.2, 176, False))  # fmt: skip
"""Of a wheel, inwards: share of the radius, grey, whether solid. The first is the wheel house."""
_GLEAM = Look((24, 28, 34), sky=0.34)
_HEAD_REST = Look((20, 22, 26))
_CARGO: list[Detail] = [(0, 1, 0, 0.05, Look((70, 72, 76))), (0, 1, 0.96, 1, Look(paint=0.8))]
_DOORS: list[Detail] = [
    (0.495, 0.505, 0.05, 0.96, Look(paint=0.6)),
    (0.03, 0.13, 0, 0.05, Look((200, 24, 24), lamp=TAIL)),
    (0.87, 0.97, 0, 0.05, Look((200, 24, 24), lamp=TAIL)),
]
_SIGN: list[Detail] = [(0.25, 0.75, 0.42, 0.64, Look((70, 90, 110), 0.45))]


def _walls(a: float, b: float, low: float, high: float) -> Floats:
    """(4, 4, 3) upright faces of a box, the rear, right, front and left one."""
    ahead, right = np.array([-a, -a, a, a]), np.array([-b, b, b, -b])
    return np.stack(
        [
            xyz(
                np.roll(ahead, -k)[[0, 1, 1, 0]],
                np.roll(right, -k)[[0, 1, 1, 0]],
                [low, low, high, high],
            )
            for k in range(4)
        ]
    )


class _Builder:
    """Collects the polygons of a body, back to front within each part."""

    def __init__(self, body: Body, style: int, small: bool) -> None:
        self.body, self.style, self.small = body, style, small
        self.rows: list[tuple[Floats, Floats, Floats, bool, Look]] = []
        self._underbody()
        if body.cargo:
            self._cargo()
        else:
            self._lower()
            self._glass_house()

    def face(self, quad: Floats, look: Look, details: Sequence[Detail] = ()) -> None:
        """Add a solid quad (4, 3) that is seen from outside only, and what is seen with it."""
        normal = np.cross(quad[2] - quad[0], quad[3] - quad[1])
        normal /= max(float(np.sqrt(normal @ normal)), 1e-9)
        center = quad.mean(0)
        if (center - (0, 0, 0.25 * self.body.height)) @ normal < 0:
            normal = -normal
        self.rows.append((quad, normal, center, True, look._replace(solid=True)))
        for *place, detail in details:
            self.detail(panel(quad, *place), detail)

    def detail(self, points: Floats, look: Look) -> None:
        """Add a polygon that is seen whenever what was added last is."""
        _, normal, center, *_ = self.rows[-1]
        self.rows.append((points, normal, center, False, look))

    def free(self, points: Floats, look: Look, facing: ArrayLike = (0, 0, 0)) -> None:
        """Add a polygon seen from everywhere, or from the side that ``facing`` points to."""
        self.rows.append((points, np.array(facing, dtype=float), points.mean(0), False, look))

    # parts -----------------------------------------------------------------------------------

    def _underbody(self) -> None:
        """What is seen between the body and the road: a dark floor and the wheels behind it."""
        body = self.body
        top = body.clearance + 0.1
        for wall in _walls(body.length * 0.46, body.width * 0.42, 0.11, top):
            self.face(wall, Look((26, 26, 26)))
        for axle in body.axles:
            for side in (-1, 1):
                out = body.width * 0.48
                across = side * np.array([out - 0.2, out, out, out - 0.2])
                wheel = xyz(axle * body.length, across, [0, 0, top, top])
                self.free(wheel, Look((16, 16, 17), solid=True))

    def _lower(self) -> None:
        body = self.body
        stations = np.array([-0.5, -0.475, -0.42, -0.15, 0.1, 0.34, 0.45, 0.5])
        top = np.interp(stations, *np.array(body.top).T) * body.height
        ends = 0.97 if body.height > 2.5 else 0.8
        half = np.interp(np.abs(stations), [0.3, 0.44, 0.475, 0.5], [1, 0.98, 0.93, ends])
        half, along = half * body.width / 2, stations * body.length
        for k in range(len(stations) - 1):
            a, w, t = (v[[k, k + 1, k + 1, k]] for v in (along, half, top))
            self.face(xyz(a, w * (-1, -1, 1, 1), t), Look(paint=1, gloss=0.3))
            for side in (-1, 1):
                self._side(a, side * w, t - body.clearance)
        for lamp, k in ((TAIL, 0), (HEAD, -1)):
            self._end(lamp, along[k], half[k], top[k])
        if not self.small and body.height <= 2.5:
            self._side_lines()
        self._wheels()

    def _side(self, a: Floats, b: Floats, height: Floats) -> None:
        """One piece of a side, darker towards the sill and light along the shoulder."""
        for v0, v1, paint, gloss in _BANDS:
            lean = 1.0 if v0 < 0.8 else 0.96  # the shoulder leans in and mirrors more of the sky
            up = self.body.clearance + np.array([v0, v0, v1, v1]) * height
            self.face(xyz(a, b * (1, 1, lean, lean), up), Look(paint=paint, gloss=gloss))

    def _side_lines(self) -> None:
        """Door gaps and handles."""
        body = self.body
        belt, low = body.height * 0.6, body.clearance + 0.14
        for side in (-1, 1):
            for share in body.panes[1:-1]:
                a = (body.base[0] + share * (body.base[1] - body.base[0])) * body.length
                for a0, a1, c0, c1, look in (
                    (a, a + 0.025, low, belt, _DOOR_GAP),
                    (a + 0.1, a + 0.3, belt - 0.12, belt - 0.07, _HANDLE),
                ):
                    quad = xyz([a0, a1, a1, a0], side * body.width * 0.5, [c0, c0, c1, c1])
                    self.free(quad, look, (0, side, 0))

    def _end(self, lamp: int, a: float, half: float, top: float) -> None:
        """Rear or front with lamps, plate, bumper and grille."""
        low = self.body.clearance
        quad = xyz(a, [-half, half, half, -half], [low, low, top, top])
        details = [*_END, *(_GRILLE if lamp == HEAD else [])]
        depth, v0, v1 = _LAMP_STYLES[self.style]
        rim, middle = _LAMPS[lamp]
        for u0, u1 in ((0.0, depth), (1 - depth, 1.0)):
            details.append((u0, u1, v0, v1, rim))
            inset = depth * 0.28
            if not self.small:
                details.append((u0 + inset, u1 - inset, v0 + 0.1, v1 - 0.08, middle))
        details.append(_PLATE)
        if lamp == TAIL and self.style == 2:
            details.append(_THIRD_LAMP)
        self.face(quad, Look(paint=0.92, gloss=0.16), details)

    def _wheels(self) -> None:
        body = self.body
        for side in (-1, 1):
            for axle in body.axles:
                for radius, grey, solid in _RINGS[: 3 if self.small else 5]:
                    spoke = circle(14) * (radius * body.wheel)
                    up = body.wheel + spoke[:, 1]
                    up = np.maximum(up, body.clearance) if radius > 1 else up
                    # a little inside of the side, so that each is decided like the side
                    ring = xyz(axle * body.length + spoke[:, 0], side * body.width * 0.494, up)
                    self.free(ring, Look((grey, grey, grey + 3), solid=solid), (0, side, 0))

    def _glass_house(self) -> None:
        body, h = self.body, self.body.height - 0.045
        (b0, b1), (r0, r1) = np.array([body.base, body.roof]) * body.length
        t0, t1 = np.interp(body.base, *np.array(body.top).T) * body.height - 0.03
        wb, wr = body.width * 0.475, body.width * 0.5 * body.cabin
        across, sign = np.array([wb, wb, wr, wr]), np.array([-1, 1, 1, -1])
        rear = xyz([b0, b0, r0, r0], across * sign, [t0, t0, h, h])
        front = xyz([b1, b1, r1, r1], across * -sign, [t1, t1, h, h])
        left = xyz([b1, b0, r0, r1], -across, [t1, t0, h, h])
        self._roof(r0, r1, wr)
        self._side_windows(left, mirrored=True)
        self._side_windows(left[[1, 0, 3, 2]] * (1, -1, 1), mirrored=False)
        self._window(rear, 0.09, 0.08)
        self._window(front, 0.05, 0.03)
        for side in (-1, 1):
            m0, m1, c0, c1 = side * (wb + 0.02), side * (wb + 0.2), t1 + 0.02, t1 + 0.16
            self.free(xyz(b1 - 0.35, [m0, m1, m1, m0], [c0, c0, c1, c1]), _MIRROR)

    def _roof(self, r0: float, r1: float, wr: float) -> None:
        """A flat middle and four edges that lean down to the windows."""
        h, w, e = self.body.height, wr * 0.8, 0.15
        inner = xyz([r0 + e, r1 - e, r1 - e, r0 + e], [-w, -w, w, w], h)
        outer = xyz([r0, r1, r1, r0], [-wr, -wr, wr, wr], h - 0.045)
        self.face(inner, Look(paint=1, gloss=0.38))
        for k, j in pairwise((0, 1, 2, 3, 0)):
            edge = np.stack([outer[k], outer[j], inner[j], inner[k]])
            self.face(edge, Look(paint=1.02, gloss=0.3))

    def _window(self, quad: Floats, u: float, low: float) -> None:
        """A pane with the sky mirrored in its upper part and slanting gleams."""
        panes: list[Detail] = [
            (u, 1 - u, low, 0.94, Look((34, 41, 50))),
            (u, 1 - u, 0.5, 0.94, Look((26, 31, 38), sky=0.14)),
            (u, 1 - u, 0.76, 0.94, Look((24, 28, 35), sky=0.24)),
        ]
        self.face(quad, Look(paint=0.85, gloss=0.2), panes[: 2 if self.small else 3])
        if self.small:
            return
        for u0, width in ((0.5, 0.13), (0.68, 0.04)):
            shine = panel(quad, u0, u0 + width, low + 0.02, 0.92)
            shine[2:] += (quad[1] - quad[0]) * 0.16
            self.detail(shine, _GLEAM)
        for u0 in (0.18, 0.6):
            self.detail(panel(quad, u0, u0 + 0.16, low, low + 0.3), _HEAD_REST)

    def _side_windows(self, quad: Floats, mirrored: bool) -> None:
        panes: list[Detail] = []
        for p0, p1 in pairwise(self.body.panes):
            u0, u1 = 0.05 + 0.9 * p0 + 0.012, 0.05 + 0.9 * p1 - 0.012
            u0, u1 = (1 - u1, 1 - u0) if mirrored else (u0, u1)
            panes.append((u0, u1, 0.1, 0.9, Look((32, 38, 46))))
            panes.append((u0, u1, 0.56, 0.9, Look((25, 30, 37), sky=0.18)))
        self.face(quad, Look(paint=0.9, gloss=0.2), panes)

    def _cargo(self) -> None:
        walls = _walls(self.body.length / 2, 1.25, 0.75, 3.5)
        for wall, more in zip(walls, (_DOORS, _SIGN, [], _SIGN), strict=True):
            self.face(wall, Look(paint=1, gloss=0.1), _CARGO + more)
        self._wheels()
