"""Training: one plain loop over the steps of all stages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from spatialembed.console import warn
from spatialembed.errors import UserError
from spatialembed.models import freeze_batch_norm_statistics
from spatialembed.models.checkpoint import MODEL_FILE
from spatialembed.training.config import StageConfig, TrainConfig
from spatialembed.training.judge import finish, judge
from spatialembed.training.prepare import gather
from spatialembed.training.processes import must_start, run_in_processes
from spatialembed.training.resume import checkpoint_path, load_checkpoint, resumed_config
from spatialembed.training.run import Run, connect, start
from spatialembed.training.schedule import learning_rate, validation_steps
from spatialembed.training.step import advance, batches

CHECKPOINT_EVERY = 300.0
"""Most seconds of training that a kill may cost."""


def train(config: TrainConfig) -> Path:
    """Train a model; see :class:`TrainConfig`.

    Leaves in the run folder: ``model.safetensors``, the best model by validation with its
    calibrated thresholds; ``checkpoint.pt`` to resume from; ``losses.csv``, ``validation.csv``;
    ``pictures/`` of validation images.

    With ``config.devices`` above 1 the run takes place in processes of its own, as
    :mod:`multiprocessing` starts them: a script calls this below ``if __name__ == "__main__":``.

    Returns:
        The run folder.

    Raises:
        UserError: bad data or options, a run that is already there, nothing to resume, a loss
            or gradient that is not finite (the message names the images of its batch), a process
            that was killed.
    """
    began = time.monotonic()
    _refuse_to_overwrite(config)
    state = load_checkpoint(config.out) if config.resume else None
    if state is not None:
        config = resumed_config(state, config)
    if must_start(config):
        config.scheduled()  # refuses once what every process would
        run_in_processes(train, config)
        return config.out
    fabric = connect(config)
    with fabric.rank_zero_first():  # which writes the index of objects that the others read
        material = gather(config)
    if fabric.is_global_zero:
        warn(material.warnings)
    run = start(config, material, fabric, began, state)
    while run.step < run.plan.total:
        _run_stage(run)
    finish(run)
    return config.out


def _run_stage(run: Run) -> None:
    """All steps of the stage that the run is in that are not done yet."""
    number, done = run.plan.locate(run.step)
    stage, steps = run.material.stages[number], run.plan.steps[number]
    network, optimizer = run.wrapped, _optimizer(run, stage)
    judge_at = validation_steps(stage, steps)
    cropper = run.material.cropper(stage, run.config.seed)
    first = run.plan.crops_before(run.step, run.material.stages)
    count = (steps - done) * stage.batch_size
    ranks = run.fabric.global_rank, run.fabric.world_size
    for batch in batches(cropper, stage.batch_size, first, count, run.config.workers, *ranks):
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
        run.log.step(run.step, rate, stage.batch_size, terms)
        if done in judge_at:
            judge(run)
        if done in judge_at or time.monotonic() - run.saved > CHECKPOINT_EVERY:
            run.save(None if done == steps else optimizer)


def _optimizer(run: Run, stage: StageConfig) -> Any:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer: Any = kinds[run.config.optimizer](
        run.network.parameters(), lr=stage.learning_rate, weight_decay=run.config.weight_decay
    )
    optimizer = run.fabric.setup_optimizers(optimizer)
    if run.optimizer is not None:
        optimizer.load_state_dict(run.optimizer)
        run.optimizer = None
    return optimizer


def _refuse_to_overwrite(config: TrainConfig) -> None:
    for file in (config.out / MODEL_FILE, checkpoint_path(config.out)):
        if file.exists() and not config.resume:
            raise UserError(f"{file} is there already: add --resume, or choose another --out")
