"""Houses along a generated street: fronts, end walls and roofs, with windows and shops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spatialembed.demo.scenery.canvas import Canvas, Floats, Mesh, panel, rgb, xyz
from spatialembed.demo.scenery.label_ids import BUILDING, TREE
from spatialembed.demo.scenery.roadside import draw_tree, uprights
from spatialembed.demo.scenery.street import FAR, Stage

_WALLS = [
    (200, 180, 152), (210, 200, 182), (172, 122, 98), (156, 102, 84), (188, 190, 188),
    (218, 190, 142), (166, 170, 174), (212, 174, 154), (182, 194, 180), (140, 122, 110),
]  # fmt: skip
_TILES = [(142, 82, 64), (92, 84, 84), (116, 66, 56)]
_AWNINGS = [(160, 52, 46), (48, 92, 76), (52, 76, 122), (206, 170, 92), (90, 88, 92)]
_BANDS = ((0.0, 0.03, 0.6), (0.955, 0.975, 1.15), (0.975, 1.0, 0.62))
"""Plinth, cornice and gutter: from and to which share of the height, and how bright."""


def draw_skyline(canvas: Canvas, stage: Stage) -> None:
    """What closes the street at its far end: houses and trees in the haze."""
    rng = stage.rng
    x, width, height = rng.uniform((-90, 8, 6), (80, 22, 20), size=(14, 3)).T
    boxes = np.stack([x, x + width, np.zeros(14), height], axis=1)
    tones = rgb(150, 140, 130) * rng.uniform(0.7, 1.1, (14, 1))
    canvas.draw(uprights(boxes, FAR * 1.2, tones, stage.light), BUILDING)
    for _ in range(9):
        tree = draw_tree(stage, rng.uniform(-40, 40), FAR * 0.95, rng.uniform(5, 9), leaves=8)
        canvas.draw_flat(tree.parts[0].flat, TREE)


def draw_buildings(canvas: Canvas, stage: Stage) -> None:
    """Rows of houses along both sides, far to near, with a gap at the crossing."""
    houses = [house for side in (-1, 1) for house in _row(stage, side)]
    for z, length, wall, side in sorted(houses, reverse=True):
        if z + length > 2.5:
            canvas.draw(_house(stage, max(z, 0.6), z + length, wall, side), BUILDING)


def _row(stage: Stage, side: int) -> Iterator[tuple[float, float, float, int]]:
    """z, length, x of the front and side of the houses along one side."""
    rng, crossing = stage.rng, stage.street.crossing
    wall = stage.street.walls[side > 0]
    z = rng.uniform(-6, 2)
    while z < FAR * 0.9:
        length = rng.uniform(9, 20) * (1.6 if z > 60 else 1)
        if crossing and z < crossing[1] + 2 and z + length > crossing[0] - 2:
            length = crossing[0] - 2 - z  # up to the corner, if a house fits
            after = crossing[1] + 2.5
        else:
            after = z + length + (rng.uniform(2, 8) if rng.random() < 0.15 else 0)
        if length > 4 and rng.random() < 0.94:
            yield z, length, wall + side * rng.choice([0, 0, 0, 0.6, 1.5]), side
        z = after


def _house(stage: Stage, z0: float, z1: float, wall: float, side: int) -> Mesh:
    """One house: the end wall turned to the camera, then the front along the street."""
    light, rng = stage.light, stage.rng
    floors, storey = int(rng.integers(2, 6)), rng.uniform(3.0, 3.5)
    height = floors * storey + rng.uniform(0.6, 1.2)
    tone = stage.pick(_WALLS) * rng.uniform(0.85, 1.08)
    levels = [0, 0, height, height]
    meshes = []
    if z0 > 4:
        end = xyz(wall + side * np.array([0.0, 12.0, 12.0, 0.0]), levels, z0)
        facing = np.array([0.0, 0.0, -1.0])
        meshes.append(Mesh.equal(end, light.shade(tone * 0.95, facing, z0)))
        meshes += _windows(stage, end, facing, floors, 4, tone)
    inward = np.array([-float(side), 0.0, 0.0])
    front = xyz(wall, levels, [z0, z1, z1, z0])
    cuts = np.linspace(1, 0, 6 if z0 < 30 else 3)  # in pieces, so that haze grows along it
    pieces = panel(front, cuts[1:], cuts[:-1], 0.0, 1.0)
    shades = light.shade(tone, inward[None], pieces[..., 2].mean(1))
    meshes.append(Mesh.equal(pieces, shades))
    columns = max(2, round((z1 - z0) / rng.uniform(2.5, 3.3)))
    if z0 < 70:
        meshes += _windows(stage, front, inward, floors, columns, tone)
    for v0, v1, dim in _BANDS:
        bands = panel(front, cuts[1:], cuts[:-1], v0, v1)
        meshes.append(Mesh.equal(bands, np.clip(shades * dim, 0, 250), False))
    roof = _roof(stage, front, side) if rng.random() < 0.5 else []
    return Mesh.join(roof + meshes)


def _roof(stage: Stage, front: Floats, side: int) -> list[Mesh]:
    """A chimney and a tiled slope above the front; mostly hidden from below."""
    light, tiles, z = stage.light, stage.pick(_TILES), float(front[0, 2])
    back = front[[2, 3]] + (side * 3.0, 2.4, 0)
    slope = np.concatenate([front[[3, 2]], back])
    stack = front[3] + (side * 1.5, 0.4, 1.0 + 2 * stage.rng.random())
    chimney = xyz([0, 0.8 * side, 0.8 * side, 0], [0, 0, 2.6, 2.6], 0) + stack
    lit = light.shade(tiles, np.array([-side * 0.62, 0.78, 0.0]), z + 4)
    return [Mesh.equal(chimney, light.even(tiles * 0.8, z)), Mesh.equal(slope, lit)]


def _windows(
    stage: Stage, wall: Floats, normal: Floats, floors: int, columns: int, tone: Floats
) -> list[Mesh]:
    """A grid of windows with frames and sills above a row of shops or doors."""
    light, near = stage.light, float(wall[0, 2]) < 34
    column, floor = (a.ravel() for a in np.meshgrid(np.arange(columns)[::-1], np.arange(1, floors)))
    u0, u1 = (column + 0.26) / columns, (column + 0.74) / columns
    v0, v1 = (floor + 0.28) / floors * 0.95, (floor + 0.8) / floors * 0.95
    middle, w, m, s = (u0 + u1) / 2, 0.02 / columns, 0.07 / columns, 0.04 / floors
    z = panel(wall, u0, u1, v0, v1)[..., 2].mean(1)
    glass = _glass(stage, z, 0.3)
    frame = light.shade(np.minimum(tone * 1.2, 244), normal[None], z)
    bar = light.hazy(np.minimum(tone * 1.1, 240) * (light.ambient + 0.2), z)
    panes = [
        (u0 - m, u1 + m, v0 - s * 1.4, v1 + s, frame),
        (u0, u1, v0, v1, glass),
        (u0, u1, v0 + (v1 - v0) * 0.6, v1, glass * 0.86 + light.sky_low * 0.12),
        (middle - w, middle + w, v0, v1, bar),
    ]
    shown = panes if near else panes[1:2]
    meshes = [Mesh.equal(panel(wall, *place), color, False) for *place, color in shown]
    return meshes + _shops(stage, wall, normal, floors, columns)


def _shops(stage: Stage, wall: Floats, normal: Floats, floors: int, columns: int) -> list[Mesh]:
    column = np.arange(columns)[::-1]
    u0, u1, top = (column + 0.1) / columns, (column + 0.9) / columns, 0.78 / floors
    shop = panel(wall, u0, u1, 0.1 / floors, top)
    z = shop[..., 2].mean(1)
    meshes = [Mesh.equal(shop, _glass(stage, z, 0.45), False)]
    if stage.rng.random() < 0.6:
        cloth = stage.pick(_AWNINGS)
        awning = panel(wall, u0 - 0.02 / columns, u1 + 0.02 / columns, top * 0.86, top * 1.06)
        awning[:, :2] += normal * 0.7  # its lower edge stands out over the sidewalk
        meshes.append(Mesh.equal(awning, stage.light.even(cloth, z)))
    return meshes


def _glass(stage: Stage, z: Floats, lamps: float) -> Floats:
    """Colors of panes: dark rooms, mirrored sky, and at dusk lamps behind some of them."""
    light, rng = stage.light, stage.rng
    bright = rng.uniform(0.0, 0.42, (len(z), 1))
    glass = rgb(50, 58, 68) * (1 - bright) + light.sky_low * bright * 0.8
    if light.dusk:
        glass = np.where(rng.random((len(z), 1)) < lamps, rgb(252, 212, 142), glass)
    return light.hazy(glass, z)
