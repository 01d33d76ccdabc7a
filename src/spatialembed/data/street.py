"""The street of a generated scene: sky, ground, buildings, trees and poles, and the weather."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .drawing import Camera, Canvas, Floats, Light, Polygon, circle, panel, rgb, unit

ROAD, SIDEWALK, BUILDING, POLE, LAMP, SIGN, TREE, GRASS, SKY = 7, 8, 11, 17, 19, 20, 21, 22, 23
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

    def built(self, z: float) -> bool:
        """Whether something may stand beside the road at z: not in the mouth of the crossing."""
        return self.crossing is None or not self.crossing[0] - 1 < z < self.crossing[1] + 1


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


def random_light(rng: np.random.Generator) -> Light:
    """Clear, cloudy, overcast, evening or misty."""
    kind = str(rng.choice(["clear", "cloudy", "overcast", "evening", "mist"],
                          p=[0.32, 0.26, 0.2, 0.14, 0.08]))  # fmt: skip
    high = rng.uniform(0.5, 0.95) if kind != "evening" else rng.uniform(0.22, 0.35)
    angle = rng.uniform(-np.pi, np.pi)
    sun = unit(np.array([np.cos(angle) * (1 - high * 0.5), high, np.sin(angle) * (1 - high * 0.5)]))
    table = {
        "clear": ((0.62, 0.58, 0.5), (0.5, 0.53, 0.58), (84, 140, 206), (196, 216, 232), 260, 0.2, 0.5),
        "cloudy": ((0.5, 0.47, 0.42), (0.56, 0.58, 0.61), (112, 154, 200), (206, 216, 226), 220, 0.6, 0.42),
        "overcast": ((0.12, 0.12, 0.12), (0.76, 0.78, 0.8), (176, 184, 194), (212, 216, 220), 170, 0.5, 0.3),
        "evening": ((0.68, 0.46, 0.26), (0.44, 0.43, 0.5), (92, 116, 168), (244, 200, 150), 190, 0.5, 0.42),
        "mist": ((0.08, 0.08, 0.08), (0.8, 0.81, 0.82), (196, 202, 206), (216, 219, 220), 62, 0.1, 0.24),
    }  # fmt: skip
    sun_color, ambient, top, low, haze, clouds, shadow = table[kind]
    bright = rng.uniform(0.9, 1.08)
    return Light(
        sun, rgb(*sun_color) * bright, rgb(*ambient) * bright, rgb(*top), rgb(*low),
        haze * rng.uniform(0.8, 1.2), clouds * rng.uniform(0.5, 1.4), shadow,
        kind in ("evening", "mist") and rng.random() < 0.7,
    )  # fmt: skip


# sky and ground ------------------------------------------------------------------------------


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, ...]) -> Floats:
    """Smooth random field in about -1..1: one layer a number of cells, each half as strong."""
    total = np.zeros(shape)
    for k, count in enumerate(cells):
        rows = max(2, round(count * shape[0] / shape[1]))
        layer = Image.fromarray(rng.standard_normal((rows, count)).astype(np.float32))
        total += np.asarray(layer.resize(shape[::-1], Image.Resampling.BICUBIC)) * 0.5**k
    return total


def paint_sky(camera: Camera, light: Light, rng: np.random.Generator) -> Image.Image:
    """The background: sky above the horizon with clouds, haze at it, on the whole picture."""
    height, width = camera.height // 4, camera.width // 4
    rows = (np.arange(height) + 0.5) * 4 / max(camera.horizon, 1)
    share = np.clip(rows, 0, 1)[:, None, None] ** 1.3
    sky = light.sky_top * (1 - share) + light.sky_low * share
    sky = np.broadcast_to(sky, (height, width, 3)).copy()
    field = noise(rng, (height, width), (5, 11, 23, 47))
    cloud = np.clip((field + light.clouds * 1.6 - 0.7) * 0.9, 0, 1)[..., None] * 0.85
    white = light.sky_low * 0.35 + 255 * 0.65 * (light.ambient + light.sun_color).clip(0, 1)
    cloud = cloud * (1 - 0.5 * share)
    sky = sky * (1 - cloud) + np.minimum(white, 250) * cloud
    image = Image.fromarray(sky.clip(0, 255).astype(np.uint8))
    return image.resize((camera.width, camera.height), Image.Resampling.BICUBIC)


def draw_ground(canvas: Canvas, street: Street, light: Light, rng: np.random.Generator) -> None:
    """Road, curbs, sidewalks, crossing road and markings, from far to near."""
    grey = rng.uniform(88, 116)
    asphalt = rgb(grey, grey, grey + 4)
    pavement = rgb(158, 152, 146) * rng.uniform(0.85, 1.05)
    curb = rgb(176, 174, 170)
    grass = rgb(98, 122, 62) * rng.uniform(0.85, 1.1)
    edges = np.geomspace(1.5, FAR, 16)[::-1]
    left, right = street.left, street.right
    for z1, z0 in zip(edges[:-1], edges[1:], strict=True):
        strips = [
            (-FAR, FAR, grass if street.green else pavement, GRASS if street.green else SIDEWALK)
        ]
        strip_width = 2.2 if street.green else 60
        strips += [(left - strip_width, left, pavement, SIDEWALK)]
        strips += [(right, right + strip_width, pavement, SIDEWALK)]
        strips += [(left - 0.18, left, curb, SIDEWALK), (right, right + 0.18, curb, SIDEWALK)]
        strips += [(left, right, asphalt, ROAD)]
        for x0, x1, color, code in strips:
            canvas.draw([_flat(x0, x1, z0, z1, color, light)], code)
    if street.crossing:
        canvas.draw([_flat(-FAR, FAR, *street.crossing, asphalt, light)], ROAD)
    canvas.draw(_markings(street, light, rng), ROAD)


def _flat(x0: float, x1: float, z0: float, z1: float, color: Floats, light: Light) -> Polygon:
    (a0, a1), (b0, b1) = (np.clip((x0, x1), -1.5 * z - 2, 1.5 * z + 2) for z in (z0, z1))
    points = np.array([[a0, 0, z0], [a1, 0, z0], [b1, 0, z1], [b0, 0, z1]], dtype=np.float64)
    up = np.array([0.0, 1.0, 0.0])
    return Polygon(points, light.shade(color, up, (z0 * z1) ** 0.5))


def _markings(street: Street, light: Light, rng: np.random.Generator) -> list[Polygon]:
    paint = rgb(212, 212, 206) * rng.uniform(0.85, 1.02)
    marks = []
    lanes = street.lanes
    start = rng.uniform(1, 7)
    for (x, way), (other, other_way) in zip(lanes, lanes[1:], strict=False):
        middle, solid = (x + other) / 2, way != other_way and rng.random() < 0.4
        step = 3.0 if solid else 7.0
        for z in np.arange(start if not solid else 1.5, 70, step):
            if street.built(z) and street.built(z + 3):
                marks.append(_flat(middle - 0.07, middle + 0.07, z, z + 3.05, paint, light))
    for middle, depth, _ in street.parking:
        inner = middle - np.sign(middle) * (depth / 2 - 0.05)
        for z in np.arange(1.5, 60, 3.0):
            if street.built(z) and street.built(z + 3):
                marks.append(_flat(inner - 0.06, inner + 0.06, z, z + 3.05, paint * 0.92, light))
    if street.crossing:
        z = street.crossing[0] - 3.6
        for x in np.arange(street.left + 0.4, street.right - 0.3, 1.0):
            marks.append(_flat(x, x + 0.5, z, z + 2.8, paint, light))
    return marks


# beside the road -----------------------------------------------------------------------------


def draw_skyline(canvas: Canvas, street: Street, light: Light, rng: np.random.Generator) -> None:
    """What closes the street at its far end: houses and trees in the haze."""
    for _ in range(14):
        x, width, height = rng.uniform(-90, 90), rng.uniform(8, 22), rng.uniform(6, 20)
        z = FAR * rng.uniform(1.0, 1.3)
        tone = rgb(150, 140, 130) * rng.uniform(0.7, 1.1)
        wall = np.array([[x, 0, z], [x + width, 0, z], [x + width, height, z], [x, height, z]])
        canvas.draw([Polygon(wall, light.shade(tone, np.array([0, 0, -1.0]), z))], BUILDING)
    for _ in range(16):
        canvas.draw(tree(rng.uniform(-40, 40), FAR * 0.95, rng.uniform(5, 9), light, rng, 12), TREE)


_WALLS = [
    (196, 176, 148), (206, 196, 178), (168, 118, 94), (150, 96, 78), (184, 186, 184),
    (214, 186, 138), (160, 164, 168), (208, 170, 150), (178, 190, 176), (130, 112, 100),
]  # fmt: skip


def draw_buildings(canvas: Canvas, street: Street, light: Light, rng: np.random.Generator) -> None:
    """Rows of houses along both sides, far to near, with a gap at the crossing."""
    houses: list[tuple[float, float, float, int]] = []
    for side, wall in ((-1, street.walls[0]), (1, street.walls[1])):
        z = rng.uniform(-6, 2)
        while z < FAR * 0.9:
            length = rng.uniform(9, 20)
            clear = street.crossing is None or (
                z + length < street.crossing[0] - 2 or z > street.crossing[1] + 2
            )
            if not clear and street.crossing is not None:
                if z < street.crossing[0] - 6:
                    length, clear = street.crossing[0] - 2 - z, True
                else:
                    z = street.crossing[1] + 2.5
                    continue
            if clear and rng.random() < 0.93:
                houses.append((z, length, wall + side * rng.choice([0, 0, 0, 0.6, 1.5]), side))
            z += length + (rng.uniform(2, 8) if rng.random() < 0.15 else 0)
    for z, length, wall, side in sorted(houses, reverse=True):
        canvas.draw(_house(z, length, wall, side, light, rng), BUILDING)


def _house(
    z: float, length: float, wall: float, side: int, light: Light, rng: np.random.Generator
) -> list[Polygon]:
    """One house: the end wall turned to the camera, then the front with its windows."""
    floors, storey = int(rng.integers(2, 6)), rng.uniform(3.0, 3.5)
    height = floors * storey + rng.uniform(0.6, 1.6)
    tone = rgb(*_WALLS[int(rng.integers(len(_WALLS)))]) * rng.uniform(0.85, 1.08)
    z0, z1, depth = max(z, 0.6), z + length, 12.0
    if z1 < 2.5:
        return []
    pieces = []
    end = np.array([[wall, 0, z0], [wall + side * depth, 0, z0],
                    [wall + side * depth, height, z0], [wall, height, z0]])  # fmt: skip
    if z > 4:
        facing = np.array([0.0, 0.0, -1.0])
        pieces.append(Polygon(end, light.shade(tone * 0.95, facing, z0)))
        pieces += _windows(end, facing, z0, light, floors, 4, tone, rng)
    inward = np.array([-side, 0.0, 0.0])
    count = max(2, round((z1 - z0) / rng.uniform(2.6, 3.4)))
    cuts = np.linspace(z0, z1, min(count, 8) + 1)[::-1]
    for a, b in zip(cuts[1:], cuts[:-1], strict=True):  # in pieces, so that haze grows along it
        front = np.array([[wall, 0, a], [wall, 0, b], [wall, height, b], [wall, height, a]])
        pieces.append(Polygon(front, light.shade(tone, inward, a)))
        per = max(1, round(count / min(count, 8)))
        if a < 75:
            pieces += _windows(front, inward, a, light, floors, per, tone, rng)
        eave = panel(front, 0, 1, 0.965, 1.0)
        pieces.append(Polygon(eave, light.shade(tone * 0.7, inward, a)))
    return pieces


def _windows(
    wall: Floats, normal: Floats, z: float, light: Light, floors: int, columns: int, tone: Floats,
    rng: np.random.Generator,
) -> list[Polygon]:  # fmt: skip
    """A grid of windows on a wall, the ground floor with shop windows or doors."""
    pieces = []
    frame = np.minimum(tone * 1.18, 246)
    for floor in range(floors):
        shop = floor == 0
        v0, v1 = (floor + (0.08 if shop else 0.3)) / floors, (floor + 0.82) / floors
        v0, v1 = v0 * 0.95, v1 * 0.95
        for column in range(columns):
            u0, u1 = (
                (column + (0.1 if shop else 0.26)) / columns,
                (column + (0.9 if shop else 0.74)) / columns,
            )
            bright = rng.uniform(0.0, 0.42)
            glass = rgb(52, 60, 70) * (1 - bright) + light.sky_low * bright * 0.8
            if light.dusk and rng.random() < 0.3:
                glass = rgb(255, 214, 140)
            if z < 40 and not shop:
                margin = 0.06 / columns
                surround = panel(wall, u0 - margin, u1 + margin, v0 - 0.012, v1 + 0.008)
                pieces.append(Polygon(surround, light.shade(frame, normal, z), False))
            pane = panel(wall, u0, u1, v0, v1)
            pieces.append(Polygon(pane, light.hazy(glass * 0.92, z), False))
            if z < 28:
                upper = panel(wall, u0, u1, v0 + (v1 - v0) * 0.62, v1)
                pieces.append(
                    Polygon(upper, light.hazy(glass * 0.8 + light.sky_low * 0.14, z), False)
                )
    return pieces  # fmt: skip


def tree(
    x: float, z: float, height: float, light: Light, rng: np.random.Generator, leaves: int = 60
) -> list[Polygon]:
    """A trunk and a crown of many round tufts, darker below and away from the sun."""
    trunk = rgb(86, 70, 56)
    crown = height * 0.62
    w = 0.035 * height / 2
    stem = np.array(
        [[x - w, 0, z], [x + w, 0, z], [x + w * 0.6, crown, z], [x - w * 0.6, crown, z]]
    )
    pieces = [Polygon(stem, light.shade(trunk, np.array([0.0, 0.0, -1.0]), z))]
    leaf = rgb(rng.uniform(62, 104), rng.uniform(98, 128), rng.uniform(44, 62))
    radius, middle = height * 0.27, height * 0.7
    order = np.linspace(-1, 1, leaves)
    for k in range(leaves):
        spread = rng.standard_normal(2) * 0.42
        spread = spread / max(1.0, float(np.hypot(*spread)))
        size = radius * rng.uniform(0.16, 0.34) * (1.25 if k < leaves / 3 else 0.9)
        lit = 0.62 + 0.2 * order[k] + 0.22 * spread[1] + 0.14 * spread[0] * np.sign(light.sun[0])
        tuft = circle(8) * size * rng.uniform(0.8, 1.2, size=(8, 1))
        points = np.stack([
            x + spread[0] * radius * 1.1 + tuft[:, 0],
            middle + spread[1] * radius * 1.15 + tuft[:, 1],
            np.full(8, z),
        ], axis=1)  # fmt: skip
        lamp = light.ambient + 0.6 * light.sun_color
        pieces.append(Polygon(points, light.hazy(leaf * lit * lamp, z)))
    return pieces


def pole(
    x: float, z: float, kind: str, side: int, light: Light, rng: np.random.Generator
) -> list[tuple[list[Polygon], int]]:
    """A street lamp, a traffic light or a sign: polygons with their label ids."""
    steel = rgb(104, 108, 110)
    high = {"lamp": 6.5, "light": 3.2, "sign": 2.4}[kind]
    w = 0.06
    stem = [_upright(x - w, x + w, 0, high, z, steel, light)]
    if kind == "lamp":
        a, b = sorted((x, x - side * 1.3))
        stem.append(_upright(a, b, high - 0.08, high, z, steel, light))
        glow = rgb(255, 236, 190) if light.dusk else rgb(210, 212, 210)
        stem.append(_upright(x - side * 1.3 - 0.25, x - side * 1.3 + 0.25, high - 0.16, high - 0.04, z,
                             glow, light))  # fmt: skip
        return [(stem, POLE)]
    if kind == "light":
        box = [_upright(x - 0.16, x + 0.16, high - 0.95, high, z, rgb(30, 32, 34), light)]
        lit = int(rng.integers(3))
        colors = [rgb(255, 60, 50), rgb(255, 190, 60), rgb(70, 240, 150)]
        for k, color in enumerate(colors):
            ring = circle(10) * 0.11
            points = np.stack(
                [x + ring[:, 0], high - 0.18 - 0.3 * k + ring[:, 1], np.full(10, z)], 1
            )
            box.append(Polygon(points, light.hazy(color * (1.0 if k == lit else 0.25), z)))
        return [(stem, POLE), (box, LAMP)]
    ring = circle(int(rng.choice([3, 4, 12]))) @ np.array([[0.0, 1.0], [-1.0, 0.0]]) * 0.36
    face = rgb(*[(200, 40, 40), (40, 84, 160), (236, 206, 60)][int(rng.integers(3))])
    plate = []
    for size, color in (
        (1.0, face),
        (0.72, rgb(238, 238, 234) if face[0] > face[2] else face * 1.2),
    ):
        points = np.stack(
            [x + ring[:, 0] * size, high + ring[:, 1] * size, np.full(len(ring), z)], 1
        )
        plate.append(
            Polygon(points, light.hazy(color * (light.ambient + 0.4 * light.sun_color), z))
        )
    return [(stem, POLE), (plate, SIGN)]


def bin_(x: float, z: float, light: Light, rng: np.random.Generator) -> list[Polygon]:
    """A litter bin beside the road, void in Cityscapes ("static")."""
    tone = rgb(*[(60, 84, 66), (64, 66, 70), (150, 70, 40)][int(rng.integers(3))])
    return [
        _upright(x - 0.3, x + 0.3, 0, 1.0, z, tone, light),
        _upright(x - 0.34, x + 0.34, 0.95, 1.08, z, tone * 0.7, light),
    ]


def _upright(
    x0: float, x1: float, y0: float, y1: float, z: float, color: Floats, light: Light
) -> Polygon:
    points = np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], dtype=np.float64)
    lit = light.ambient + 0.45 * light.sun_color
    return Polygon(points, light.hazy(color * lit, z))
