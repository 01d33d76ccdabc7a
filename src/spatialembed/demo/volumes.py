"""Generated volumes in the layout of label folders: crowded nuclei and exact masks.

A volume of a seed is a function of the seed, its shape, spacing and count alone. Nuclei are made
in micrometres and sampled, so that the spacing says how coarse they are, not how large.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

from spatialembed.demo.microscopy.microscope import photograph
from spatialembed.demo.microscopy.nuclei import DIAMETERS
from spatialembed.demo.microscopy.tissue import grow_tissue
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write

SHAPE, SPACING = (32, 96, 96), (0.4, 0.15, 0.15)
DENSITY = 0.018
"""Nuclei in a cubic micrometre where no count is asked for: about a quarter of the volume."""

FIRST = {"train": 0, "val": 1_000_000, "test": 2_000_000}
"""Number of the first volume of each split, so that none depends on how many another holds."""

MAX_COUNT = 65535
"""What ids of 16 bits allow: ImageJ reads no wider ones."""


def draw_volume(
    seed: int | Sequence[int],
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = SPACING,
    count: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a stack of touching nuclei as a confocal microscope sees it, from plane 0 down.

    Args:
        seed: a number or several, none negative; the same draw the same volume.
        shape: planes, rows and columns.
        spacing: micrometres from plane to plane, row to row and column to column.
        count: nuclei, fewer where there is no room for as many; None for as many as make it
            crowded.

    Returns:
        The image (Z, Y, X) uint16, counts of 12 bits, and its label mask (Z, Y, X) uint16: ids
        1..N without gaps, each in one piece (by faces), 0 on the background.

    Raises:
        UserError: a seed or count out of range, a volume smaller than a nucleus, or a spacing
            that shows none.
    """
    _check_grid(shape, spacing)
    if count is None:
        count = max(1, round(DENSITY * float(np.prod(np.multiply(shape, spacing)))))
    _check_draw(seed, count)
    rng = np.random.default_rng(seed)
    steps = np.array(spacing, float)
    tissue = grow_tissue(shape, steps, count, rng)
    return photograph(tissue.light, steps, rng), tissue.labels.astype(np.uint16)


def write_volumes(
    out: Path,
    train: int = 6,
    val: int = 2,
    test: int = 2,
    seed: int = 0,
    shape: tuple[int, int, int] = SHAPE,
    spacing: tuple[float, float, float] = SPACING,
    count: int | None = None,
) -> None:
    """Write volumes as ``{train,val,test}/{images,masks}/volume_000.tif``, ….

    They are ImageJ's hyperstacks (ZYX, spacing in micrometres), compressed without loss.

    Args:
        out: folder to make; it may be there if it is empty.
        train, val, test: number of volumes of each split.
        seed: the same seed gives the same volumes; another gives others.
        shape, spacing, count: as :func:`draw_volume` takes them.

    Raises:
        UserError: a number out of range, or ``out`` holds something or cannot be written.
    """
    splits = {"train": train, "val": val, "test": test}
    if min(splits.values()) < 0:
        raise UserError(f"the number of volumes cannot be negative: {splits}")
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} exists already; remove it or choose another folder")
    for split, number in splits.items():
        for k in range(number):
            pair = draw_volume((seed, FIRST[split] + k), shape, spacing, count)
            for part, pixels in zip(("images", "masks"), pair, strict=True):
                _write(out / split / part / f"volume_{k:03d}.tif", pixels, spacing)


def _write(path: Path, pixels: np.ndarray, spacing: tuple[float, float, float]) -> None:
    z, y, x = spacing
    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary,
            pixels,
            imagej=True,
            resolution=(1 / x, 1 / y),
            metadata={"axes": "ZYX", "spacing": z, "unit": "um"},
            compression="zlib",
        )


def _check_grid(shape: Sequence[int], spacing: Sequence[float]) -> None:
    small, large = DIAMETERS
    if not 0 < np.min(spacing) <= np.max(spacing) <= small / 2:  # not either if one is NaN
        raise UserError(
            f"spacing {tuple(spacing)} shows no nucleus: give micrometres from pixel to pixel, "
            f"each above 0 and at most {small / 2}"
        )
    if np.min(np.multiply(shape, spacing)) < large:
        raise UserError(
            f"a volume of {tuple(shape)} pixels of {tuple(spacing)} um is too small; ask for "
            f"{large} um a side or more"
        )


def _check_draw(seed: int | Sequence[int], count: int) -> None:
    if np.min(seed) < 0:
        raise UserError(f"the seed of a volume cannot be negative: {seed}")
    if not 0 <= count <= MAX_COUNT:
        raise UserError(f"a volume holds 0 to {MAX_COUNT} nuclei, not {count}")
