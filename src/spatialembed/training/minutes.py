"""Turns minutes into a number of steps, by timing the first ones on a throw-away copy.

What else the machine had to do meanwhile makes such a plan wrong: once, after a tenth of the steps,
it is set right by what they really took.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from spatialembed.console.output import console
from spatialembed.data.targets import each_of
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.training.config import TrainConfig
from spatialembed.training.graphed import Graphed
from spatialembed.training.prepare import Material
from spatialembed.training.schedule import Plan, validation_steps
from spatialembed.training.stage_config import StageConfig
from spatialembed.training.step import advance, batches, workers_of
from spatialembed.training.upload import uploaded
from spatialembed.training.validation import validate

WARMUP_STEPS, TIMED_STEPS = 3, 9
"""Steps that warm caches and compile kernels, and steps timed after them."""

LEAST_SHARE = 0.5
"""Of the minutes left, what steps have in any case.

Validations are timed with a network of random weights, whose outputs are slow to cluster: on a GPU
three of them were planned to fill 5.6 minutes, which left one step, and took a third of that.
"""

FEW_STEPS = 50
TIMED_IMAGES = 5
PICTURES = 1.1
"""A validation's time with its pictures over that without."""

CALIBRATION = 3
"""Validations that calibration takes the time of: the network runs twice, clustering often."""

SHARE, FEWEST = 0.1, 10
"""Share of the steps after which a plan is measured again, and steps that are fewest for that."""

ENOUGH = 3
"""Fewest steps to measure by."""

SAME = 0.05
"""Change of the number of steps, as a share, that is not worth a new plan."""


def measured_plan(
    config: TrainConfig,
    material: Material,
    fabric: Fabric,
    network: nn.Module,
    loss: SpatialEmbeddingLoss,
    began: float,
) -> tuple[Plan, Pace | None]:
    """Steps of each stage, from its epochs, its steps or its minutes; and what these were by, None
    where nothing is in minutes or there are too few steps to measure by.

    Minutes count from ``began`` (a ``time.monotonic()``) and hold validations and calibration.
    """
    stages = material.stages
    timed = [number for number, stage in enumerate(stages) if stage.minutes is not None]
    seconds, judging, steps = [0.0] * len(stages), 0.0, []  # of a step; of a validation
    if timed:
        console.print("Timing the first steps, to turn minutes into a number of steps")
        judging = _seconds_per_validation(material, fabric, network)
    for number in timed:
        stage = stages[number]
        seconds[number] = seconds_per_step(config, material, stage, fabric, network, loss)
    measured = [*seconds, judging, time.monotonic() - began]
    *seconds, judging, spent = fabric.broadcast(measured)  # of the first process
    for number, stage in enumerate(stages):
        if stage.minutes is None:
            crops = (stage.epochs or 0) * (stage.crops_per_epoch or len(material.index))
            steps.append(stage.steps or max(1, round(crops / stage.batch_size)))
            continue
        before = spent if number == 0 else 0.0
        steps.append(steps_within(stages, number, seconds[number], judging, before))
        console.print(
            f"{stage.minutes:g} minutes: {steps[-1]} steps of {seconds[number]:.2f} s, validations "
            f"of {judging:.0f} s: {len(validation_steps(stage, steps[-1]))}",
            highlight=False,
        )
        if steps[-1] < FEW_STEPS:
            console.print(
                "So few steps teach a network little: give more minutes, ask the recipe for fewer "
                "validations, or start again when the machine has less else to do",
                highlight=False,
            )
    at = max(math.ceil(SHARE * sum(steps[number] for number in timed)), FEWEST)
    at = min(at, steps[timed[0]] - 1) if timed else 0
    pace = Pace(seconds, judging, timed[0], at, since=began) if at > ENOUGH else None
    return Plan(tuple(steps)), pace


def seconds_per_step(
    config: TrainConfig,
    material: Material,
    stage: StageConfig,
    fabric: Fabric,
    network: nn.Module,
    loss: SpatialEmbeddingLoss,
) -> float:
    """Median time from one step of a stage to the next, the wait for crops included, on a copy."""
    copied = copy.deepcopy(network).train()
    on_gpu = fabric.device.type == "cuda"
    adam = torch.optim.Adam(copied.parameters(), lr=0.0, fused=on_gpu or None)
    model, optimizer = fabric.setup(copied, adam)
    count = (WARMUP_STEPS + TIMED_STEPS) * stage.batch_size
    cropper = material.cropper(stage, config.seed)
    times = []
    ranks = fabric.global_rank, fabric.world_size
    workers = workers_of(config, fabric.device)
    drawn = batches(cropper, stage.batch_size, 0, count, workers, *ranks, on_gpu)
    # Dropout draws from the device's generator, too; the run must not notice.
    with (
        torch.random.fork_rng([fabric.device] if on_gpu else []),
        Graphed(fabric, model, stage, material.spec.in_channels) as called,
    ):
        for batch in uploaded(drawn, fabric.device):
            advance(fabric, called, optimizer, loss, batch, config.clip_norm)
            if on_gpu:
                torch.cuda.synchronize(fabric.device)
            times.append(time.monotonic())
    # Not the mean, which one step that waited for the machine would decide.
    return float(np.median(np.diff(times[WARMUP_STEPS - 1 :])))


def _seconds_per_validation(material: Material, fabric: Fabric, network: nn.Module) -> float:
    """Time to validate on all images, which the processes share, from a few of them."""
    total = 0.0
    models = Model(TorchNetwork(network), material.spec).each()
    for model, val in zip(models, each_of(material.val), strict=True):
        last = len(val) - 1
        times = []
        for i in np.linspace(0, last, min(TIMED_IMAGES, last + 1)).astype(int):
            start = time.monotonic()
            sizes = None if material.diameters is None else [material.diameters[int(i)]]
            validate(model, [val[int(i)]], diameters=sizes)
            times.append(time.monotonic() - start)
        images = math.ceil(len(val) / fabric.world_size)
        total += float(np.mean(times[1:] or times)) * images * PICTURES
    return total


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

    ``step`` and ``validation`` are seconds of one, ``spent`` those of the stage that are over with
    ``done`` steps and all but a ``share`` of the validations. Steps have :data:`LEAST_SHARE` of the
    time that is left however long validations may take, which then end later than the minutes.
    """
    stage = stages[number]
    left = (stage.minutes or 0.0) * 60 - spent
    for asked in range(stage.validations, 0, -1):
        validations = asked * share + CALIBRATION * (number == len(stages) - 1)
        stepping = max(left - validations * validation, LEAST_SHARE * left)
        steps = done + max(1, int(stepping / step))
        if len(validation_steps(stage, steps)) >= asked:
            break
    return steps


@dataclass
class Pace:
    """What a plan was made by, and how long its steps then take."""

    step: list[float]
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

    def state(self) -> dict[str, Any]:
        """For a checkpoint: what another is made of."""
        own = asdict(self) | {"spent": self._spent()}
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
            times = seconds * slower, self.validation * slower
            steps[number] = steps_within(
                stages, number, *times, *(here if number == self.stage else ())
            )
        new = Plan(tuple(steps))
        return (plan if abs(new.total / plan.total - 1) < SAME else new), one

    def _spent(self) -> float:
        return self.spent + time.monotonic() - self.since
