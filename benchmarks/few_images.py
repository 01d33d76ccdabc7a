"""Accuracy against the number of training images, by one recipe that is not touched.

    python benchmarks/few_images.py DATA --minutes 5      # DATA has train and test folders

Each run is a user's with so many images: the first of a fixed shuffle, of which the recipe holds
its share out to choose thresholds by. Scores are of DATA's test images, over all symmetries.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

import spatialembed as se
from measure import scores, write_table
from spatialembed.cli.options import read_recipe
from spatialembed.training import train

COUNTS = (5, 10, 20, 50, 447)


def subset(data: Path, count: int, out: Path) -> Path:
    """A data set of ``count`` of the training images of ``data``, and no other split."""
    images = sorted((data / "train" / "images").iterdir())
    order = np.random.default_rng(0).permutation(len(images))[:count]
    for kind in ("images", "masks"):
        folder = out / "train" / kind
        folder.mkdir(parents=True)
        for i in order:
            [source] = (data / "train" / kind).glob(f"{images[i].stem}.*")
            shutil.copy(source, folder)
    return out


def main() -> None:
    """Train on each number of images and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    given = parser.parse_args()
    rows = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            data = subset(given.data, count, Path(folder) / "data")
            options = f"--out={folder}/run", f"--minutes={given.minutes}"
            run = train(read_recipe("nuclei", data, *options))
            rows.append([count, *scores(se.load(run, symmetries=True), given.data)])
        print(rows[-1], flush=True)
    header = ["training images", "AP50", "mean AP"]
    write_table("few_images", header, rows, f"DATA --minutes {given.minutes:g}", "accuracy.md")


if __name__ == "__main__":
    main()
