"""How long a stage is, and its learning rate at each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spatialembed.training.stage_config import StageConfig

APART = 200
"""Fewest steps between two validations of a stage whose length is given in minutes.

A validation of the 67 images of DSB2018 takes two cores as long as 40 steps of the recipe
``nuclei``: three of them, and calibration, were 78 of 135 seconds.
"""


@dataclass(frozen=True)
class Plan:
    """Number of steps of each stage, fixed at the start of a run and stored with it."""

    steps: tuple[int, ...]

    @property
    def total(self) -> int:
        """Steps of all stages."""
        return sum(self.steps)

    def locate(self, step: int) -> tuple[int, int]:
        """Stage, and step within it, of the run's step ``step`` (both from 0)."""
        for stage, steps in enumerate(self.steps):
            if step < steps:
                return stage, step
            step -= steps
        return len(self.steps), 0

    def crops_before(self, step: int, stages: list[StageConfig]) -> int:
        """Crops drawn before ``step``: the number of the next one in the run."""
        stage, done = self.locate(step)
        earlier = zip(self.steps[:stage], stages, strict=False)
        before = sum(steps * config.batch_size for steps, config in earlier)
        return before + (done * stages[stage].batch_size if stage < len(stages) else 0)


def learning_rate(stage: StageConfig, step: int, steps: int) -> float:
    """Learning rate of a stage's step ``step`` (from 0) of ``steps``."""
    warmup = min(stage.warmup_steps, steps // 10)
    left = 1 - step / steps
    factor: float = {
        "polynomial": left**0.9,
        "cosine": (1 + math.cos(math.pi * (1 - left))) / 2,
        "constant": 1.0,
    }[stage.decay]
    return stage.learning_rate * factor * min(1.0, (step + 1) / (warmup + 1))


def validation_steps(stage: StageConfig, steps: int) -> set[int]:
    """Steps of a stage (counted from 1) after which it is validated; the last is its end."""
    count = min(stage.validations, steps)
    if stage.minutes is not None:
        count = min(count, max(1, steps // APART))
    return {math.ceil(steps * (k + 1) / count) for k in range(count)}
