"""Generated street scenes in the Cityscapes layout: pictures and exact masks, nothing to download.

Scene ``number`` of a seed is a function of those two alone. A scene is composed in metres, drawn
at twice its size and reduced; the map of ids is drawn by the same polygons.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ..errors import UserError, atomic_write
from .drawing import Camera, Canvas, Floats, Light
from .street import (
    BUILDING,
    GRASS,
    ROAD,
    SIDEWALK,
    SKY,
    TREE,
    Street,
    draw_buildings,
    draw_ground,
    draw_skyline,
    noise,
    paint_sky,
    random_light,
    random_street,
)
from .traffic import Limits, Thing, paint_order, populate

CITY = "drawnham"
EGO = 1
MIN_SIDE = 64
VAL_FIRST = 1_000_000
"""Number of the first validation scene, so that it does not depend on how many train there are."""

_OBJECT = 1 << 16
"""Code of the first object while a scene is drawn; smaller codes are label ids."""


@dataclass(frozen=True)
class Scene:
    """A picture with its truth, ids as Cityscapes writes them.

    Attributes:
        image: (H, W, 3) uint8.
        instance_ids: (H, W) int32, ``1000 * label + n`` on objects, else the label id; groups of
            objects carry their bare label id.
        label_ids: (H, W) uint8.
    """

    image: np.ndarray
    instance_ids: np.ndarray
    label_ids: np.ndarray


def make_scene(seed: int, number: int, size: tuple[int, int] = (512, 256)) -> Scene:
    """Draw one scene.

    Args:
        seed: of the whole set, not negative.
        number: of the scene in the set, not negative.
        size: (width, height) in pixels, each at least MIN_SIDE.

    Raises:
        UserError: a size, seed or number out of range.
    """
    _check(seed, number, size)
    rng = np.random.Generator(np.random.Philox(key=[seed, number]))
    light, street = random_light(rng), random_street(rng)
    camera = _random_camera(size, street, rng)
    limits = Limits.of(*size)
    canvas = Canvas(camera, paint_sky(camera, light, rng))
    canvas.ids.paste(SKY, (0, 0, *canvas.ids.size))
    draw_skyline(canvas, street, light, rng)
    draw_ground(canvas, street, light, rng)
    draw_buildings(canvas, street, light, rng)
    things = populate(street, camera, light, rng, limits)
    codes = _paint_things(canvas, street, light, things, limits)
    if rng.random() < 0.6:
        _draw_hood(canvas, light, rng)
        codes = _small_ids(canvas)
    instance_ids = _instance_ids(codes, things)
    labels = np.where(instance_ids >= 1000, instance_ids // 1000, instance_ids).astype(np.uint8)
    image = _finish(canvas, light, labels, rng)
    return Scene(image, instance_ids, labels)


def make_scenes(
    out: Path, train: int, val: int, size: tuple[int, int] = (512, 256), seed: int = 0
) -> None:
    """Write scenes in the Cityscapes layout, splits ``train`` and ``val``.

    Each scene is three files, ``leftImg8bit/SPLIT/CITY/X_leftImg8bit.png`` and
    ``gtFine/SPLIT/CITY/X_gtFine_{instanceIds,labelIds}.png``.

    Args:
        out: folder to write to, made if it is missing.
        train, val: number of scenes of each split.
        size: (width, height) in pixels.
        seed: the same seed gives the same scenes; another gives others.

    Raises:
        UserError: a number out of range, or ``out`` cannot be written.
    """
    if train < 0 or val < 0:
        raise UserError(f"the number of scenes cannot be negative: train {train}, val {val}")
    for split, first, count in (("train", 0, train), ("val", VAL_FIRST, val)):
        for k in range(count):
            _write(Path(out), split, k, make_scene(seed, first + k, size))


def _write(out: Path, split: str, k: int, scene: Scene) -> None:
    stem = f"{CITY}_{k:06d}_000000"
    truth = out / "gtFine" / split / CITY / f"{stem}_gtFine"
    files = {
        out / "leftImg8bit" / split / CITY / f"{stem}_leftImg8bit.png": scene.image,
        truth.with_name(f"{truth.name}_instanceIds.png"): scene.instance_ids.astype(np.uint16),
        truth.with_name(f"{truth.name}_labelIds.png"): scene.label_ids,
    }
    for path, array in files.items():
        with atomic_write(path) as temporary:
            Image.fromarray(array).save(temporary, compress_level=1)


def _check(seed: int, number: int, size: tuple[int, int]) -> None:
    if seed < 0 or number < 0:
        raise UserError(f"seed and number of a scene cannot be negative: {seed}, {number}")
    if min(size) < MIN_SIDE:
        raise UserError(
            f"a scene of {size[0]}x{size[1]} pixels is too small; ask for {MIN_SIDE} a side or more"
        )


def _random_camera(size: tuple[int, int], street: Street, rng: np.random.Generator) -> Camera:
    width, height = size
    focal = 0.95 * (2 * width * height) ** 0.5 * rng.uniform(0.92, 1.08)
    horizon = height * rng.uniform(0.38, 0.47)
    x, up = rng.uniform(-0.3, 0.3), rng.uniform(1.35, 1.8)
    return Camera(2 * width, 2 * height, 2 * focal, 2 * horizon, x, up, float(rng.normal(0, 0.045)))


# painting ------------------------------------------------------------------------------------


def _paint_things(
    canvas: Canvas, street: Street, light: Light, things: list[Thing], limits: Limits
) -> np.ndarray:
    """Paint shadows and things; whoever turns out to be hidden is taken off and all is repainted.

    Returns:
        (H, W) codes at the finished size; ``things`` loses those taken off.
    """
    picture, ids = canvas.image.copy(), canvas.ids.copy()
    while True:
        _cast_shadows(canvas, street, light, things)
        code = _OBJECT
        for thing in paint_order(things, canvas.camera.x):
            for part in thing.parts:
                part.code = part.label
                if part.instance:
                    part.code, code = code, code + 1
                canvas.draw_flat(part.flat, part.code)
        codes = _small_ids(canvas)
        seen = np.bincount(codes.ravel(), minlength=code)
        hidden = [
            t
            for t in things
            if any(p.instance and seen[p.code] < 0.67 * limits.area for p in t.parts)
        ]
        if not hidden:
            return codes
        for thing in hidden:
            things.remove(thing)
        canvas.restore(picture, ids)


def _small_ids(canvas: Canvas) -> np.ndarray:
    return np.asarray(canvas.ids)[1::2, 1::2].astype(np.int64)


def _instance_ids(codes: np.ndarray, things: list[Thing]) -> np.ndarray:
    """Codes to Cityscapes' ids, objects of a label numbered from 0 in the order of painting."""
    table = np.arange(_OBJECT + 1 + sum(len(t.parts) for t in things), dtype=np.int32)
    counts: dict[int, int] = {}
    visible = set(np.unique(codes).tolist())
    parts = [p for t in things for p in t.parts if p.instance and p.code in visible]
    for part in sorted(parts, key=lambda p: p.code):
        n = counts.get(part.label, 0)
        counts[part.label] = n + 1
        table[part.code] = 1000 * part.label + n
    return table[codes]


