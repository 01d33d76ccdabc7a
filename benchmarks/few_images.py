"""Accuracy from few training images: from a model, carefully, and from nothing by a recipe.

    python benchmarks/few_images.py DATA/bacteria DATA/cytology --starts nuclei nothing \
        --counts 1 2 5 10 20 --minutes 2 5 --trials 20

Each folder is a kind of image, of which a share is held out; --only takes images whose names begin
so. A trial learns from so many of the others, drawn anew by its number. All trials of a kind are
scored on the same images that were held out, test images on none. Errors are standard errors over
trials; "below" counts trials whose mean AP is under the start's own on these images.
"""

import argparse
import shutil
import tempfile
from argparse import Namespace
from itertools import product
from pathlib import Path

import numpy as np

import spatialembed as se
from measure import write_table
from spatialembed.cli.options import read_recipe
from spatialembed.data.data_set import FileDataSet
from spatialembed.data.open import open_data
from spatialembed.metrics.average_precision import score_images
from spatialembed.training import train

NOTHING = "nothing"


def parts(folder: Path, given: Namespace) -> tuple[FileDataSet, FileDataSet]:
    """Images to learn from, and a fixed sample of those that are held out."""
    both = [open_data(folder, split, holdout=given.holdout) for split in ("train", "val")]
    learned, judged = (
        data.only({name for name in data.names if name.startswith(given.only)}) for data in both
    )
    sample = np.random.default_rng(0).permutation(len(judged))[: given.judged]
    return learned, judged.only({judged.names[int(i)] for i in sample})


def copied(
    data: FileDataSet, count: int, trial: int, out: Path, splits: tuple[str, ...] = ("train",)
) -> Path:
    """A data set of ``count`` of the images, of a trial's own shuffle, in each of the splits."""
    for i in np.random.default_rng(100 + trial).permutation(len(data))[:count]:
        for kind, file in zip(("images", "masks", "ignore"), data.files(int(i)), strict=False):
            for split in splits:
                target = out / split / kind
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
    return out


def trained(data: Path, start: str, length: str, seed: int, out: Path) -> Path:
    """The run folder of a training as a user begins it."""
    options = [f"--out={out}", length, f"--seed={seed}"]
    if start != NOTHING:
        options += [f"--init={start}", "--diameter=null"]
    return train(read_recipe("nuclei", data, *options))


def scored(model: str | Path, judged: FileDataSet) -> np.ndarray:
    """(2,) AP50 and mean AP of a model, mean over images."""
    loaded = se.load(model)
    found = (
        (loaded.predict(s.image), s.label_mask, None, s.ignore, s.name)
        for s in (judged[i] for i in range(len(judged)))
    )
    mean = score_images(found)["mean"]["mean_over_images"]
    return np.array([mean["ap"][0], mean["ap_mean"]])


def row_of(folder: Path, start: str, count: int, length: str, given: Namespace) -> list[str]:
    """A row of the table: all trials of one kind, start, number of images and length."""
    learned, judged = parts(folder, given)
    own = None if start == NOTHING else scored(start, judged)
    found = []
    for trial in range(given.first, given.first + given.trials):
        with tempfile.TemporaryDirectory() as temporary:
            # From nothing, a training needs an image to validate on: with one, that itself.
            splits = ("train", "val") if start == NOTHING and count == 1 else ("train",)
            data = copied(learned, count, trial, Path(temporary) / "data", splits)
            run = trained(data, start, length, trial, Path(temporary) / "run")
            found.append(scored(run, judged))
        print(folder.name, start, count, length, trial, own, found[-1], flush=True)
    figures = [with_error(values) for values in np.array(found).T]
    kind = f"{folder.name} {given.only}".strip()
    row = [kind, start, str(count), length.removeprefix("--"), *figures]
    if own is None:
        return [*row, "", "", ""]
    gains = np.array(found)[:, 1] - own[1]
    return [*row, f"{own[0]:.3f} / {own[1]:.3f}", with_error(gains), str((gains < 0).sum())]


def with_error(values: np.ndarray) -> str:
    """Mean and standard error of (N,) values, of a single one none."""
    error = f" ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{error}"


def main() -> None:
    """Run all trials and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--only", default="")
    parser.add_argument("--starts", nargs="+", default=["nuclei", NOTHING])
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5])
    parser.add_argument("--steps", type=int, nargs="+", help="in place of minutes")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--holdout", type=float, default=0.5)
    parser.add_argument("--judged", type=int, default=25)
    given = parser.parse_args()
    lengths = [f"--steps={n}" for n in given.steps or ()] or [
        f"--minutes={m:g}" for m in given.minutes
    ]
    cases = product(given.data, given.starts, given.counts, lengths)
    rows = [row_of(*case, given) for case in cases]
    header = ["images of", "starts from", "images", "length", "AP50", "mean AP"]
    header += ["the start: AP50 / mean", "gain of mean AP", f"below, of {given.trials}"]
    folders = " ".join(f"DATA/{folder.name}" for folder in given.data)
    write_table("few_images", header, rows, f"{folders} {told(given)}", "accuracy.md")


def told(given: Namespace) -> str:
    """The options as they are given."""
    values = {name: value for name, value in vars(given).items() if name != "data" and value}
    texts = {k: v if isinstance(v, list) else [v] for k, v in values.items()}
    return " ".join(f"--{k} {' '.join(f'{one}' for one in v)}" for k, v in texts.items())


if __name__ == "__main__":
    main()
