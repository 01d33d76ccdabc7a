"""The recipe of nuclei, untouched, on generated objects that are nothing like nuclei.

    python benchmarks/unlike_nuclei.py --minutes 8

"worms": long, thin and bent up to rings, some touching, 512² pixels. "blobs": touching, ten times
as large in area as nuclei, of very different sizes, grey with dark rims on a brighter ground,
1000² pixels. 40 images to train on, of which the recipe holds its share out, and 10 to score.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage

from measure import scores, write_table
from spatialembed.cli.options import read_recipe
from spatialembed.training import train

TRAIN, TEST = 40, 10

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def worms(rng: np.random.Generator, side: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Image (side, side) uint8 and its label mask."""
    mask = np.zeros((side, side), np.uint16)
    for k in range(1, 26):
        place, turn = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi)
        bend, path = rng.uniform(-0.06, 0.06), []
        for _ in range(int(rng.uniform(60, 160))):
            path.append(place.copy())
            place += np.sin(turn), np.cos(turn)
            bend = np.clip(bend + rng.normal(0, 0.012), -0.09, 0.09)
            turn += bend
        line = np.zeros((side, side), bool)
        points = np.round(path).astype(int)
        points = points[((points >= 0) & (points < side)).all(1)]
        line[points[:, 0], points[:, 1]] = True
        body = ndimage.distance_transform_edt(~line) < rng.uniform(3, 5) if line.any() else line
        if body.sum() > 200 and not (body & (mask > 0)).any():
            mask[body] = k
    shade = rng.uniform(90, 200, 26)[mask] * (mask > 0)
    image = 25 + ndimage.gaussian_filter(shade, 1.2) + rng.normal(0, 8, mask.shape)
    return image.clip(0, 255).astype(np.uint8), mask


def blobs(rng: np.random.Generator, side: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Image (side, side) uint8 and its label mask: cells of a weighted Voronoi diagram, cut off."""
    y, x = np.indices((side, side))
    nearest, mask = np.full((side, side), np.inf), np.zeros((side, side), np.uint16)
    for k in range(1, 90):
        cy, cx, radius = *rng.uniform(0, side, 2), rng.uniform(30, 60)
        far = np.hypot(y - cy, x - cx) / radius
        wave = 1 + 0.12 * np.sin(3 * np.arctan2(y - cy, x - cx) + rng.uniform(0, 6))
        closer = (far / wave < 1) & (far < nearest)
        mask[closer], nearest[closer] = k, far[closer]
    pieces = np.zeros_like(mask)
    for number, k in enumerate(np.unique(mask[mask > 0]), 1):  # the largest piece of each
        parts, count = ndimage.label(mask == k)
        largest = 1 + np.bincount(parts.ravel())[1:].argmax() if count else 0
        if (parts == largest).sum() > 300:
            pieces[parts == largest] = number
    rim = (ndimage.maximum_filter(pieces, 5) != ndimage.minimum_filter(pieces, 5)) & (pieces > 0)
    image = 170 - 40 * (pieces > 0) - 70 * rim + rng.normal(0, 4, mask.shape)
    image = ndimage.gaussian_filter(image, 1.5) + rng.normal(0, 6, mask.shape)
    return image.clip(0, 255).astype(np.uint8), pieces


def write(draw: Draw, folder: Path) -> Path:
    """A label folder of drawn images."""
    for split, count, first in (("train", TRAIN, 0), ("test", TEST, 1000)):
        for k in range(count):
            image, mask = draw(np.random.default_rng(first + k))
            for kind, array in (("images", image), ("masks", mask)):
                path = folder / split / kind / f"{k:03}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, array)
    return folder


def main() -> None:
    """Train on each kind and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=8)
    given = parser.parse_args()
    rows = []
    for draw in (worms, blobs):
        with tempfile.TemporaryDirectory() as folder:
            data = write(draw, Path(folder) / draw.__name__)
            options = f"--out={folder}/run", f"--minutes={given.minutes}"
            run = train(read_recipe("nuclei", data, *options))
            rows.append([draw.__name__, *scores(run, data)])
        print(rows[-1], flush=True)
    header = ["objects", "AP50", "mean AP"]
    write_table("unlike_nuclei", header, rows, f"--minutes {given.minutes:g}", "accuracy.md")


if __name__ == "__main__":
    main()
