"""How much of a careful run's length goes into training, and how much into judging."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spatialembed.training.few_images.folds import Fold
from spatialembed.training.stage_config import StageConfig, whole_length

JUDGING = 0.3
"""Share of the minutes that judging may take."""

CANDIDATES = ((1.0, 2), (0.5, 2), (1.0, 1), (0.75, 2), (0.5, 1))
"""Share of the trained weights in the mixture, and stages gone through: the first ones are judged
where time is short."""

FEWEST, MOST_IMAGES = 3, 30
"""Candidates that are judged at least, and images that judge them at most, in each fold."""

SETTINGS = 1.5
"""Judgements of one candidate that the choice of its settings takes the time of."""


@dataclass
class Budget:
    """The length of a run, in seconds or in steps; the other one is None.

    Attributes:
        began: ``time.monotonic()`` at the start of the run.
        trainings: of equal length that the run has.
        candidates: mixtures that are judged.
        judging: seconds that judging one of them takes.
    """

    seconds: float | None
    steps: float | None
    began: float
    trainings: int
    candidates: int = len(CANDIDATES)
    judging: float = 0.0

    @classmethod
    def of(
        cls, stages: Sequence[StageConfig], objects: int, began: float, trainings: int
    ) -> Budget:
        """That of a run of these stages.

        Raises:
            UserError: lengths in different units.
        """
        whole = whole_length(stages)
        if stages[0].minutes is not None:
            return cls(60 * whole, None, began, trainings)
        if stages[0].epochs is not None:
            crops = [
                (s.epochs or 0) * (s.crops_per_epoch or objects) / s.batch_size for s in stages
            ]
            return cls(None, sum(crops), began, trainings)
        return cls(None, whole, began, trainings)

    def thinned(self, folds: Sequence[Fold], image: float) -> list[Fold]:
        """The folds with as many judging images as the time is for, and sets ``candidates`` so.

        ``image`` is how many seconds it takes to judge one.
        """
        judged = max(len(fold.judged) for fold in folds)
        if self.seconds is None:
            return [fold.thinned(MOST_IMAGES) for fold in folds]
        room = JUDGING * self.seconds / (image * len(folds))
        images = min(judged, MOST_IMAGES, max(1, int(room / (FEWEST + SETTINGS))))
        self.candidates = min(len(CANDIDATES), max(FEWEST, int(room / images - SETTINGS)))
        self.judging = images * len(folds) * image
        return [fold.thinned(images) for fold in folds]

    def steps_of_one(self, step: Callable[[], float]) -> int:
        """Steps of one training; ``step`` measures how many seconds one takes."""
        if self.seconds is None:
            return max(2, int((self.steps or 0) / self.trainings))
        one = step()
        left = self.left((self.candidates + SETTINGS) * self.judging)
        return max(2, int(left / self.trainings / one))

    def left(self, without: float = 0.0) -> float:
        """Seconds that are left, without some that are spoken for; no limit for a run in steps."""
        if self.seconds is None:
            return float("inf")
        return max(0.0, self.seconds - (time.monotonic() - self.began) - without)