def _cast_shadows(canvas: Canvas, street: Street, light: Light, things: list[Thing]) -> None:
    """Darken the ground below and behind things, and where the houses shade the street."""
    camera = canvas.camera
    scale = 4
    size = (camera.width // scale, camera.height // scale)
    direction = -light.sun / max(float(light.sun[1]), 0.25)
    layers = {name: Image.new("L", size) for name in ("near", "far")}
    pens = {name: ImageDraw.Draw(layer) for name, layer in layers.items()}

    def mark(points: Floats, strength: float) -> None:
        name = "near" if points[:, 2].mean() < 14 else "far"
        flat = camera.project(points) / scale
        pens[name].polygon(flat.ravel().tolist(), fill=int(255 * min(strength, 1)))

    shift = np.array([direction[0], 0, direction[2]])
    sunny = light.shadow > 0.35
    if sunny:
        reach = 9 * direction[0]
        wall = street.walls[0] if reach > 0 else street.walls[1]
        quad = [[wall, 0, 1.5], [wall + reach, 0, 1.5], [wall + reach, 0, 140], [wall, 0, 140]]
        mark(np.array(quad), light.shadow * 0.8)
    for thing in sorted(things, key=lambda t: -t.bounds[2]):
        ground = thing.ground if len(thing.ground) == 4 else None
        if ground is None:
            continue
        if sunny:
            far = ground + shift * thing.height * 0.9
            for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
                mark(np.stack([ground[a], ground[b], far[b], far[a]]), light.shadow)
            mark(far, light.shadow)
        middle = ground.mean(0)
        for grow, strength in ((1.2, 0.35), (1.04, 0.62), (0.9, 0.8)):
            mark(middle + (ground - middle) * grow, strength)
    near = layers["near"].filter(ImageFilter.GaussianBlur(1.6 * size[1] / 128))
    far_layer = layers["far"].filter(ImageFilter.GaussianBlur(0.5 * size[1] / 128))
    shade = np.maximum(np.asarray(near), np.asarray(far_layer))
    mask = Image.fromarray(shade).resize(canvas.image.size, Image.Resampling.BILINEAR)
    ids = np.asarray(canvas.ids)
    ground_only = Image.fromarray(
        ((ids == ROAD) | (ids == SIDEWALK) | (ids == GRASS)) * np.uint8(255)
    )
    clipped = Image.composite(mask, Image.new("L", mask.size), ground_only)
    tone = tuple(int(c) for c in (18 + 14 * light.ambient))
    canvas.image.paste(tone, (0, 0), clipped)


def _draw_hood(canvas: Canvas, light: Light, rng: np.random.Generator) -> None:
    """The bonnet of the car that carries the camera, void in Cityscapes."""
    width, height = canvas.image.size
    top = height * rng.uniform(0.93, 0.975)
    tone = np.array([rng.uniform(30, 90)] * 3) * (light.ambient + 0.3 * light.sun_color)
    x = np.linspace(0, width, 33)
    edge = top + (height - top) * 1.1 * np.abs(x / width - 0.5) ** 2 * 4
    for k, bright in enumerate((0.8, 1.0, 1.18, 1.05)):
        line = np.stack([x, edge + k * height * 0.012], axis=1)
        points = [*line.ravel().tolist(), width, height + 9, 0, height + 9]
        ImageDraw.Draw(canvas.image).polygon(points, fill=tuple(int(c * bright) for c in tone))
        if k == 0:
            ImageDraw.Draw(canvas.ids).polygon(points, fill=EGO)


def _finish(
    canvas: Canvas, light: Light, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Reduce the picture and give surfaces their texture, then what a camera adds."""
    height, width = labels.shape
    image = np.asarray(canvas.image.reduce(2), dtype=np.float32)
    factor = np.ones((height, width), dtype=np.float32)
    x, z, first = canvas.camera.ground(height, width)
    tile = noise(rng, (128, 128), (128, 64)).astype(np.float32)
    coarse = noise(rng, (128, 128), (9, 21)).astype(np.float32)
    fade = np.exp(-np.abs(z) / 22)
    texture = 0.05 * fade * tile[(z * 14).astype(int) & 127, (x * 14).astype(int) & 127]
    texture = texture + 0.045 * coarse[(z * 5).astype(int) & 127, (x * 9).astype(int) & 127]
    below = labels[first:]
    ground = (below == ROAD) | (below == SIDEWALK) | (below == GRASS)
    factor[first:] += texture * ground
    grain = rng.standard_normal((height, width), dtype=np.float32)
    factor += grain * (
        0.09 * (labels == TREE) + 0.05 * (labels == GRASS) + 0.02 * (labels == BUILDING)
    )
    rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]  # type: ignore[misc]
    factor *= 1 - 0.1 * (rows**2 + columns**2).astype(np.float32)
    image *= factor[..., None]
    strength = rng.uniform(1.2, 3.2)
    image += strength * grain[::-1, ::-1, None]
    image += 0.5 * strength * rng.standard_normal((height, width, 3), dtype=np.float32)
    return image.clip(0, 255).astype(np.uint8)
