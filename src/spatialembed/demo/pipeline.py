"""The whole pipeline as one readable recipe: scenes, training, scores, predictions, a page."""

from __future__ import annotations

import shutil
from pathlib import Path

from spatialembed.console.output import console, errors
from spatialembed.console.progress import Track, silent
from spatialembed.demo.scenes import make_scenes
from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.evaluate import evaluate, open_split
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.loading import load
from spatialembed.report.evaluation import tables, write_evaluation
from spatialembed.training import train
from spatialembed.training.config import TrainConfig

TRAIN_SCENES, VAL_SCENES = 270, 40

PARTS = ("scenes", "run", "evaluation", "found")
"""Folders that a demo makes."""

NOTHING = (
    "spatialembed: the model found nothing in any held-out scene: it was trained too little, as on "
    "a busy machine; run the demo again with more --minutes"
)


def demo(out: Path, config: TrainConfig, track: Track = silent) -> Path:
    """Make street scenes in ``out``, train on them in two stages, score, predict, show.

    Args:
        out: folder for scenes, run, results and page; those of an earlier demo are made anew.
        config: the run, on the data in its folder ``scenes``; its seed is that of the scenes too.
        track: shows progress.

    Returns:
        The page.

    Raises:
        UserError: ``out`` holds something else than a demo, or an option is out of its range.
    """
    scenes = out / "scenes"
    config.scheduled()  # refuses what cannot be before anything is removed or made
    _clear(out)
    console.print(f"Making {TRAIN_SCENES + VAL_SCENES} street scenes in {scenes}")
    make_scenes(scenes, TRAIN_SCENES, VAL_SCENES, seed=config.seed)

    run = train(config)
    model = load(run, symmetries=True)
    held_out = open_split(scenes, "val", model.spec)
    evaluation = evaluate(model, held_out, out=out / "evaluation", track=track)
    for table in tables(evaluation):
        console.print(table)

    if not any(held["found"] for held in evaluation["classes"].values()):
        errors.print(NOTHING, highlight=False, soft_wrap=True)
    images = find_images([scenes / "leftImg8bit" / "val"], out / "found")
    results = Results(out / "found", ["cityscapes"])
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
