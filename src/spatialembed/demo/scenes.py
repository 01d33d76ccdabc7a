"""Generated street scenes in the Cityscapes layout: pictures and exact masks, nothing to download.

Scene ``number`` of a seed is a function of those two alone. A scene is composed in metres, drawn
at twice its size and reduced; the map of ids is drawn by the same polygons.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from spatialembed.demo.scenery.buildings import draw_buildings, draw_skyline
from spatialembed.demo.scenery.canvas import Camera, Canvas
from spatialembed.demo.scenery.finish import cast_shadows, finish, hood
from spatialembed.demo.scenery.ground import draw_ground
from spatialembed.demo.scenery.label_ids import EGO, SKY
from spatialembed.demo.scenery.street import Stage, random_street
from spatialembed.demo.scenery.traffic import populate
from spatialembed.demo.scenery.visibility import Limits, Thing, paint_order
from spatialembed.demo.scenery.weather import paint_sky, random_light
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write

CITY = "drawnham"
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
    stage = Stage(street, _random_camera(size, rng), light, rng)
    camera, limits = stage.camera, Limits.of(*size)
    sky = paint_sky(camera, light, rng)
    back = Canvas(camera, sky, Image.new("I", sky.size, SKY))
    draw_skyline(back, stage)
    draw_ground(back, stage)
    draw_buildings(back, stage)
    front = Canvas(camera, Image.new("RGB", sky.size), Image.new("I", sky.size))
    if rng.random() < 0.6:
        front.draw_flat(hood(stage), EGO)
    things = populate(stage, limits, cover=_small(front.ids) > 0)
    canvas, codes = _paint(stage, back, things, limits, front)
    instance_ids = _instance_ids(codes, things)
    labels = np.where(instance_ids >= 1000, instance_ids // 1000, instance_ids).astype(np.uint8)
    return Scene(finish(canvas, labels, rng), instance_ids, labels)


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
    _check(seed, 0, size)
    jobs = [("train", k, k) for k in range(train)] + [("val", k, VAL_FIRST + k) for k in range(val)]
    with ProcessPoolExecutor() as pool:
        waiting = [pool.submit(_write, Path(out), *job, seed, size) for job in jobs]
        try:
            for job in waiting:
                job.result()
        except BaseException:  # an interrupt waits for the scenes that are begun, not for all
            pool.shutdown(cancel_futures=True)
            raise


def _write(out: Path, split: str, k: int, number: int, seed: int, size: tuple[int, int]) -> None:
    scene = make_scene(seed, number, size)
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


def _random_camera(size: tuple[int, int], rng: np.random.Generator) -> Camera:
    width, height = size
    # by the area, so that cars cover the same share of a picture of any proportions
    focal = 0.95 * (2 * width * height) ** 0.5 * rng.uniform(0.92, 1.08)
    horizon = height * rng.uniform(0.38, 0.47)
    x, up, yaw = rng.uniform(-0.3, 0.3), rng.uniform(1.35, 1.8), float(rng.normal(0, 0.045))
    return Camera(2 * width, 2 * height, 2 * focal, 2 * horizon, x, up, yaw)


def _paint(
    stage: Stage, back: Canvas, things: list[Thing], limits: Limits, front: Canvas
) -> tuple[Canvas, np.ndarray]:
    """Paint shadows, things and what is in front of them; whoever is hidden after all goes.

    Returns:
        The canvas and its (H, W) codes at the finished size; ``things`` loses those taken off.
    """
    ego = Image.fromarray(np.asarray(front.ids) > 0)
    while True:
        canvas, code = back.copy(), _OBJECT
        cast_shadows(canvas, stage, things)
        for thing in paint_order(things, stage.camera.x):
            for part in thing.parts:
                part.code = code if part.instance else part.label
                code += part.instance
                canvas.draw_flat(part.flat, part.code)
        canvas.image.paste(front.image, (0, 0), ego)
        canvas.ids.paste(front.ids, (0, 0), ego)
        codes = _small(canvas.ids)
        seen = np.bincount(codes.ravel(), minlength=code)
        shown = [t for t in things if not t.too_small(seen, limits)]
        if len(shown) == len(things):
            return canvas, codes
        things[:] = shown


def _small(ids: Image.Image) -> np.ndarray:
    return np.asarray(ids)[1::2, 1::2]


def _instance_ids(codes: np.ndarray, things: list[Thing]) -> np.ndarray:
    """Codes to Cityscapes' ids, objects of a label numbered from 0 in the order of painting."""
    parts = sorted((p for t in things for p in t.parts if p.instance), key=lambda p: p.code)
    table = np.arange(_OBJECT + len(parts) + 1, dtype=np.int32)
    counts: Counter[int] = Counter()
    for part in parts:
        table[part.code] = 1000 * part.label + counts[part.label]
        counts[part.label] += 1
    return np.asarray(table[codes])
