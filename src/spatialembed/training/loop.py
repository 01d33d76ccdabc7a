"""Training: one plain loop over the steps of all stages."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from spatialembed.console.output import warn
from spatialembed.errors import UserError
from spatialembed.errors.interrupts import interrupt_in, postponed
from spatialembed.files.folder_lock import one_run
from spatialembed.models import freeze_batch_norm_statistics, freeze_encoder
from spatialembed.models.checkpoint import MODEL_FILE
from spatialembed.models.spec import ModelSpec
from spatialembed.training.best_model import finish, judge
from spatialembed.training.config import TrainConfig, without_recipe
from spatialembed.training.few_images.careful import is_careful
from spatialembed.training.few_images.learn import learn_carefully
from spatialembed.training.fingerprint import fingerprint, require_same
from spatialembed.training.graphed import Graphed
from spatialembed.training.limits import deterministic, steps_within_memory
from spatialembed.training.prepare import gather
from spatialembed.training.processes import is_first, must_start, run_in_processes
from spatialembed.training.resume import checkpoint_path, load_checkpoint, resumed_config
from spatialembed.training.run import Run, connect, start
from spatialembed.training.run_log import EVERY
from spatialembed.training.schedule import Plan, learning_rate, validation_steps
from spatialembed.training.stage_config import StageConfig
from spatialembed.training.step import advance, batches, workers_of
from spatialembed.training.unread import Unread
from spatialembed.training.upload import uploaded

STOPPING = "stopping after this step, with a checkpoint; once more stops at once, without"

CHECKPOINT_EVERY = 300.0
"""Most seconds of training that a kill may cost."""


def train(config: TrainConfig) -> Path:
    """Train a model; see :class:`TrainConfig`.

    Leaves in the run folder: ``model.safetensors``, the best model by validation with its
    calibrated thresholds; ``checkpoint.pt`` to resume from; ``losses.csv``, ``validation.csv``;
    ``pictures/`` of validation images. A careful run (training/few_images) leaves the model and
    ``losses.csv`` alone: it is short, and is not resumed.

    With ``config.devices`` above 1 the run takes place in processes of its own, as
    :mod:`multiprocessing` starts them: a script calls this below ``if __name__ == "__main__":``.

    Returns:
        The run folder.

    Raises:
        UserError: bad data or options, a run that is already there, nothing to resume, a loss
            or gradient that is not finite (the message names the images of its batch), a process
            that was killed.
    """
    starts = must_start(config)
    try:
        with one_run(config.out) if starts or is_first(config) else nullcontext():
            if starts:
                taken_up = _taken_up(config)[0]  # refuses once what every process would
                taken_up.scheduled()
                is_careful(taken_up)
                run_in_processes(_train, config)
            else:
                _train(config)
    except BaseException as error:
        if interrupt := interrupt_in(error):
            interrupt.add_note(_how_to_go_on(config.out))
        raise
    return config.out


def _train(config: TrainConfig) -> None:
    """The whole of a run, or the part of one of its processes."""
    began = time.monotonic()
    config, state = _taken_up(config)
    with steps_within_memory(config), deterministic(config):
        if is_careful(config):
            learn_carefully(config, began, _run_stage)
        else:
            _follow(config, state, began)


def _follow(config: TrainConfig, state: dict[str, Any] | None, began: float) -> None:
    """A run by its recipe."""
    fabric = connect(config)
    spec = None if state is None else ModelSpec.from_dict(json.loads(state["spec"]))
    with fabric.rank_zero_first():  # which writes the index of objects that the others read
        material = gather(config, spec)
    data: dict[str, Any] = {}
    if fabric.is_global_zero:
        warn([*material.warnings, *(without_recipe(config) if state is None else ())])
        data["train"] = fingerprint(material.train, material.index)
        data["val"] = fingerprint(material.val, material.judged)
        if state is not None:
            require_same(material.train, "training", state["data"]["train"], data["train"])
            require_same(material.val, "validation", state["data"]["val"], data["val"])
    run = start(config, material, fabric, began, data, state)
    try:
        while run.step < run.plan.total:
            _run_stage(run)
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        raise UserError(
            "a process that draws crops was ended from outside (memory may have run out, or in a "
            "container its shared memory, /dev/shm); --resume goes on from the last checkpoint, "
            "with --workers 0 in this process alone"
        ) from error
    finish(run)


def _run_stage(run: Run) -> None:
    """All steps of the stage that the run is in that are not done yet.

    It ends early where the plan is set right, and is then to be called again.
    """
    stage = run.material.stages[run.plan.locate(run.step)[0]]
    freeze_encoder(run.network, stage.freeze_encoder)
    _set_to_train(run, stage)
    channels = run.material.spec.in_channels
    # Of several processes each would stop at a step of its own.
    can_wait = run.keeps and run.fabric.world_size == 1
    stopping: AbstractContextManager[list[type[KeyboardInterrupt]]] = (
        postponed(lambda: run.log.say(STOPPING)) if can_wait else nullcontext([])
    )
    with Graphed(run.fabric, run.wrapped, stage, channels) as network, stopping as interrupts:
        _take_steps(run, network, interrupts)


def _set_to_train(run: Run, stage: StageConfig) -> None:
    run.wrapped.train()
    if stage.freeze_batch_norm:
        freeze_batch_norm_statistics(run.wrapped)


def _take_steps(run: Run, network: Graphed, interrupts: Sequence[type[KeyboardInterrupt]]) -> None:
    number, done = run.plan.locate(run.step)
    stage, steps = run.material.stages[number], run.plan.steps[number]
    optimizer = _optimizer(run, stage)
    judge_at = validation_steps(stage, steps)
    cropper = run.material.cropper(stage, run.config.seed)
    first = run.plan.crops_before(run.step, run.material.stages)
    count = (steps - done) * stage.batch_size
    ranks = run.fabric.global_rank, run.fabric.world_size
    if run.pace is not None:
        run.pace.enter(number, done)
    on_gpu = run.fabric.device.type == "cuda"
    workers = workers_of(run.config, run.fabric.device)
    unread = Unread(run.fabric, run.log, EVERY if on_gpu else 1)
    drawn = batches(cropper, stage.batch_size, first, count, workers, *ranks, on_gpu)
    for batch in uploaded(drawn, run.fabric.device):
        rate = learning_rate(stage, done, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        told = advance(run.fabric, network, optimizer, run.loss, batch, run.config.clip_norm)
        if run.average is not None:
            run.average.update()
        done += 1
        run.step += 1
        unread.add(run.step, rate, stage.batch_size, told)
        if run.pace is not None:
            run.pace.tick()
        if done in judge_at:
            unread.read()
            if run.keeps:
                judge(run)
                _set_to_train(run, stage)
        if (set_right := done < steps and _set_right(run, number, done)) or interrupts:
            unread.read()
        # Only what all processes do together may read: their clocks differ.
        is_late = not unread and time.monotonic() - run.saved > CHECKPOINT_EVERY
        if set_right or done in judge_at or is_late or interrupts:
            run.save(None if done == steps else optimizer)
            if interrupts:
                raise interrupts[0]
            if run.pace is not None:
                run.pace.pause()
        if set_right:
            run.optimizer = optimizer.state_dict()
            return


def _set_right(run: Run, number: int, done: int) -> bool:
    """Once, whether the plan of a run with minutes changes to what its steps really take."""
    if run.pace is None or not run.pace.is_due(number, done):
        return False
    plan, seconds = run.pace.plan(run.plan, run.material.stages, done)
    steps = tuple(run.fabric.broadcast(plan.steps))  # what the first process measured
    planned, run.pace = run.pace.step[number], None
    if steps == run.plan.steps:
        return False
    run.plan = Plan(steps)
    run.log.total = run.plan.total
    run.log.say(
        f"measured again: a step takes {seconds:.2f} s, was planned with {planned:.2f} s; from now "
        f"on {' + '.join(str(n) for n in steps)} steps"
    )
    return True


def _optimizer(run: Run, stage: StageConfig) -> Any:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    fused = run.fabric.device.type == "cuda" or None  # None is as before there was the choice
    optimizer: Any = kinds[run.config.optimizer](
        run.network.parameters(),
        lr=stage.learning_rate,
        weight_decay=run.config.weight_decay,
        fused=fused,
    )
    optimizer = run.fabric.setup_optimizers(optimizer)
    if run.optimizer is not None:
        for group in run.optimizer["param_groups"]:  # it may have been on another device
            group["fused"] = fused
        optimizer.load_state_dict(run.optimizer)
        run.optimizer = None
    return optimizer


def _taken_up(config: TrainConfig) -> tuple[TrainConfig, dict[str, Any] | None]:
    """The options of a run, and the state that it goes on from, if it is resumed.

    Raises:
        UserError: there is a run already, or none to resume.
    """
    if config.resume:
        state = load_checkpoint(config.out)
        return resumed_config(state, config), state
    if checkpoint_path(config.out).exists():
        raise UserError(
            f"{checkpoint_path(config.out)} is there already: add --resume, or choose another --out"
        )
    if (config.out / MODEL_FILE).exists():
        raise UserError(
            f"{config.out / MODEL_FILE} is there already, without a checkpoint to resume: choose "
            "another --out"
        )
    return config, None


def _how_to_go_on(out: Path) -> str:
    if checkpoint_path(out).exists():
        return "the same command with --resume goes on from the last checkpoint"
    return "there is no checkpoint yet: the same command begins anew"
