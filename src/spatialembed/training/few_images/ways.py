"""The two ways to learn from few images: on from what is known, or anew where that is little."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from spatialembed.console.output import console
from spatialembed.training.calibrate import FOREGROUND_THRESHOLDS
from spatialembed.training.few_images.budget import CANDIDATES, Budget
from spatialembed.training.few_images.careful import bold
from spatialembed.training.few_images.choice import Choice, choose
from spatialembed.training.few_images.evidence import Tally, ap, is_better
from spatialembed.training.few_images.folds import Fold
from spatialembed.training.few_images.judging import judged
from spatialembed.training.few_images.mixture import Weights, mixed
from spatialembed.training.few_images.outcome import keep, leave
from spatialembed.training.few_images.tuning import Tuning
from spatialembed.training.validation import Setting

FEWEST_STEPS = 30
"""Of a training that teaches something."""

LITTLE = 0.5
"""AP below which a start finds so little of what it is shown that larger steps teach it more."""


def go_on(tuning: Tuning, folds: Sequence[Fold], budget: Budget, base: Sequence[Tally]) -> None:
    """Train from each part; choose a mixture by the other ones; mix the mean of what was learned.

    Args:
        tuning: the start.
        folds: two, or one whose images that judge are not to be learned from.
        budget: the run's length.
        base: what the start finds in the images that judge.
    """
    if ap(base) < LITTLE:
        tuning = tuning.in_stages(bold(tuning.config.stages))
    tuning, steps = _timed(tuning, budget)
    reached = [_trained(tuning, folds, number, budget) for number in range(len(folds))]
    found = {Choice(0.0, 0, tuning.setting): base}
    for share, stages in CANDIDATES[: budget.candidates]:
        trained = [weights[stages - 1] for weights in reached]
        for setting, tallies in judged(tuning, folds, trained, share).items():
            found[Choice(share, stages, setting)] = tallies
    choice = choose(found)
    if choice.share == 0:
        best = max(found.values(), key=ap)
        keep(tuning, f"your {tuning.things} do not show that training makes it better", base, best)
        return
    trained = [weights[choice.stages - 1] for weights in reached]
    setting = _others_chosen(tuning, folds, trained, choice)
    # Those that judged a part have not learned from it; their mean knows both parts.
    weights = mixed(tuning.start, mixed(trained[0], trained[-1], 0.5), choice.share)
    steps *= len(folds)
    leave(tuning, weights, replace(choice, setting=setting), steps, base, found[choice])


def begin_anew(
    tuning: Tuning, folds: Sequence[Fold], budget: Budget, base: Sequence[Tally]
) -> None:
    """Train all weights from one part, choose by the other, and go on from all images.

    Where the start finds next to nothing there is nothing to keep, and no time to lose. What it
    knows of outlines and textures helps all the same. Arguments are as in :func:`go_on`.
    """
    console.print(
        f"it finds next to nothing in these {tuning.things}: all of it is trained, in larger steps",
        soft_wrap=True,
    )
    budget.candidates = 1
    tuning = tuning.in_stages(bold(tuning.config.stages)[-1:])
    tuning, steps = _timed(tuning, budget)
    fold, began = folds[0], time.monotonic()
    [trained] = _trained(tuning, folds, 0, budget)
    took = time.monotonic() - began
    found = judged(tuning, [fold], [trained])
    base = base[: len(fold.judged)]
    setting = max(found, key=lambda setting: (ap(found[setting]), setting.seed_threshold))
    if ap(found[setting]) <= ap(base):
        keep(tuning, "training taught it nothing in this time; give more minutes", base, base)
        return
    choice = Choice(1.0, 1, setting)
    setting = _others_chosen(tuning, [fold], [trained], choice)
    if len(folds) > 1:
        more = max(2, round(min(1.0, budget.left() / took) * steps))
        console.print(f"training 2 of 2: on from there, from all {tuning.things}")
        [trained] = replace(tuning.lasting(more), start=trained).trained()
        steps += more
    leave(tuning, trained, replace(choice, setting=setting), steps, base, found[choice.setting])


def _trained(tuning: Tuning, folds: Sequence[Fold], number: int, budget: Budget) -> list[Weights]:
    """The weights after each stage of a training from what one fold learns from."""
    if len(folds) == 1:  # validation images judge: all others are learned from
        return tuning.trained()
    console.print(f"training {number + 1} of {budget.trainings}: from one part, the other judges")
    return tuning.trained(folds[number].learned)


def _timed(tuning: Tuning, budget: Budget) -> tuple[Tuning, int]:
    """With trainings as long as there is time for, and their number of steps."""
    tuning = tuning.lasting(2)  # a step is timed as the last stage has it
    steps = budget.steps_of_one(tuning.seconds_per_step)
    trainings = f"{budget.trainings} trainings" if budget.trainings > 1 else "one training"
    console.print(f"{trainings} of {steps} steps on {tuning.fabric.device}")
    if budget.steps is not None and steps * budget.trainings > budget.steps:
        console.print(f"that is more than the {budget.steps:g} asked for: none has less than 2")
    if steps < FEWEST_STEPS:
        console.print("so few steps teach little: give it longer")
    return tuning.lasting(steps), steps


def _others_chosen(
    tuning: Tuning, folds: Sequence[Fold], trained: Sequence[Weights], choice: Choice
) -> Setting:
    """The setting of a choice, with another foreground threshold and minimum size where these are
    better beyond chance."""
    own = choice.setting
    thresholds = sorted({*FOREGROUND_THRESHOLDS, own.foreground_threshold})
    others = [(f, m) for f in thresholds for m in sorted({own.min_size, tuning.smallest})]
    found = judged(tuning, folds, trained, choice.share, [own.seed_threshold], others)
    best = max(found, key=lambda setting: ap(found[setting]))
    return best if is_better(found[best], found[own]) else own
