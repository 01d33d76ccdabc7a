"""The whole of a careful run, from few images to a model; the folder says how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spatialembed.console.output import console, warn
from spatialembed.data.data_set import Problem
from spatialembed.data.images.spacing import Spacing, in_words, unlike
from spatialembed.inference.loading import load_network
from spatialembed.training.config import TrainConfig
from spatialembed.training.few_images.budget import Budget
from spatialembed.training.few_images.careful import careful
from spatialembed.training.few_images.evidence import Tally, ap
from spatialembed.training.few_images.folds import Fold, folds_of
from spatialembed.training.few_images.judging import found_by
from spatialembed.training.few_images.outcome import keep
from spatialembed.training.few_images.start_size import sized
from spatialembed.training.few_images.tuning import Tuning
from spatialembed.training.few_images.ways import begin_anew, go_on
from spatialembed.training.open_sets import unused_holdout
from spatialembed.training.prepare import Material, build_network, gather
from spatialembed.training.run import Best, Run, connect

LOST = 0.1
"""AP below which a start finds next to nothing of what it is shown."""


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
    warn(_flatter_or_longer(config.data, material.spec.spacing, start.spacing))
    dealt_out = f"has few {material.train.things}, which careful training deals out itself"
    warn(unused_holdout(config, config.data, dealt_out))
    weights = Best.of(build_network(config, material), start).weights
    tuning = Tuning.of(config, material, fabric, start, weights, run_stage)
    console.print(
        f"few {tuning.things}: learning carefully from {config.init}, no further than helps on "
        f"{tuning.things} that are held back (--careful false trains by the recipe)",
        soft_wrap=True,
    )
    folds = _folds(material)
    if not folds:
        keep(tuning, "one object cannot tell whether training helps; give more")
        return
    budget = Budget.of(stages, len(material.index), began, len(folds))
    folds = budget.thinned(folds, _seconds_to_judge(tuning, folds[0]))
    tuning, base = _at_size(tuning, folds)
    (go_on if ap(base) >= LOST else begin_anew)(tuning, folds, budget, base)


def _flatter_or_longer(data: Path, spacing: Spacing | None, start: Spacing | None) -> list[Problem]:
    """A warning where the start was trained on voxels of other proportions."""
    if spacing is None or start is None or not unlike(spacing, start):
        return []
    note = (
        f"its voxels are {in_words(spacing)}, those that the start learned from {in_words(start)}, "
        "so that objects look flatter or longer than it knows them: resample to such proportions"
    )
    return [Problem(data, note, warning=True)]


def _folds(material: Material) -> list[Fold]:
    samples = [material.train[i] for i in range(len(material.train))]
    if material.val is material.train:
        return folds_of(samples)
    return [Fold(tuple(samples), tuple(material.val[i] for i in range(len(material.val))))]


def _seconds_to_judge(tuning: Tuning, fold: Fold) -> float:
    """Seconds that judging one image takes, once everything that it needs is compiled."""
    model, times = tuning.model(tuning.start), []
    for _ in range(2):
        began = time.monotonic()
        found_by(model, fold.judged[:1], tuning.seeds)
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
    if spec != tuning.spec:
        before = "what it finds out" if tuning.spec.finds_size else f"{tuning.spec.zoom:g}"
        console.print(
            f"your objects are about {diameter:.0f} pixels wide: {tuning.things} are shown to it "
            f"at {spec.zoom:g} times their size, no more at {before}",
            soft_wrap=True,
        )
    return tuning.used_so(spec), base
