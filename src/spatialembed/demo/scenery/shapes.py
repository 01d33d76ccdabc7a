"""Polygons of the generated scenes' vehicles, in the vehicle's own frame.

A body is a lower part, whose top line and width follow the length, and a glass house on it. Its
polygons (ahead, right, up, in metres) are kept with what decides how each is lit and whether it
is seen, so that placing a vehicle is a few operations on arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise, product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from spatialembed.demo.scenery.bodies import BODIES, Body
from spatialembed.demo.scenery.canvas import Floats, circle, panel, xyz

TAIL, HEAD = 1, 2


class Look(NamedTuple):
    """How a polygon is colored: shares of the vehicle's paint and the sky's color and ``tone``."""

    tone: tuple[float, float, float] = (0, 0, 0)
    paint: float = 0
    sky: float = 0
    gloss: float = 0
    lamp: int = 0
    solid: bool = False
    lit: bool = False
    """Whether its normal decides the light too, as on faces, or it is lit evenly."""


_LOOK = np.dtype(list(zip(Look._fields, ["3f8", "f8", "f8", "f8", "i8", "?", "?"], strict=True)))

Detail: TypeAlias = tuple[float, float, float, float, Look]
"""Where it lies on its face, u0, u1, v0, v1 as ``panel`` takes them, and its look."""


class Shape(NamedTuple):
    """The N polygons of a body with P corners in all.

    Attributes:
        points: (P, 3) corners, polygon after polygon; counts: (N,) of each.
        normal, center: (N, 3) of the face that decides whether it is seen; a normal of zero is
            seen from everywhere.
        look: (N,) with the fields of Look.
    """

    points: Floats
    counts: np.ndarray
    normal: Floats
    center: Floats
    look: np.ndarray


@lru_cache(maxsize=64)
def shape_of(kind: str, style: int, small: bool) -> Shape:
    """Polygons of a kind of vehicle; ``style`` 0..2 is its lamps, ``small`` leaves out details."""
    points, normal, center, look = zip(*_Builder(BODIES[kind], style, small).rows, strict=True)
    counts, looks = np.array([len(p) for p in points]), np.array(list(look), dtype=_LOOK)
    return Shape(np.concatenate(points), counts, np.stack(normal), np.stack(center), looks)


# of a side, upwards: from and to which share of its height, width at the top, paint, gloss; the
# shoulder leans in and mirrors more of the sky
_BANDS = ((0.0, 0.16, 1.0, 0.5, 0.0), (0.16, 0.6, 1.0, 0.86, 0.1),
          (0.6, 0.84, 1.0, 1.0, 0.2), (0.84, 1.0, 0.96, 1.1, 0.4))  # fmt: skip
_BUMPER: list[Detail] = [
    (0.02, 0.98, 0, 0.2, Look((34, 35, 38))), (0.03, 0.97, 0.46, 0.5, Look(paint=0.6)),
]  # fmt: skip
_GRILLE: list[Detail] = [
    (0.27, 0.73, 0.57, 0.84, Look((22, 23, 26))), (0.3, 0.7, 0.68, 0.72, Look((160, 162, 166))),
    (0.2, 0.8, 0.08, 0.2, Look((14, 14, 16))),
]  # fmt: skip
_PLATE: Detail = (0.4, 0.6, 0.27, 0.4, Look((226, 227, 222)))
_THIRD_LAMP: Detail = (0.27, 0.73, 0.78, 0.83, Look((120, 26, 28)))
# of a style: width, lower and upper edge; of an end: color of rim and middle
_LAMPS = ((0.2, 0.64, 0.92), (0.13, 0.5, 0.96), (0.27, 0.7, 0.9))
_GLASS = {TAIL: ((190, 24, 26), (236, 96, 84)), HEAD: ((226, 228, 222), (255, 255, 250))}
# of a wheel with its house, inwards: share of the radius, grey, whether solid
_RINGS = ((1.2, 18, False), (1.0, 30, True), (0.66, 164, False), (0.54, 112, False),
          (0.2, 176, False))  # fmt: skip
_CARGO: list[Detail] = [(0, 1, 0, 0.05, Look((70, 72, 76))), (0, 1, 0.96, 1, Look(paint=0.8))]
_DOORS: list[Detail] = [
    (0.495, 0.505, 0.05, 0.96, Look(paint=0.6)),
    (0.03, 0.13, 0, 0.05, Look((200, 24, 24), lamp=TAIL)),
    (0.87, 0.97, 0, 0.05, Look((200, 24, 24), lamp=TAIL)),
]
_SIGN: list[Detail] = [(0.25, 0.75, 0.42, 0.64, Look((70, 90, 110), 0.45))]


def _between(low: Floats, high: Floats) -> Floats:
    """(4, 4, 3) faces from each edge of one outline (4, 3) to the same of another."""
    return np.stack([low, np.roll(low, -1, 0), np.roll(high, -1, 0), high], axis=1)


def _walls(a: float, b: float, low: float, high: float) -> Floats:
    """Upright faces of a box, the rear, right, front and left one."""
    a4, b4 = [-a, -a, a, a], [-b, b, b, -b]
    return _between(xyz(a4, b4, low), xyz(a4, b4, high))


class _Builder:
    """Collects the polygons of a body, back to front within each part."""

    def __init__(self, body: Body, style: int, small: bool) -> None:
        self.body, self.style, self.small = body, style, small
        self.rows: list[tuple[Floats, Floats, Floats, Look]] = []
        self._underbody()
        if body.cargo:
            self._cargo()
        else:
            self._lower()
            self._glass_house()

    def face(
        self, quad: Floats, paint: float, gloss: float, details: Sequence[Detail] = ()
    ) -> None:
        """Add a solid quad (4, 3) that is seen from outside only, and what is seen with it."""
        normal = np.cross(quad[2] - quad[0], quad[3] - quad[1])
        normal /= max(float(np.sqrt(normal @ normal)), 1e-9)
        center = quad.mean(0)
        if (center - (0, 0, 0.25 * self.body.height)) @ normal < 0:
            normal = -normal
        tone = (0, 0, 0) if paint else (26, 26, 26)
        look = Look(tone, paint, gloss=gloss, solid=True, lit=True)
        self.rows.append((quad, normal, center, look))
        for *place, detail in details:
            self.detail(panel(quad, *place), detail)

    def detail(self, points: Floats, look: Look) -> None:
        """Add a polygon that is seen whenever what was added last is."""
        self.rows.append((points, *self.rows[-1][1:3], look))

    def free(self, points: Floats, look: Look, facing: ArrayLike = (0, 0, 0)) -> None:
        """Add a polygon seen from everywhere, or from the side that ``facing`` points to."""
        self.rows.append((points, np.array(facing, dtype=float), points.mean(0), look))

    # parts -----------------------------------------------------------------------------------

    def _underbody(self) -> None:
        """What is seen between the body and the road: a dark floor and the wheels behind it."""
        body, top = self.body, self.body.clearance + 0.1
        for wall in _walls(body.length * 0.46, body.width * 0.42, 0.11, top):
            self.face(wall, 0, 0)
        for axle, side in product(body.axles, (-1, 1)):
            b0, b1 = side * (body.width * 0.48 - 0.2), side * body.width * 0.48
            wheel = xyz(axle * body.length, [b0, b1, b1, b0], [0, 0, top, top])
            self.free(wheel, Look((16, 16, 17), solid=True))

    def _lower(self) -> None:
        body, low = self.body, self.body.clearance
        stations = np.array([-0.5, -0.475, -0.42, -0.15, 0.1, 0.34, 0.45, 0.5])
        top = np.interp(stations, *np.array(body.top).T) * body.height
        ends = 0.97 if body.height > 2.5 else 0.8
        half = np.interp(np.abs(stations), [0.3, 0.44, 0.475, 0.5], [1, 0.98, 0.93, ends])
        half, along = half * body.width / 2, stations * body.length
        for k in range(len(stations) - 1):
            a, b, c = (values[[k, k + 1, k + 1, k]] for values in (along, half, top))
            self.face(xyz(a, b * (-1, -1, 1, 1), c), 1, 0.3)
            for side, (v0, v1, lean, paint, gloss) in product((-1, 1), _BANDS):
                up = low + np.array([v0, v0, v1, v1]) * (c - low)
                self.face(xyz(a, side * b * (1, 1, lean, lean), up), paint, gloss)
        for lamp, k in ((TAIL, 0), (HEAD, -1)):
            self._end(lamp, along[k], half[k], top[k])
        if not self.small and body.height <= 2.5:
            self._side_lines()
        self._wheels()

    def _side_lines(self) -> None:
        """Door gaps and handles."""
        body, (base0, base1) = self.body, self.body.base
        belt, low = body.height * 0.6, body.clearance + 0.14
        for side, share in product((-1, 1), body.panes[1:-1]):
            a, b = (base0 + share * (base1 - base0)) * body.length, side * body.width * 0.5
            gap = xyz([a, a + 0.025, a + 0.025, a], b, [low, low, belt, belt])
            self.free(gap, Look(paint=0.45), (0, side, 0))
            up = belt - np.array([0.12, 0.12, 0.07, 0.07])
            handle = xyz([a + 0.1, a + 0.3, a + 0.3, a + 0.1], b, up)
            self.free(handle, Look((30, 30, 32), 0.5), (0, side, 0))

    def _end(self, lamp: int, a: float, half: float, top: float) -> None:
        """Rear or front with lamps, plate, bumper and grille."""
        low, (depth, v0, v1), (rim, middle) = self.body.clearance, _LAMPS[self.style], _GLASS[lamp]
        details, inset = [*_BUMPER, *(_GRILLE if lamp == HEAD else [])], depth * 0.28
        for u0, u1 in ((0.0, depth), (1 - depth, 1.0)):
            details.append((u0, u1, v0, v1, Look(rim, lamp=lamp)))
            if not self.small:
                inner = Look(middle, lamp=lamp)
                details.append((u0 + inset, u1 - inset, v0 + 0.1, v1 - 0.08, inner))
        details += [_PLATE, *([_THIRD_LAMP] if lamp == TAIL and self.style == 2 else [])]
        quad = xyz(a, [-half, half, half, -half], [low, low, top, top])
        self.face(quad, 0.92, 0.16, details)

    def _wheels(self) -> None:
        body, rings = self.body, _RINGS[: 3 if self.small else 5]
        for side, axle, (radius, grey, solid) in product((-1, 1), body.axles, rings):
            a, c = axle * body.length, body.wheel
            ahead, up = circle(14).T * (radius * body.wheel)
            low = body.clearance if radius > 1 else -np.inf
            # a little inside of the side, so that each is decided like the side
            ring = xyz(a + ahead, side * body.width * 0.494, np.maximum(c + up, low))
            self.free(ring, Look((grey, grey, grey + 3), solid=solid), (0, side, 0))

    def _glass_house(self) -> None:
        body, h = self.body, self.body.height - 0.045
        (b0, b1), (r0, r1) = np.array([body.base, body.roof]) * body.length
        t0, t1 = np.interp(body.base, *np.array(body.top).T) * body.height - 0.03
        wb, wr = body.width * 0.475, body.width * 0.5 * body.cabin
        rear = xyz([b0, b0, r0, r0], [-wb, wb, wr, -wr], [t0, t0, h, h])
        front = xyz([b1, b1, r1, r1], [wb, -wb, -wr, wr], [t1, t1, h, h])
        left = xyz([b1, b0, r0, r1], [-wb, -wb, -wr, -wr], [t1, t0, h, h])
        self._roof(r0, r1, wr)
        self._side_windows(left, mirrored=True)
        self._side_windows(left[[1, 0, 3, 2]] * (1, -1, 1), mirrored=False)
        self._window(rear, 0.09, 0.08)
        self._window(front, 0.05, 0.03)
        for side in (-1, 1):  # mirrors
            m0, m1, c0, c1 = side * (wb + 0.02), side * (wb + 0.2), t1 + 0.02, t1 + 0.16
            mirror = xyz(b1 - 0.35, [m0, m1, m1, m0], [c0, c0, c1, c1])
            self.free(mirror, Look(paint=0.72, solid=True))

    def _roof(self, r0: float, r1: float, wr: float) -> None:
        """A flat middle and four edges that lean down to the windows."""
        h, w, e = self.body.height, wr * 0.8, 0.15
        inner = xyz([r0 + e, r1 - e, r1 - e, r0 + e], [-w, -w, w, w], h)
        outer = xyz([r0, r1, r1, r0], [-wr, -wr, wr, wr], h - 0.045)
        self.face(inner, 1, 0.38)
        for edge in _between(outer, inner):
            self.face(edge, 1.02, 0.3)

    def _window(self, quad: Floats, u: float, low: float) -> None:
        """A pane with the sky mirrored in its upper part, slanting gleams and head rests."""
        panes: list[Detail] = [
            (u, 1 - u, low, 0.94, Look((34, 41, 50))),
            (u, 1 - u, 0.5, 0.94, Look((26, 31, 38), sky=0.14)),
            (u, 1 - u, 0.76, 0.94, Look((24, 28, 35), sky=0.24)),
        ]
        self.face(quad, 0.85, 0.2, panes[:2] if self.small else panes)
        if self.small:
            return
        for u0, u1 in ((0.5, 0.63), (0.68, 0.72)):
            gleam = panel(quad, u0, u1, low + 0.02, 0.92)
            gleam[2:] += (quad[1] - quad[0]) * 0.16
            self.detail(gleam, Look((24, 28, 34), sky=0.34))
        for u0 in (0.18, 0.6):
            self.detail(panel(quad, u0, u0 + 0.16, low, low + 0.3), Look((20, 22, 26)))

    def _side_windows(self, quad: Floats, mirrored: bool) -> None:
        panes: list[Detail] = []
        for p0, p1 in pairwise(self.body.panes):
            u0, u1 = 0.05 + 0.9 * p0 + 0.012, 0.05 + 0.9 * p1 - 0.012
            u0, u1 = (1 - u1, 1 - u0) if mirrored else (u0, u1)
            panes.append((u0, u1, 0.1, 0.9, Look((32, 38, 46))))
            panes.append((u0, u1, 0.56, 0.9, Look((25, 30, 37), sky=0.18)))
        self.face(quad, 0.9, 0.2, panes)

    def _cargo(self) -> None:
        walls = _walls(self.body.length / 2, 1.25, 0.75, 3.5)
        for wall, more in zip(walls, (_DOORS, _SIGN, [], _SIGN), strict=True):
            self.face(wall, 1, 0.1, _CARGO + more)
        self._wheels()
