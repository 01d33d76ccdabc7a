"""A kind of image that is drawn: worms, blobs and touching ellipses under many lightings.

    python benchmarks/generated.py DATA/generated        # kinds.py DATA then trains on it, too

Whether such images help a network for real ones is a question to kinds.py.
"""

import argparse
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage

from symmetries import dense
from unlike_nuclei import Draw, blobs, worms

DRAWN: dict[str, Draw] = {"worms": worms, "blobs": blobs, "dense": dense}
IMAGES = 40


def lit(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of an (H, W) uint8 image: unevenly lit, of any contrast, sign and tint."""
    y, x = (np.linspace(-1, 1, side) for side in image.shape)
    slope, bowl = rng.uniform(-0.4, 0.4, 2), rng.uniform(-0.3, 0.3)
    light = 1 + slope[0] * y[:, None] + slope[1] * x + bowl * (y[:, None] ** 2 + x**2)
    seen = (image / 255.0) ** rng.uniform(0.5, 2) * light
    seen = ndimage.gaussian_filter(seen, rng.uniform(0, 1.5))
    if rng.random() < 0.5:
        seen = seen.max() - seen
    tint = rng.uniform(0.3, 1, 3) if rng.random() < 0.5 else np.ones(3)
    ground = rng.uniform(0, 0.3, 3) if tint.min() < 1 else np.full(3, rng.uniform(0, 0.3))
    color = ground + seen[..., None] * tint * rng.uniform(0.3, 0.7)
    color += rng.normal(0, rng.uniform(0, 0.04), image.shape)[..., None]
    return (255 * color).clip(0, 255).round().astype(np.uint8)


def write(folder: Path, images: int = IMAGES) -> None:
    """So many images of each sort and their label masks, as a training split."""
    for name, draw in DRAWN.items():
        for k in range(images):
            rng = np.random.default_rng(k)
            image, mask = draw(rng)
            for part, pixels in (("images", lit(rng, image)), ("masks", mask.astype(np.uint16))):
                path = folder / "train" / part / f"{name}_{k:02}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, pixels, compression="zlib", predictor=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
