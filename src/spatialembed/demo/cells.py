"""Generated images of cells and the nuclei in them, with exact masks of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage

from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write

_RADIUS = (13.0, 22.0)
"""Least and greatest mean radius of a cell in pixels."""

_NUCLEI = (0.1, 0.8, 0.1)
"""How often a cell has none, one or two."""


def draw_cells(
    seed: int = 0, side: int = 256, count: int = 90
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw cells that touch, dim, and nuclei in them, brighter, blurred and noisy.

    Args:
        seed: not negative; the same draws the same image.
        side: of the image, in pixels, 64 or more.
        count: cells that are tried; those that find no place are left out.

    Returns:
        The image (side, side) uint16, the label mask of cells and that of nuclei, both (side, side)
        uint16, 0 on the ground. A nucleus lies in one cell; their ids are not related.

    Raises:
        UserError: a value out of range.
    """
    if seed < 0 or side < 64 or not 0 <= count < 2**15:
        raise UserError(f"no image of {count} cells on {side} pixels with seed {seed} is drawn")
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side))
    nearest = np.ones((side, side))  # level of the cell that a pixel is in: 0 at its center, 1 out
    cells, nuclei = np.zeros((2, side, side), np.uint16)
    light = np.full((side, side), 300.0)
    centers: list[tuple[float, float, float]] = []
    for _ in range(count):
        cy, cx, radius = *rng.uniform(0, side, 2), rng.uniform(*_RADIUS)
        if any(np.hypot(cy - a, cx - b) < 0.75 * (radius + r) for a, b, r in centers):
            continue
        centers.append((cy, cx, radius))
        own = _blob(y - cy, x - cx, radius, rng)
        inside = own < nearest  # where two cells meet, each has what is nearer to it
        cells[inside], nearest[inside] = len(centers), own[inside]
    for k, (cy, cx, radius) in enumerate(centers, 1):
        inside = cells == k
        light[inside] = (rng.uniform(900, 1800) * (1 - 0.6 * nearest**4))[inside]
        number = rng.choice(3, p=_NUCLEI)
        turn = rng.uniform(0, np.pi)
        for n in range(number):
            size = radius * rng.uniform(0.38, 0.5) * (0.75 if number == 2 else 1)
            away = radius * (0.42 if number == 2 else rng.uniform(0, 0.25)) * (1 - 2 * n)
            at = cy + away * np.sin(turn), cx + away * np.cos(turn)
            whole = _blob(y - at[0], x - at[1], size, rng) < 1
            if not whole.any() or (whole & ~inside).any():
                continue  # not where the image or another cell cuts it
            nuclei[whole] = nuclei.max() + 1
            light[whole] = rng.uniform(2500, 5000)
    texture = ndimage.gaussian_filter(rng.normal(size=(side, side)), 1.5) * 3
    image = ndimage.gaussian_filter(light * (1 + 0.2 * texture), 1.0)
    image += rng.normal(0, 60, image.shape)
    return image.clip(0, 65535).astype(np.uint16), _numbered(cells), nuclei


def make_cells(root: Path, images: Mapping[str, int], seed: int = 0, side: int = 256) -> None:
    """Write a data set of the targets cells and nuclei.

    Args:
        root: its folder.
        images: how many of each split.
        seed, side: as for :func:`draw_cells`, of which every image has a seed of its own.
    """
    number = seed * 100_000
    for split, count in images.items():
        for i in range(count):
            image, *masks = draw_cells(number, side, round(90 * (side / 256) ** 2))
            number += 1
            parts = ("images", "masks/cells", "masks/nuclei")
            for part, array in zip(parts, (image, *masks), strict=True):
                with atomic_write(root / split / part / f"{split}{i:03}.tif") as path:
                    tifffile.imwrite(path, array, compression="zlib")


def _blob(y: np.ndarray, x: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Level of a bumpy ellipse about the origin: 0 there, 1 on its line."""
    turn, ratio = rng.uniform(0, np.pi), rng.uniform(1, 1.35)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    angle = np.arctan2(across, along)
    bumps = sum(
        rng.uniform(0, 0.06) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4)
    )
    distance = np.hypot(along / np.sqrt(ratio), across * np.sqrt(ratio))
    return np.asarray(distance / (radius * (1 + bumps)))


def _numbered(mask: np.ndarray) -> np.ndarray:
    """Ids from 1 without gaps: a cell may have lost all its pixels to others."""
    return np.unique(mask, return_inverse=True)[1].reshape(mask.shape).astype(np.uint16)
