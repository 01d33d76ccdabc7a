"""Turns minutes into a number of steps, by timing the first ones on a throw-away copy.

What else the machine had to do meanwhile makes such a plan wrong: pace.py measures it again.
"""

from __future__ import annotations

import copy
import math
import time

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from spatialembed.console.output import console
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.training.config import StageConfig, TrainConfig
from spatialembed.training.pace import Pace, steps_within
from spatialembed.training.prepare import Material
from spatialembed.training.schedule import Plan
from spatialembed.training.step import advance, batches
from spatialembed.training.validation import validate

WARMUP_STEPS, TIMED_STEPS = 3, 9
"""Steps that warm caches and compile kernels, and steps timed after them."""

FEW_STEPS = 50
TIMED_IMAGES = 5
PICTURES = 1.1
"""A validation's time with its pictures over that without."""


def measured_plan(
    config: TrainConfig,
    material: Material,
    fabric: Fabric,
    network: nn.Module,
    loss: SpatialEmbeddingLoss,
    began: float,
) -> tuple[Plan, Pace | None]:
    """Steps of each stage, from its epochs, its steps or its minutes; and what these were by.

    Minutes count from ``began`` (a ``time.monotonic()``) and hold validations and calibration.
    """
    stages = material.stages
    seconds = [0.0] * len(stages)  # of a step, then of a validation
    judging = 0.0
    if any(stage.minutes is not None for stage in stages):
        console.print("Timing the first steps, to turn minutes into a number of steps")
        judging = _seconds_per_validation(material, fabric, network)
    for number, stage in enumerate(stages):
        if stage.minutes is not None:
            seconds[number] = _seconds_per_step(config, material, stage, fabric, network, loss)
    *seconds, judging = fabric.broadcast([*seconds, judging])  # what the first process measured
    spent = fabric.broadcast(time.monotonic() - began)
    steps = []
    for number, stage in enumerate(stages):
        if stage.minutes is None:
            crops = (stage.epochs or 0) * (stage.crops_per_epoch or len(material.index))
            steps.append(stage.steps or max(1, round(crops / stage.batch_size)))
            continue
        before = spent if number == 0 else 0.0
        steps.append(steps_within(stages, number, seconds[number], judging, before))
        console.print(
            f"{stage.minutes:g} minutes: {steps[-1]} steps of {seconds[number]:.2f} s and "
            f"{stage.validations} validations of {judging:.0f} s",
            highlight=False,
        )
        if steps[-1] < FEW_STEPS:
            console.print(
                "So few steps teach a network little: give more minutes, ask the recipe for fewer "
                "validations, or start again when the machine has less else to do",
                highlight=False,
            )
    plan = Plan(tuple(steps))
    return plan, Pace.of(plan, stages, tuple(seconds), judging, began)


def _seconds_per_step(
    config: TrainConfig,
    material: Material,
    stage: StageConfig,
    fabric: Fabric,
    network: nn.Module,
    loss: SpatialEmbeddingLoss,
) -> float:
    """Median time from one step to the next, the wait for crops included, on a copy."""
    copied = copy.deepcopy(network).train()
    model, optimizer = fabric.setup(copied, torch.optim.Adam(copied.parameters(), lr=0.0))
    count = (WARMUP_STEPS + TIMED_STEPS) * stage.batch_size
    cropper = material.cropper(stage, config.seed)
    times = []
    ranks = fabric.global_rank, fabric.world_size
    on_gpu = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(on_gpu):  # dropout draws from it; the run must not notice
        for batch in batches(cropper, stage.batch_size, 0, count, config.workers, *ranks):
            advance(fabric, model, optimizer, loss, batch, config.clip_norm)
            times.append(time.monotonic())
    return float(np.median(np.diff(times[WARMUP_STEPS - 1 :])))


def _seconds_per_validation(material: Material, fabric: Fabric, network: nn.Module) -> float:
    """Time to validate on all images, which the processes share, from a few of them."""
    model = Model(TorchNetwork(network), material.spec)
    last = len(material.val) - 1
    times = []
    for i in np.linspace(0, last, min(TIMED_IMAGES, last + 1)).astype(int):
        start = time.monotonic()
        validate(model, [material.val[int(i)]])
        times.append(time.monotonic() - start)
    images = math.ceil(len(material.val) / fabric.world_size)
    return float(np.mean(times[1:] or times)) * images * PICTURES
