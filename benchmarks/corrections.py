"""Accuracy after so many corrected images, as the plug-in trains on them.

    python benchmarks/corrections.py DATA --minutes 2 --starts nuclei nothing

DATA has train and test folders. A corrected image is a training image with its whole truth. Runs
start from each model, or from nothing by the recipe of nuclei. Scores are of DATA's test images.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import spatialembed as se
from measure import scores, write_table
from spatialembed.cli.options import read_recipe
from spatialembed.data import open_data
from spatialembed.plugin.painted import Painted, write_data, write_recipe
from spatialembed.training import train

COUNTS = (1, 2, 4, 8)


def corrected(data: Path, count: int) -> list[Painted]:
    """The first images of a fixed shuffle, every object painted."""
    train_images = open_data(data, "train", holdout=0)
    order = np.random.default_rng(1).permutation(len(train_images))[:count]
    samples = [train_images[int(i)] for i in order]
    return [Painted(s.image[..., 0], s.label_mask, complete=True) for s in samples]


def trained(painted: list[Painted], start: str, minutes: float, folder: Path) -> Path:
    """The run folder of a training on corrected images."""
    write_data(folder / "data", painted)
    recipe, options = "nuclei", [f"--out={folder / 'run'}", f"--minutes={minutes}"]
    if start != "nothing":
        model = se.load(start)
        recipe = str(folder / "recipe.yaml")
        length = {"minutes": minutes}
        write_recipe(Path(recipe), model.spec, model.zoom, painted, length)
        options.append(f"--init={start}")
    return train(read_recipe(recipe, folder / "data", *options))


def main() -> None:
    """Train on each number of images, from each start, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--starts", nargs="+", default=["nuclei", "nothing"])
    given = parser.parse_args()
    rows = []
    for start in given.starts:
        if start != "nothing":
            rows.append([start, 0, *scores(start, given.data)])
        for count in COUNTS:
            with tempfile.TemporaryDirectory() as folder:
                painted = corrected(given.data, count)
                run = trained(painted, start, given.minutes, Path(folder))
                rows.append([start, count, *scores(run, given.data)])
            print(rows[-1], flush=True)
    header = ["starts from", "corrected images", "AP50", "mean AP"]
    command = f"DATA --minutes {given.minutes:g} --starts {' '.join(given.starts)}"
    write_table("corrections", header, rows, command, "accuracy.md")


if __name__ == "__main__":
    main()
