"""What a generated scene gets beside its objects: shadows, the own car's hood, texture, grain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from spatialembed.demo.scenery.canvas import Canvas, Flags, Flat, Floats, xyz
from spatialembed.demo.scenery.label_ids import BUILDING, GRASS, ROAD, SIDEWALK, TREE
from spatialembed.demo.scenery.street import FAR, Stage
from spatialembed.demo.scenery.visibility import Thing
from spatialembed.demo.scenery.weather import noise

_SCALE = 4
"""Shadows are soft: they are drawn at this fraction of the canvas."""


def cast_shadows(canvas: Canvas, stage: Stage, things: list[Thing]) -> None:
    """Darken the ground below and behind things, and where the houses shade the street."""
    size = (canvas.image.width // _SCALE, canvas.image.height // _SCALE)
    layers = [Image.new("L", size), Image.new("L", size)]  # near and far: blurred differently
    pens = [ImageDraw.Draw(layer) for layer in layers]
    for quads, strength in _shadows(stage, things):
        flat = canvas.camera.project(quads.reshape(-1, 3)).reshape(-1, 8) / _SCALE
        pen = pens[int(quads[..., 2].mean() > 14)]
        for corners, share in zip(flat.tolist(), strength, strict=True):
            pen.polygon(corners, fill=int(255 * share))
    soft = [
        layer.filter(ImageFilter.GaussianBlur(radius * size[1] / 128))
        for layer, radius in zip(layers, (1.5, 0.5), strict=True)
    ]
    shade = ImageChops.lighter(*soft).resize(canvas.image.size, Image.Resampling.BILINEAR)
    mask = Image.fromarray(np.asarray(shade) * _on_ground(np.asarray(canvas.ids)))
    tone = tuple(int(c) for c in 18 + 14 * stage.light.ambient)
    canvas.image.paste(tone, (0, 0), mask)


def _shadows(stage: Stage, things: list[Thing]) -> Iterator[tuple[Floats, list[float]]]:
    """Quads on the ground, (N, 4, 3), and how dark each is: of the houses, then far to near."""
    light = stage.light
    shift = -light.sun * (1, 0, 1) / max(float(light.sun[1]), 0.3)
    sunny = light.shadow > 0.35
    if sunny:
        wall = stage.street.walls[int(shift[0] <= 0)]
        edge = wall + 8 * shift[0]
        yield xyz([[wall, edge, edge, wall]], 0, [1.5, 1.5, FAR, FAR]), [0.75 * light.shadow]
    for thing in sorted(things, key=lambda t: -t.bounds[2]):
        ground = thing.ground
        if len(ground) != 4:  # a row of far cars
            continue
        middle, wide = ground.mean(0), thing.wide
        quads, strength = [], []
        if sunny:
            tip = ground + shift * thing.height * 0.9
            edges = ((0, 1), (1, 2), (2, 3), (3, 0)) if wide else ((0, 2), (1, 3))
            quads = [np.stack([ground[a], ground[b], tip[b], tip[a]]) for a, b in edges]
            quads += [tip] * wide
            strength = [light.shadow] * len(quads)
        for grow, share in ((1.22, 0.3), (1.06, 0.6), (0.92, 0.82)) if wide else ((1.3, 0.5),):
            quads.append(middle + (ground - middle) * grow)
            strength.append(share)
        yield np.stack(quads), strength


def _on_ground(ids: np.ndarray) -> Flags:
    # many times as fast as np.isin
    return np.asarray((ids == ROAD) | (ids == SIDEWALK) | (ids == GRASS))


def hood(stage: Stage) -> Flat:
    """The hood of the car that carries the camera, void in Cityscapes."""
    width, height, light = stage.camera.width, stage.camera.height, stage.light
    top = height * stage.rng.uniform(0.93, 0.975)
    tone = stage.rng.uniform(34, 96) * (light.ambient + 0.3 * light.sun_color)
    x = np.linspace(0, width, 33)
    edge = top + (height - top) * 4.4 * (x / width - 0.5) ** 2
    corners = [[width, height + 9], [0, height + 9]]
    colors = [tone * 0.8, tone * 1.1 + 0.12 * light.sky_low, tone * 1.15, tone]
    return [
        (np.concatenate([np.stack([x, edge + k * height * 0.012], axis=1), corners]),
         tuple(color.astype(int).tolist()), True)
        for k, color in enumerate(colors)
    ]  # fmt: skip


def finish(canvas: Canvas, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reduce the picture, give surfaces their texture, then vignette and grain: (H, W, 3) uint8."""
    height, width = labels.shape
    image = np.asarray(canvas.image.reduce(2), dtype=np.float32)
    grain = rng.standard_normal((height, width), dtype=np.float32)
    rough = np.zeros(256, dtype=np.float32)
    rough[[TREE, GRASS, BUILDING]] = 0.07, 0.05, 0.018
    factor = 1 + grain * rough[labels]
    x, z, first = canvas.camera.ground(height, width)
    fine = noise(rng, (128, 128), (128, 64))
    coarse = noise(rng, (128, 128), (9, 21))
    x, z = x.astype(np.float32), z.astype(np.float32)
    texture = 0.045 * np.exp(-z / 22) * fine[_wrap(z, 14), _wrap(x, 14)]
    texture += 0.04 * coarse[_wrap(z, 5), _wrap(x, 9)]
    factor[first:] += texture * _on_ground(labels[first:])
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    factor *= 1.03 - 0.1 * (down**2 + across**2)
    image *= factor[..., None]
    strength = rng.uniform(0.8, 2.4)
    for channel, shift in enumerate((17, 43, 71)):  # one field of noise serves all three
        image[..., channel] += strength * (grain[::-1] + 0.6 * np.roll(grain, shift, axis=1))
    return image.clip(0, 255).astype(np.uint8)


def _wrap(metres: Floats, per_metre: int) -> np.ndarray:
    """Index into a 128 wide tile of noise, which is mirrored to and fro so that it has no seam."""
    index = np.floor(metres * per_metre).astype(np.int32) & 255
    return np.asarray(np.minimum(index, 255 - index))
