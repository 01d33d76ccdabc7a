"""What kinds.py does in each of its processes: train, learn from few images, and score."""

import csv
import json
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kinds_data import DRAWN, FEW_OF, few
from spatialembed.cli.options import read_recipe
from spatialembed.data.open import open_data
from spatialembed.files.writing import atomic_write
from spatialembed.inference.loading import load, load_network
from spatialembed.metrics.average_precision import score_images
from spatialembed.models.checkpoint import MODEL_FILE, save_model
from spatialembed.training import TrainConfig, train
from spatialembed.training.resume import checkpoint_path

LEAST = 45.0
"""Seconds without which nothing is begun where all has to be done by a time."""

VALIDATIONS = 2
"""Of a training; the recipe's five take a good part of a few minutes."""


@dataclass(frozen=True)
class Given:
    """What all jobs share.

    Args:
        out: folder of the results; links to the images are in its ``data``.
        kinds: sets of each kind.
        diameters: median width of the training objects of each set, in pixels.
        device, precision, workers: of every training.
        small: sizes that a CPU is done with in seconds.
        few_steps: of a training on few images.
        stop: ``time.monotonic()`` by which all must be done; None for no such.
    """

    out: Path
    kinds: dict[str, tuple[str, ...]]
    diameters: dict[str, float]
    device: str
    precision: str
    workers: int
    small: bool
    few_steps: int
    stop: float | None

    def trained_on(self, name: str) -> list[str]:
        """The sets of "all", of "alone-KIND" or of "without-KIND"."""
        how, _, kind = name.partition("-")
        return [
            one
            for other, sets in self.kinds.items()
            for one in sets
            if how == "all" or (how == "alone") == (other == kind)
        ]

    def scored_on(self, name: str) -> list[str]:
        """The sets that such a model is scored on: those it is to know, or does not."""
        if name in ("all", f"without-{DRAWN}"):
            return self.trained_on(name)
        return self.trained_on(f"alone-{name.partition('-')[2]}")


@dataclass(frozen=True)
class Job:
    """A training by its name, or "few-KIND-COUNT-TRIAL"; ``length`` is an option of a training."""

    name: str
    length: str = ""


def scores_of(out: Path, name: str) -> Path:
    """Where the result of a job stands; it is done if that is there."""
    return out / "scores" / f"{name}.json"


def attempt(given: Given, job: Job) -> tuple[str, str]:
    """Do a job; its name, and the error if there was one. What it says goes into a log."""
    if given.stop is not None and given.stop - time.monotonic() < LEAST:
        return job.name, "no time was left; the same command again goes on with it"
    path = given.out / "logs" / f"{job.name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            work = learned if job.name.startswith("few-") else trained
            result = work(given, job)
        except Exception as error:  # whatever it is, the other jobs go on
            traceback.print_exc()
            return job.name, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    with atomic_write(scores_of(given.out, job.name)) as file:
        file.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return job.name, ""


def trained(given: Given, job: Job) -> dict[str, Any]:
    """Train a model of some kinds unless it is there, and score it."""
    kept, run = given.out / "models" / f"{job.name}.safetensors", given.out / "runs" / job.name
    if not kept.is_file():
        train(_of_kinds(given, job, run))
        save_model(kept, *load_network(run), half=True)
        checkpoint_path(run).unlink()  # hundreds of megabytes, and finished
        (run / MODEL_FILE).unlink()
    with (run / "losses.csv").open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    notes = {"steps": int(last["step"]), "crops_per_second": float(last["crops_per_second"])}
    return {"training": notes, **scored(given, kept, given.scored_on(job.name))}


def _of_kinds(given: Given, job: Job, run: Path) -> TrainConfig:
    first, *others = [given.out / "data" / name for name in given.trained_on(job.name)]
    if checkpoint_path(run).is_file():  # it was cut short: what it was started with stands there
        device, workers = given.device, given.workers
        return TrainConfig(first, out=run, resume=True, device=device, workers=workers)
    config = recipe(given, first, run, job.length)
    return replace(config, also=others or None)


def recipe(given: Given, data: Path, run: Path, *options: str) -> TrainConfig:
    """The recipe ``cells``, with few validations; by small crops where all is small."""
    own = {name: getattr(given, name) for name in ("device", "precision", "workers")}
    words = [f"--{name}={value}" for name, value in {"out": run, **own}.items()]
    config = read_recipe("cells", data, *words, "--licence=Apache-2.0", *options)
    stage = replace(config.stages[0], validations=VALIDATIONS)
    if given.small:
        stage = replace(stage, validations=1, crop_size=64, batch_size=2)
    return replace(config, stages=[stage], pretrained=config.pretrained and not given.small)


def learned(given: Given, job: Job) -> dict[str, Any]:
    """Learn from few images of a kind, from a model that has not seen it and from nothing."""
    _, kind, count, trial = job.name.split("-")
    name = FEW_OF.get(kind, given.kinds[kind][0])
    start = given.out / "models" / f"without-{kind}.safetensors"
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = few(given.out / "data" / name, int(count), int(trial), Path(folder) / name)
        for how, options in {"tuned": (f"--init={start}",), "nothing": ()}.items():
            config = recipe(given, data, Path(folder) / how, f"--steps={given.few_steps}", *options)
            found[how] = scored(given, train(config), [name])
        found["images"] = len(list((data / "train" / "images").iterdir()))
    return found


def scored(given: Given, model: Path, sets: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """AP50 and mean AP of each validation image, its objects' width "known" and by the "own" eye.

    Known is the median of the set's training objects; a model of one set sees images as that was.
    """
    loaded = load(model, given.device)
    found: dict[str, dict[str, list[float]]] = {"known": {}, "own": {}}
    for name in sets:
        data = open_data(given.out / "data" / name, "val")
        known = loaded.seeing(given.diameters[name])
        for i in range(len(data)):
            sample = data[i]
            truth = sample.label_mask, sample.class_map, sample.ignore, sample.name
            own = loaded.for_image(sample.image, sample.name)
            for how, sized in (("known", known), ("own", own)):
                seen = sized.cluster(sized.raw(sample.image, sample.name))
                [image] = score_images([(seen, *truth)])["images"]
                found[how][f"{name}/{sample.name}"] = [image["ap50"], image["ap"]]
    return found
