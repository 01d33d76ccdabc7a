"""What stands beside the road of a generated scene: trees, lamps, traffic lights, signs, bins."""

from __future__ import annotations

import numpy as np

from spatialembed.demo.scenery.canvas import Floats, Mesh, circle, rgb, square, xyz
from spatialembed.demo.scenery.label_ids import LAMP, POLE, SIGN, STATIC, TREE
from spatialembed.demo.scenery.street import Stage
from spatialembed.demo.scenery.visibility import Thing
from spatialembed.demo.scenery.weather import Light


def uprights(boxes: Floats, z: float, colors: Floats, light: Light) -> Mesh:
    """Upright rectangles that face the camera, from (N, 4) x0, x1, y0, y1 and colors (N, 3)."""
    points = xyz(boxes[:, [0, 1, 1, 0]], boxes[:, [2, 2, 3, 3]], z)
    return Mesh.equal(points, light.even(colors, z))


def draw_tree(stage: Stage, x: float, z: float, height: float, leaves: int) -> Thing:
    """A trunk and a crown of many tufts, darker below and away from the sun."""
    light, bark = stage.light, rgb(88, 72, 58)
    crown, fork, w = height * 0.62, height * 0.4, 0.018 * height
    stem = xyz([x - w, x + w, x + w * 0.6, x - w * 0.6], [0, 0, crown, crown], z)
    meshes = [Mesh.equal(stem, light.even(bark, z))]
    for side in (-1, 1):
        tip = x + side * height * 0.14
        branch = xyz([x, x, tip, tip], [fork, fork + w * 2, crown + w, crown], z)
        meshes.append(Mesh.equal(branch, light.even(bark * 0.85, z)))
    tree = Mesh.join([*meshes, _crown(stage, x, z, height, leaves)])
    return stage.thing(square(x, z, 0.2), height, (tree, TREE))


def _crown(stage: Stage, x: float, z: float, height: float, leaves: int) -> Mesh:
    light, rng = stage.light, stage.rng
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
    ring = circle(7) * (size[:, None] * rng.uniform(0.7, 1.25, (leaves, 7)))[..., None]
    across, up = x + (u * radius * 1.1)[:, None], height * 0.7 + (v * radius * 1.1)[:, None]
    points = xyz(across + ring[..., 0], up + ring[..., 1], z)
    return Mesh.equal(points, light.even(leaf * bright[:, None], z))


def draw_pole(stage: Stage, x: float, z: float, kind: str, side: int) -> Thing:
    """A street lamp, a traffic light or a sign."""
    light, rng = stage.light, stage.rng
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
        meshes, lit = [uprights(case, z, rgb(30, 32, 34), light)], int(rng.integers(3))
        for k, color in enumerate([rgb(255, 60, 50), rgb(255, 190, 60), rgb(70, 240, 150)]):
            lens = _ring(10, 0.11, x, high - 0.18 - 0.3 * k, z)
            color = light.hazy(color * (1.0 if k == lit else 0.25), z)
            meshes.append(Mesh.equal(lens, color, False))
        drawn.append((Mesh.join(meshes), LAMP))
    elif kind == "sign":
        corners = int(rng.choice([3, 4, 14]))
        face = stage.pick([(200, 40, 40), (40, 84, 160), (236, 206, 60)])
        middle = rgb(238, 238, 234) if face[0] > face[2] else np.minimum(face * 1.3, 255)
        plates = [
            Mesh.equal(_ring(corners, size, x, high, z), light.even(color, z))
            for size, color in ((0.36, face), (0.26, middle))
        ]
        drawn.append((Mesh.join(plates), SIGN))
    return stage.thing(square(x, z, 0.1), 2.5, *drawn)


def _ring(count: int, radius: float, x: float, y: float, z: float) -> Floats:
    ring = circle(count) * radius
    return xyz(x - ring[:, 1], y + ring[:, 0], z)


def draw_bin(stage: Stage, x: float, z: float) -> Thing:
    """A litter bin beside the road, void in Cityscapes ("static")."""
    tone = stage.pick([(60, 84, 66), (64, 66, 70), (150, 70, 40)])
    boxes = [(-0.3, 0.3, 0, 1.0), (-0.3, -0.18, 0, 1.0), (-0.34, 0.34, 0.95, 1.08)]
    tones = np.stack([tone, tone * 1.15, tone * 0.7])
    mesh = uprights(np.array(boxes) + np.array([x, x, 0, 0]), z, tones, stage.light)
    return stage.thing(square(x, z, 0.3), 1.0, (mesh, STATIC))
