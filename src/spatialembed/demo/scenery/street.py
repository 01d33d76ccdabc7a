"""The street of a generated scene: its plan, the ground, what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spatialembed.demo.scenery.canvas import Canvas, Floats, Mesh, circle, rgb
from spatialembed.demo.scenery.weather import Light

ROAD, SIDEWALK, POLE, LAMP, SIGN, TREE, GRASS, SKY = 7, 8, 17, 19, 20, 21, 22, 23
STATIC = 4

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

    def open_at(self, z: float, before: float = 1.0, after: float = 1.0) -> bool:
        """Whether z is in the mouth of the crossing, or within metres before or after it."""
        return self.crossing is not None and (
            self.crossing[0] - before < z < self.crossing[1] + after
        )


def random_street(rng: np.random.Generator) -> Street:
    """A street of two to four lanes, with or without parked rows, crossing and grass."""
    count, lane = int(rng.choice([1, 1, 2])), rng.uniform(3.1, 3.6)
    lanes = [(-k * lane, 1) for k in range(count)]
    oncoming = int(rng.choice([0, 1, 1, 1, 2]))
    lanes += [(-(count + k) * lane, -1) for k in range(oncoming)]
    right, left = lane / 2, lanes[-1][0] - lane / 2
    parking = []
    for side in (1, -1):
        way = int(rng.choice(3, p=[0.25, 0.55, 0.2]))  # none, parallel, slanting
        if way == 0:
            continue
        depth = 2.3 if way == 1 else 4.6
        middle = right + depth / 2 if side > 0 else left - depth / 2
        turn = 0.0 if way == 1 else side * rng.uniform(0.9, 1.25)
        parking.append((middle, depth, turn))
        right, left = (right + depth, left) if side > 0 else (right, left - depth)
    walls = (left - rng.uniform(3, 7), right + rng.uniform(3, 7))
    near = rng.uniform(14, 45)
    crossing = (near, near + rng.uniform(7, 10)) if rng.random() < 0.5 else None
    return Street(left, right, walls, tuple(lanes), tuple(parking), crossing, rng.random() < 0.35)


# ground --------------------------------------------------------------------------------------


def draw_ground(canvas: Canvas, street: Street, light: Light, rng: np.random.Generator) -> None:
    """Sidewalks, road, curbs, crossing road and markings; in slices, so that haze grows."""
    grey = rng.uniform(94, 122)
    asphalt, curb = rgb(grey, grey, grey + 4), rgb(184, 182, 178)
    pavement = rgb(164, 157, 150) * rng.uniform(0.85, 1.06)
    grass = rgb(100, 126, 64) * rng.uniform(0.85, 1.1)
    left, right = street.left, street.right
    path = 2.2 if street.green else 2 * FAR
    strips = [(-2 * FAR, 2 * FAR, grass, GRASS)] if street.green else []
    strips += [(left - path, right + path, pavement, SIDEWALK)]
    strips += [(left - 0.2, right + 0.2, curb, SIDEWALK), (left, right, asphalt, ROAD)]
    edges = np.geomspace(1.5, FAR, 14)[::-1]
    for x0, x1, color, code in strips:
        slices = [(x0, x1, z0, z1) for z1, z0 in pairwise(edges)]
        canvas.draw(_flat(np.array(slices), color, light), code)
    if street.crossing:
        across = np.array([(-2 * FAR, 2 * FAR, *street.crossing)])
        canvas.draw(_flat(across, asphalt, light), ROAD)
    marks = _markings(street, rng)
    if marks:
        paint = rgb(214, 214, 208) * rng.uniform(0.85, 1.02)
        canvas.draw(_flat(np.array(marks)[::-1], paint, light), ROAD)
    spots = [_spot(street, rng) for _ in range(int(rng.integers(0, 5)))]
    for ring in spots:  # manhole covers and patches of newer asphalt
        points = np.stack([ring[:, 0], np.zeros(len(ring)), ring[:, 1]], axis=1)
        color = light.even(asphalt * 0.72, float(ring[:, 1].mean()))
        canvas.draw(Mesh.of([(points, color, False)]), ROAD)


def _flat(bounds: Floats, color: Floats, light: Light) -> Mesh:
    """Rectangles on the ground from (N, 4) x0, x1, z0, z1, cut to what a camera can see."""
    x0, x1, z0, z1 = bounds.T
    near, far = 1.5 * z0 + 2, 1.5 * z1 + 2
    zero = np.zeros_like(x0)
    corners = [
        np.stack([np.clip(x, -reach, reach), zero, z], axis=1)
        for x, z, reach in ((x0, z0, near), (x1, z0, near), (x1, z1, far), (x0, z1, far))
    ]
    up = np.broadcast_to([0.0, 1.0, 0.0], (len(bounds), 3))
    return Mesh.equal(np.stack(corners, axis=1), light.shade(color, up, np.sqrt(z0 * z1)))


def _markings(street: Street, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """x0, x1, z0, z1 of lane lines, the edges of parked rows and the crosswalk, near to far."""
    marks = []
    lanes, start = street.lanes, rng.uniform(1, 7)
    for (x, way), (other, other_way) in pairwise(lanes):
        middle, solid = (x + other) / 2, way != other_way and rng.random() < 0.4
        for z in np.arange(1.5 if solid else start, 70, 3.0 if solid else 7.0).tolist():
            marks.append((middle - 0.07, middle + 0.07, z, z + 3.05))
    for middle, depth, _ in street.parking:
        inner = middle - float(np.sign(middle)) * (depth / 2 - 0.05)
        marks += [(inner - 0.06, inner + 0.06, z, z + 3.05) for z in np.arange(1.5, 60, 3).tolist()]
    marks = [m for m in marks if not street.open_at(m[2], 7.5, 4)]
    if street.crossing:
        z = street.crossing[0] - 3.8
        bars = np.arange(street.left + 0.4, street.right - 0.4, 1.0).tolist()
        marks += [(x, x + 0.5, z, z + 2.8) for x in bars]
        marks.append((-1.5, 1.5, z - 1.6, z - 1.2))
    return marks


def _spot(street: Street, rng: np.random.Generator) -> Floats:
    x, z = rng.uniform(street.left + 1, street.right - 1), rng.uniform(5, 22)
    if rng.random() < 0.6:
        return circle(14) * 0.36 + (x, z)
    size = rng.uniform((0.3, 0.8), (0.9, 3.0))
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size + (x, z)


# beside the road -----------------------------------------------------------------------------


def uprights(boxes: Floats, z: float, colors: Floats, light: Light) -> Mesh:
    """Upright rectangles that face the camera, from (N, 4) x0, x1, y0, y1 and colors (N, 3)."""
    x0, x1, y0, y1 = boxes.T
    deep = np.full_like(x0, z)
    points = [np.stack(c, axis=1) for c in ((x0, y0, deep), (x1, y0, deep), (x1, y1, deep),
                                            (x0, y1, deep))]  # fmt: skip
    return Mesh.equal(np.stack(points, axis=1), light.even(colors, z))


def draw_tree(
    x: float, z: float, height: float, light: Light, rng: np.random.Generator, leaves: int
) -> Mesh:
    """A trunk and a crown of many tufts, darker below and away from the sun."""
    crown, w = height * 0.62, 0.018 * height
    bark, up = rgb(88, 72, 58), np.array([0, w, 0])
    stem = np.array(
        [[x - w, 0, z], [x + w, 0, z], [x + w * 0.6, crown, z], [x - w * 0.6, crown, z]]
    )
    branches = [(stem, light.even(bark, z), True)]
    for side in (-1, 1):
        tip = np.array([x + side * height * 0.14, crown, z])
        fork = np.array([x, height * 0.4, z])
        points = np.stack([fork, fork + up * 2, tip + up, tip])
        branches.append((points, light.even(bark * 0.85, z), True))
    leaf = rgb(rng.uniform(62, 108), rng.uniform(102, 132), rng.uniform(44, 62))
    layer = np.linspace(-1, 1, leaves)  # from the dark inside to the sunlit outside
    angle, far = rng.uniform(0, 2 * np.pi, leaves), np.sqrt(rng.uniform(0, 1, leaves))
    lumps = 1 + 0.16 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.1 * np.sin(5 * angle)
    u, v = np.cos(angle) * far * lumps, np.sin(angle) * far * lumps
    radius = height * 0.27
    size = radius * rng.uniform(0.1, 0.2, leaves) * np.where(layer < -0.3, 1.9, 1.0)
    size *= (60 / max(leaves, 20)) ** 0.25
    bright = 0.66 + 0.2 * layer + 0.2 * v + 0.1 * u * np.sign(light.sun[0])
    bright = bright * rng.uniform(0.88, 1.12, leaves)
    ring = circle(7)[None] * (size[:, None] * rng.uniform(0.7, 1.25, (leaves, 7)))[..., None]
    points = np.stack([
        x + (u * radius * 1.1)[:, None] + ring[..., 0],
        height * 0.7 + (v * radius * 1.1)[:, None] + ring[..., 1],
        np.full((leaves, 7), z),
    ], axis=-1)  # fmt: skip
    return Mesh.join([Mesh.of(branches), Mesh.equal(points, light.even(leaf * bright[:, None], z))])


def draw_pole(
    x: float, z: float, kind: str, side: int, light: Light, rng: np.random.Generator
) -> list[tuple[Mesh, int]]:
    """A street lamp, a traffic light or a sign: meshes with their label ids."""
    high, w = {"lamp": 6.5, "light": 3.2, "sign": 2.4}[kind], 0.06
    boxes, tones = [(x - w, x + w, 0.0, high)], [rgb(108, 112, 114)]
    if kind == "lamp":
        tip = x - side * 1.3
        boxes += [(min(x, tip), max(x, tip), high - 0.08, high)]
        boxes += [(tip - 0.25, tip + 0.25, high - 0.16, high - 0.04)]
        tones += [tones[0], rgb(255, 236, 190) if light.dusk else rgb(210, 212, 210)]
    drawn = [(uprights(np.array(boxes), z, np.stack(tones), light), POLE)]
    if kind == "light":
        case = np.array([[x - 0.16, x + 0.16, high - 0.95, high]])
        lit = int(rng.integers(3))
        lenses = []
        for k, color in enumerate([rgb(255, 60, 50), rgb(255, 190, 60), rgb(70, 240, 150)]):
            points = _ring(10, 0.11, x, high - 0.18 - 0.3 * k, z)
            lenses.append((points, light.hazy(color * (1.0 if k == lit else 0.25), z), False))
        drawn.append(
            (Mesh.join([uprights(case, z, rgb(30, 32, 34), light), Mesh.of(lenses)]), LAMP)
        )
    elif kind == "sign":
        corners = int(rng.choice([3, 4, 14]))
        face = [rgb(200, 40, 40), rgb(40, 84, 160), rgb(236, 206, 60)][int(rng.integers(3))]
        middle = rgb(238, 238, 234) if face[0] > face[2] else np.minimum(face * 1.3, 255)
        plates = [
            (_ring(corners, size, x, high, z), light.even(color, z), True)
            for size, color in ((0.36, face), (0.26, middle))
        ]
        drawn.append((Mesh.of(plates), SIGN))
    return drawn


def _ring(count: int, radius: float, x: float, y: float, z: float) -> Floats:
    ring = circle(count) * radius
    return np.stack([x - ring[:, 1], y + ring[:, 0], np.full(count, z)], axis=1)


def draw_bin(x: float, z: float, light: Light, rng: np.random.Generator) -> Mesh:
    """A litter bin beside the road, void in Cityscapes ("static")."""
    tone = rgb(*[(60, 84, 66), (64, 66, 70), (150, 70, 40)][int(rng.integers(3))])
    boxes = [(-0.3, 0.3, 0, 1.0), (-0.3, -0.18, 0, 1.0), (-0.34, 0.34, 0.95, 1.08)]
    tones = np.stack([tone, tone * 1.15, tone * 0.7])
    return uprights(np.array(boxes) + np.array([x, x, 0, 0]), z, tones, light)
