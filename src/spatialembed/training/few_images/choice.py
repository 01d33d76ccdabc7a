"""Chooses how far to go from the start: the least that is as good as any on images held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spatialembed.training.few_images.evidence import FEWEST_IMAGES, Tally, ap, is_better
from spatialembed.training.validation import Setting

NEAR = 1.2
"""Standard errors that the best one leads by where it is not alone; one object is within them."""


HALF = 0.5
"""Share of the best one's gain that is enough on one or two images."""


@dataclass(frozen=True)
class Choice:
    """A model on the way from the start.

    Attributes:
        share: of the trained weights in the mixture with the start's, in [0, 1].
        stages: how many stages of the training are gone through.
        setting: what it is clustered with.
    """

    share: float
    stages: int
    setting: Setting


def choose(found: Mapping[Choice, Sequence[Tally]]) -> Choice:
    """The nearest to the start of those that are about as good as the best one.

    The start itself, the one choice whose share is 0, unless others are better beyond chance
    (:func:`is_better`). Of these, those are about as good as the best one that it is not better
    than by more than about one standard error. One or two images speak for few others, on which a
    model may lose what it gains on these: there half of the best one's gain is enough.

    Args:
        found: of every choice what it found in each image.
    """
    [start] = (choice for choice in found if choice.share == 0)
    better = [c for c in found if c is not start and is_better(found[c], found[start])]
    if not better:
        return start
    best = max(better, key=lambda choice: ap(found[choice]))
    good = [c for c in better if _is_enough(found[c], found[best], found[start])]
    return min(good, key=lambda choice: _distance(choice, start))


def _is_enough(one: Sequence[Tally], best: Sequence[Tally], start: Sequence[Tally]) -> bool:
    if not is_better(best, one, NEAR):
        return True
    return len(start) < FEWEST_IMAGES and ap(one) - ap(start) >= HALF * (ap(best) - ap(start))


def _distance(choice: Choice, start: Choice) -> tuple[float, int, float]:
    moved = abs(choice.setting.seed_threshold - start.setting.seed_threshold)
    return choice.share, choice.stages, moved
