"""The whole of a careful run, from few images to a model; the folder says how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from spatialembed.console.output import console, warn
from spatialembed.inference.loading import load_network
from spatialembed.training.calibrate import FOREGROUND_THRESHOLDS
from spatialembed.training.config import TrainConfig
from spatialembed.training.few_images.budget import CANDIDATES, Budget
from spatialembed.training.few_images.careful import HEADS_SHARE, careful
from spatialembed.training.few_images.choice import Choice, choose
from spatialembed.training.few_images.evidence import Tally, ap, is_better
from spatialembed.training.few_images.folds import Fold, folds_of
from spatialembed.training.few_images.judging import Found, found_by, joined
from spatialembed.training.few_images.mixture import Weights, mixed
from spatialembed.training.few_images.outcome import keep, leave
from spatialembed.training.few_images.start_size import sized
from spatialembed.training.few_images.tuning import Tuning
from spatialembed.training.prepare import Material, build_network, gather
from spatialembed.training.run import Best, Run, connect
from spatialembed.training.validation import SEED_THRESHOLDS, Setting

FEWEST_STEPS = 30
"""Of a training that teaches something."""

Reached = Sequence[Sequence[Weights]]
"""Of each fold the weights after each stage."""


def learn_carefully(config: TrainConfig, began: float, run_stage: Callable[[Run], None]) -> None:
    """The whole of a careful run, which leaves ``model.safetensors`` and ``losses.csv``.

    Args:
        config: the run, with a model to start from.
        began: ``time.monotonic()`` at its start, from which its minutes count.
        run_stage: the loop over a stage's steps.

    Raises:
        UserError: bad data or options, or a loss that is not finite.
    """
    assert config.init is not None
    stages, start = config.scheduled(), load_network(config.init)[1]
    config = careful(config, start)
    fabric, material = connect(config), gather(config, hold_out=False)
    warn(material.warnings)
    weights = Best.of(build_network(config, material), start).weights
    tuning = Tuning.of(config, material, fabric, start, weights, run_stage)
    console.print(
        f"few images: learning carefully from {config.init}, no further than helps on images that "
        "are held back (--careful false trains by the recipe)",
        soft_wrap=True,
    )
    folds = _folds(material)
    if not folds:
        keep(tuning, "one object cannot tell whether training helps; give more")
        return
    budget = Budget.of(stages, len(material.index), began, len(folds) + (len(folds) > 1))
    _learn(tuning, folds, budget)


def _folds(material: Material) -> list[Fold]:
    samples = [material.train[i] for i in range(len(material.train))]
    if material.val is material.train:
        return folds_of(samples)
    return [Fold(tuple(samples), tuple(material.val[i] for i in range(len(material.val))))]


def _learn(tuning: Tuning, folds: list[Fold], budget: Budget) -> None:
    folds = budget.thinned(folds, _seconds_to_judge(tuning, folds[0]))
    tuning, base = _at_size(tuning, folds)
    steps = budget.steps_of_one(tuning.seconds_per_step)
    tuning = tuning.lasting(steps)
    console.print(f"{budget.trainings} trainings of {steps} steps, on {tuning.fabric.device}")
    if steps < FEWEST_STEPS:
        console.print("so few steps teach little: give more minutes")
    timed = time.monotonic()
    reached = [tuning.trained(fold.learned) for fold in folds]
    took = (time.monotonic() - timed) / len(folds)
    found = {Choice(0.0, 0, _setting(tuning)): base}
    for share, stages in CANDIDATES[: budget.candidates]:
        for setting, tallies in _judged(tuning, folds, reached, share, stages).items():
            found[Choice(share, stages, setting)] = tallies
    choice = choose(found)
    if choice.share == 0:
        best = max(found.values(), key=ap)
        keep(tuning, "your images do not show that training makes it better", base, best)
        return
    setting = _others_chosen(tuning, folds, reached, choice)
    tuned = reached[0][choice.stages - 1]
    if len(folds) > 1:
        took *= HEADS_SHARE if choice.stages == 1 else 1.0
        steps = round(min(1.0, budget.left() / took) * steps)  # fewer where the machine was slow
        tuned = tuning.lasting(max(2, steps)).trained(stages=choice.stages)[-1]
    weights = mixed(tuning.start, tuned, choice.share)
    leave(tuning, weights, replace(choice, setting=setting), steps, base, found[choice])


def _seconds_to_judge(tuning: Tuning, fold: Fold) -> float:
    """Seconds that judging one image takes, once everything that it needs is compiled."""
    model, times = tuning.model(tuning.start), []
    for _ in range(2):
        began = time.monotonic()
        found_by(model, fold.judged[:1], _seeds(tuning))
        times.append(time.monotonic() - began)
    return min(times)


def _at_size(tuning: Tuning, folds: Sequence[Fold]) -> tuple[Tuning, list[Tally]]:
    """The start at the size at which it sees the images from now on, and what it finds so."""
    judged = [sample for fold in folds for sample in fold.judged]

    def found_so(tuning: Tuning) -> list[Tally]:
        [tallies] = found_by(tuning.model(tuning.start), judged).values()
        return tallies

    diameter = float(np.median(tuning.material.index.diameter))
    shown = tuning.config.diameter
    spec, base = sized(tuning.spec, diameter, shown, lambda spec: found_so(tuning.used_so(spec)))
    return tuning.used_so(spec), base


def _judged(
    tuning: Tuning,
    folds: Sequence[Fold],
    reached: Reached,
    share: float,
    stages: int,
    seeds: Sequence[float] = (),
    others: Sequence[tuple[float, int]] = (),
) -> Found:
    """What a mixture finds in the images that it did not learn from; all seed thresholds if none
    is given."""
    each = []
    for fold, weights in zip(folds, reached, strict=True):
        model = tuning.model(mixed(tuning.start, weights[stages - 1], share))
        each.append(found_by(model, fold.judged, seeds or _seeds(tuning), others))
    return joined(each)


def _others_chosen(
    tuning: Tuning, folds: Sequence[Fold], reached: Reached, choice: Choice
) -> Setting:
    """The setting of a choice, with other than its seed threshold where that is better beyond
    chance."""
    own, sizes = choice.setting, {choice.setting.min_size, tuning.smallest}
    thresholds = sorted({*FOREGROUND_THRESHOLDS, own.foreground_threshold})
    others = [(f, m) for f in thresholds for m in sorted(sizes)]
    seeds = [own.seed_threshold]
    found = _judged(tuning, folds, reached, choice.share, choice.stages, seeds, others)
    best = max(found, key=lambda setting: ap(found[setting]))
    return best if is_better(found[best], found[own]) else own


def _seeds(tuning: Tuning) -> list[float]:
    return sorted({*SEED_THRESHOLDS, tuning.spec.seed_threshold})


def _setting(tuning: Tuning) -> Setting:
    spec = tuning.spec
    return Setting(spec.seed_threshold, spec.foreground_threshold, spec.min_size)
