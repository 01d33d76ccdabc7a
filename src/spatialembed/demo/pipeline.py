"""The whole pipeline as one readable recipe: data, training, scores, predictions, a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spatialembed.console.output import console, errors
from spatialembed.console.progress import Track, silent
from spatialembed.data.data_set import Split
from spatialembed.demo.scenes import make_scenes
from spatialembed.demo.volumes import write_volumes
from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.evaluate import evaluate, open_split
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.loading import load
from spatialembed.report.evaluation import tables, write_evaluation
from spatialembed.training import train
from spatialembed.training.config import TrainConfig


@dataclass(frozen=True)
class Subject:
    """What a demo is of.

    Attributes:
        data: name of the data set's folder, and of what it holds.
        make: writes the data set into a folder, by a seed.
        recipe: name of the recipe that trains on it.
        minutes: how long to train; None for the recipe's own length.
        split: which is held out, scored and predicted.
        images: where the images of that split lie in the data set.
        formats: of results, beside label TIFFs and pictures.
        further: commands to go on with, where the run folder is ``{run}``.
    """

    data: str
    make: Callable[..., None]
    recipe: str
    minutes: float | None
    split: Split
    images: str
    formats: tuple[str, ...]
    further: tuple[str, ...]


STREETS = Subject(
    data="scenes",
    make=partial(make_scenes, train=270, val=40),
    recipe="demo",
    minutes=None,
    split="val",
    images="leftImg8bit/val",
    formats=("cityscapes",),
    further=("spatialembed serve {run}", "spatialembed predict {run} IMAGES --out found"),
)

VOLUMES = Subject(
    data="volumes",
    make=write_volumes,
    recipe="volumes",
    minutes=5,
    split="test",
    images="test/images",
    formats=(),
    further=(
        "spatialembed predict {run} STACKS --out found",
        "spatialembed train DATA --config volumes --out runs/x",
    ),
)

PARTS = (STREETS.data, VOLUMES.data, "run", "evaluation", "found")
"""Folders that a demo makes."""

NOTHING = (
    "spatialembed: the model found nothing in anything held out: it was trained too little, as on "
    "a busy machine; run the demo again with more --minutes"
)


def demo(out: Path, config: TrainConfig, track: Track = silent, subject: Subject = STREETS) -> Path:
    """Make data in ``out``, train on it, score, predict, show.

    Args:
        out: folder for data, run, results and page; those of an earlier demo are made anew.
        config: the run, on the subject's data in ``out``; its seed is that of the data too.
        track: shows progress.
        subject: what the demo is of.

    Returns:
        The page.

    Raises:
        UserError: ``out`` holds something else than a demo, or an option is out of its range.
    """
    data = out / subject.data
    config.scheduled()  # refuses what cannot be before anything is removed or made
    _clear(out)
    console.print(f"Making {subject.data} in {data}")
    subject.make(data, seed=config.seed)

    run = train(config)
    model = load(run, symmetries=True)
    held_out = open_split(data, subject.split, model.spec)
    evaluation = evaluate(model, held_out, out=out / "evaluation", track=track)
    for table in tables(evaluation):
        console.print(table)

    if not any(held["found"] for held in evaluation["classes"].values()):
        errors.print(NOTHING, highlight=False, soft_wrap=True)
    images = find_images([data / subject.images], out / "found")
    results = Results(out / "found", subject.formats)
    for outcome in track(predict_files(model, images, results, True), len(images), "Predicting"):
        if outcome.error:
            console.print(outcome.error)
    return write_evaluation(model, held_out, evaluation, out / "evaluation")


def _clear(out: Path) -> None:
    """Remove what an earlier demo left, and nothing that is not a demo's."""
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not there <= set(PARTS):
        other = ", ".join(sorted(there - set(PARTS))[:3])
        raise UserError(f"{out} holds more than a demo ({other}); choose another --out")
    for part in PARTS:
        shutil.rmtree(out / part, ignore_errors=True)
