"""How fast a run with minutes goes, and the one time that its plan is set right by that."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from spatialembed.training.config import StageConfig
from spatialembed.training.schedule import Plan

CALIBRATION = 3
"""Validations that calibration takes the time of: the network runs once, clustering often."""

SHARE, FEWEST = 0.1, 10
"""Share of the steps after which a plan is measured again, and steps that are fewest for that."""

ENOUGH = 3
"""Fewest steps to measure by."""

SAME = 0.05
"""Change of the number of steps, as a share, that is not worth a new plan."""


def steps_within(
    stages: Sequence[StageConfig],
    number: int,
    step: float,
    validation: float,
    spent: float = 0.0,
    done: int = 0,
    share: float = 1.0,
) -> int:
    """Steps of a stage that fit into its minutes, with its validations and the calibration.

    Args:
        stages: of the run.
        number: of the stage.
        step: seconds of one.
        validation: seconds of one.
        spent: seconds of the stage that are over.
        done: steps of it that are done.
        share: of its validations that are still to come.
    """
    stage = stages[number]
    validations = stage.validations * share + CALIBRATION * (number == len(stages) - 1)
    left = (stage.minutes or 0.0) * 60 - spent - validations * validation
    return done + max(1, int(left / step))


@dataclass
class Pace:
    """What a plan was made by, and how long its steps then take."""

    step: tuple[float, ...]
    """Seconds of a step of each stage, as planned; 0 of those that are not in minutes."""
    validation: float
    """Seconds of a validation, as planned."""
    stage: int
    """The first stage in minutes, which is looked at."""
    at: int
    """Steps of that stage after which the plan is measured again."""
    spent: float = 0.0
    """Seconds of that stage until this process took it up."""
    counted: int = 0
    """Steps that were timed."""
    stepping: float = 0.0
    """Seconds that these took."""
    since: float = field(default_factory=time.monotonic)
    """When this process took the stage up."""
    _last: float | None = None

    @classmethod
    def of(
        cls,
        plan: Plan,
        stages: Sequence[StageConfig],
        step: tuple[float, ...],
        validation: float,
        began: float,
    ) -> Pace | None:
        """That of a new plan; None where nothing is in minutes, or too little to measure by."""
        timed = [number for number, stage in enumerate(stages) if stage.minutes is not None]
        if not timed:
            return None
        total = sum(plan.steps[number] for number in timed)
        at = min(max(math.ceil(total * SHARE), FEWEST), plan.steps[timed[0]] - 1)
        return cls(step, validation, timed[0], at, since=began) if at > ENOUGH else None

    @classmethod
    def resumed(cls, state: dict[str, Any] | None) -> Pace | None:
        """Go on from :meth:`state`."""
        return None if state is None else cls(**{**state, "step": tuple(state["step"])})

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        own = asdict(self) | {"spent": self._spent(), "step": list(self.step)}
        return {name: value for name, value in own.items() if name not in ("since", "_last")}

    def enter(self, number: int, done: int) -> None:
        """Take note that the run goes on with a stage, ``done`` of whose steps are done."""
        self._last = None
        if number == self.stage > 0 and done == 0:
            self.since = time.monotonic()

    def tick(self) -> None:
        """Take note of a step that is done."""
        now = time.monotonic()
        if self._last is not None:
            self.counted += 1
            self.stepping += now - self._last
        self._last = now

    def pause(self) -> None:
        """Leave what was done since the last step out of the next one's time."""
        self._last = time.monotonic()

    def is_due(self, number: int, done: int) -> bool:
        """Whether the plan is to be measured again, once."""
        return number == self.stage and done >= self.at and self.counted >= ENOUGH

    def plan(self, plan: Plan, stages: Sequence[StageConfig], done: int) -> tuple[Plan, float]:
        """The plan with the times that the steps really take, and seconds of one.

        It is the same where it would hardly change.
        """
        one = self.stepping / self.counted
        slower = one / self.step[self.stage]
        steps = list(plan.steps)
        for number, seconds in enumerate(self.step):
            if stages[number].minutes is None:
                continue
            here = (self._spent(), done, 1 - done / steps[number])
            steps[number] = steps_within(
                stages,
                number,
                seconds * slower,
                self.validation * slower,
                *(here if number == self.stage else ()),
            )
        new = Plan(tuple(steps))
        return (plan if abs(new.total / plan.total - 1) < SAME else new), one

    def _spent(self) -> float:
        return self.spent + time.monotonic() - self.since
