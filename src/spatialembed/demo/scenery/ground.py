"""The ground of a generated scene: sidewalks, road, curbs, crossing road and markings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spatialembed.demo.scenery.canvas import Canvas, Floats, Mesh, circle, rgb, xyz
from spatialembed.demo.scenery.label_ids import GRASS, ROAD, SIDEWALK
from spatialembed.demo.scenery.street import FAR, Stage, Street
from spatialembed.demo.scenery.weather import Light


def draw_ground(canvas: Canvas, stage: Stage) -> None:
    """Strips along the street, then what lies across and on them, far to near."""
    street, light, rng = stage.street, stage.light, stage.rng
    grey = rng.uniform(94, 122)
    asphalt, curb = rgb(grey, grey, grey + 4), rgb(184, 182, 178)
    pavement = rgb(164, 157, 150) * rng.uniform(0.85, 1.06)
    grass = rgb(100, 126, 64) * rng.uniform(0.85, 1.1)
    strips = [
        (2 * FAR, grass, GRASS),
        (2.2 if street.green else 2 * FAR, pavement, SIDEWALK),
        (0.2, curb, SIDEWALK),
        (0.0, asphalt, ROAD),
    ]
    edges = np.geomspace(1.5, FAR, 14)[::-1]  # in slices, so that haze grows
    for out, color, code in strips if street.green else strips[1:]:
        bounds = [(street.left - out, street.right + out, z0, z1) for z1, z0 in pairwise(edges)]
        canvas.draw(_flat(np.array(bounds), color, light), code)
    if street.crossing:
        canvas.draw(_flat(np.array([(-2 * FAR, 2 * FAR, *street.crossing)]), asphalt, light), ROAD)
    if marks := _markings(street, rng):
        paint = rgb(214, 214, 208) * rng.uniform(0.85, 1.02)
        canvas.draw(_flat(np.array(marks)[::-1], paint, light), ROAD)
    for ring in [_spot(street, rng) for _ in range(int(rng.integers(0, 5)))]:
        color = light.even(asphalt * 0.72, float(ring[:, 1].mean()))
        canvas.draw(Mesh.equal(xyz(ring[:, 0], 0, ring[:, 1]), color, False), ROAD)


def _flat(bounds: Floats, color: Floats, light: Light) -> Mesh:
    """Rectangles on the ground from (N, 4) x0, x1, z0, z1, cut to what a camera can see."""
    z = bounds[:, [2, 2, 3, 3]]
    reach = 1.5 * z + 2
    x = np.clip(bounds[:, [0, 1, 1, 0]], -reach, reach)
    up = np.broadcast_to([0.0, 1.0, 0.0], (len(bounds), 3))
    return Mesh.equal(xyz(x, 0, z), light.shade(color, up, np.sqrt(z[:, 0] * z[:, 2])))


def _markings(street: Street, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """x0, x1, z0, z1 of lane lines, the edges of parked rows and the crosswalk, near to far."""
    lines, start = [], rng.uniform(1, 7)  # middle, half width, first, last and step of dashes
    for (x, way), (other, other_way) in pairwise(street.lanes):
        solid = way != other_way and rng.random() < 0.4
        lines.append(((x + other) / 2, 0.07, 1.5 if solid else start, 70, 3.0 if solid else 7.0))
    for middle, depth, _ in street.parking:
        lines.append((middle - float(np.sign(middle)) * (depth / 2 - 0.05), 0.06, 1.5, 60, 3.0))
    marks = [
        (middle - half, middle + half, z, z + 3.05)
        for middle, half, *dashes in lines
        for z in np.arange(*dashes).tolist()
        if not street.open_at(z, 7.5, 4)
    ]
    if street.crossing:
        z = street.crossing[0] - 3.8
        bars = np.arange(street.left + 0.4, street.right - 0.4, 1.0).tolist()
        marks += [(x, x + 0.5, z, z + 2.8) for x in bars]
        marks.append((-1.5, 1.5, z - 1.6, z - 1.2))
    return marks


def _spot(street: Street, rng: np.random.Generator) -> Floats:
    """(N, 2) x and z of a manhole cover or a patch of newer asphalt."""
    x, z = rng.uniform(street.left + 1, street.right - 1), rng.uniform(5, 22)
    if rng.random() < 0.6:
        return circle(14) * 0.36 + (x, z)
    size = rng.uniform((0.3, 0.8), (0.9, 3.0))
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size + (x, z)
