"""Training: one plain loop over the steps of all stages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from spatialembed.errors import UserError
from spatialembed.models import freeze_batch_norm_statistics
from spatialembed.models.checkpoint import MODEL_FILE
from spatialembed.training.config import StageConfig, TrainConfig
from spatialembed.training.judge import finish, judge
from spatialembed.training.prepare import gather
from spatialembed.training.resume import checkpoint_path, load_checkpoint, resumed_config
from spatialembed.training.run import Run, start
from spatialembed.training.schedule import learning_rate, validation_steps
from spatialembed.training.step import advance, batches

CHECKPOINT_EVERY = 300.0
"""Most seconds of training that a kill may cost."""


def train(config: TrainConfig) -> Path:
    """Train a model; see :class:`TrainConfig`.

    Leaves in the run folder: ``model.safetensors``, the best model by validation with its
    calibrated thresholds; ``checkpoint.pt`` to resume from; ``losses.csv``, ``validation.csv``;
    ``pictures/`` of validation images.

    Returns:
        The run folder.

    Raises:
        UserError: bad data or options, a run that is already there, nothing to resume, a loss
            or gradient that is not finite (the message names the images of its batch).
    """
    began = time.monotonic()
    _refuse_to_overwrite(config)
    state = load_checkpoint(config.out) if config.resume else None
    if state is not None:
        config = resumed_config(state, config)
    run = start(config, gather(config), began, state)
    while run.step < run.plan.total:
        _run_stage(run)
    finish(run)
    return config.out


def _run_stage(run: Run) -> None:
    """All steps of the stage that the run is in that are not done yet."""
    number, done = run.plan.locate(run.step)
    stage, steps = run.material.stages[number], run.plan.steps[number]
    network, optimizer = _set_up(run, stage)
    judge_at = validation_steps(stage, steps)
    cropper = run.material.cropper(stage, run.config.seed)
    first = run.plan.crops_before(run.step, run.material.stages)
    count = (steps - done) * stage.batch_size
    for batch in batches(cropper, stage.batch_size, first, count, run.config.workers):
        rate = learning_rate(stage, done, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        network.train()
        if stage.freeze_batch_norm:
            freeze_batch_norm_statistics(network)
        terms = advance(run.fabric, network, optimizer, run.loss, batch, run.config.clip_norm)
        if run.average is not None:
            run.average.update(run.network)
        done += 1
        run.step += 1
        run.log.step(run.step, rate, len(batch.names), terms)
        if done in judge_at:
            judge(run)
        if done in judge_at or time.monotonic() - run.saved > CHECKPOINT_EVERY:
            run.save(None if done == steps else optimizer)


def _set_up(run: Run, stage: StageConfig) -> tuple[Any, Any]:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = kinds[run.config.optimizer](
        run.network.parameters(), lr=stage.learning_rate, weight_decay=run.config.weight_decay
    )
    network, optimizer = run.fabric.setup(run.network, optimizer)
    if run.optimizer is not None:
        optimizer.load_state_dict(run.optimizer)
        run.optimizer = None
    return network, optimizer


def _refuse_to_overwrite(config: TrainConfig) -> None:
    for file in (config.out / MODEL_FILE, checkpoint_path(config.out)):
        if file.exists() and not config.resume:
            raise UserError(f"{file} is there already: add --resume, or choose another --out")
