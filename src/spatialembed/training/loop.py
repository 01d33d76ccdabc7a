"""Training: prepare, then one plain loop over the steps of all stages."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader

from spatialembed.data.crops import Batch, CropDataset, collate
from spatialembed.errors import UserError
from spatialembed.inference.predictor import Model
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import freeze_batch_norm_statistics
from spatialembed.models.checkpoint import MODEL_FILE, load_model, save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.pictures import explain, save_picture
from spatialembed.training.averaging import WeightAverage
from spatialembed.training.calibrate import calibrate
from spatialembed.training.config import StageConfig, TrainConfig
from spatialembed.training.prepare import Material, build_network, gather, measured_plan
from spatialembed.training.resume import checkpoint_path, load_checkpoint, save_checkpoint
from spatialembed.training.run_log import RunLog
from spatialembed.training.schedule import Plan, learning_rate, validation_steps
from spatialembed.training.validation import validate

PICTURES = 4
"""Validation images that are pictured at each validation."""

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
            that is not finite (the message names the images of its batch).
    """
    began = time.monotonic()
    _refuse_to_overwrite(config)
    material = gather(config)
    fabric = _fabric(config)
    torch.manual_seed(config.seed)
    run = _start(config, material, fabric, began)
    while run.step < run.plan.total:
        _run_stage(run)
    _finish(run)
    return config.out


@dataclass
class _Run:
    """The state of a run."""

    config: TrainConfig
    material: Material
    fabric: Fabric
    network: nn.Module
    loss: SpatialEmbeddingLoss
    average: WeightAverage | None
    plan: Plan
    log: RunLog
    step: int = 0
    best: float = -1.0
    optimizer: dict[str, Any] | None = None  # state to go on with, when resumed within a stage
    saved: float = 0.0  # time of the last checkpoint

    @property
    def judged(self) -> Model:
        """The model that is validated and kept: the averaged one if there is one."""
        network = self.network if self.average is None else self.average.network
        bf16 = str(self.fabric.strategy.precision.precision).startswith("bf16")
        return Model(network, self.material.spec, "bf16" if bf16 else "float32")


def _start(config: TrainConfig, material: Material, fabric: Fabric, began: float) -> _Run:
    """Build everything, from nothing or from the checkpoint."""
    network = build_network(config, material.spec)
    network = network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = WeightAverage(network, config.average) if config.average else None
    loss = SpatialEmbeddingLoss(
        config.n_sigma,
        config.center,
        config.foreground_weight,
        config.instance_weight,
        config.variance_weight,
        config.seed_weight,
        material.spec.pitch,
        config.margin,
    ).to(fabric.device)
    state: dict[str, Any] = {}
    if config.resume:
        state = load_checkpoint(config.out, config, fabric.device)
        network.load_state_dict(state["network"])
        if average is not None:
            average.load_state_dict(state["average"])
        plan = Plan(tuple(state["plan"]))
    else:
        plan = measured_plan(config, material, fabric, network, loss, began)
    step = state.get("step", 0)
    log = RunLog(config.out, plan.total, step, config.tensorboard)
    parameters = sum(p.numel() for p in network.parameters())
    log.say(
        f"{len(material.train)} training and {len(material.val)} validation images, "
        f"{len(material.index)} objects; {config.network}, {parameters:,} parameters; "
        f"{' + '.join(str(n) for n in plan.steps)} steps on {fabric.device}"
        + (f", from step {step}" if step else "")
    )
    best, optimizer = state.get("best", -1.0), state.get("optimizer")
    saved = time.monotonic()
    return _Run(
        config, material, fabric, network, loss, average, plan, log, step, best, optimizer, saved
    )


def _run_stage(run: _Run) -> None:
    """All steps of the stage that the run is in that are not done yet."""
    stage_index, done = run.plan.locate(run.step)
    stage, steps = run.material.stages[stage_index], run.plan.steps[stage_index]
    network, optimizer = _set_up(run, stage)
    judge_at = validation_steps(stage, steps)
    for batch in _batches(run, stage, steps - done):
        rate = learning_rate(stage, done, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        network.train()
        if stage.freeze_batch_norm:
            freeze_batch_norm_statistics(network)
        terms = _step(run, network, optimizer, batch)
        done += 1
        run.step += 1
        run.log.step(run.step, rate, len(batch.names), terms)
        if done in judge_at:
            _judge(run)
        ends = done == steps
        if ends or done in judge_at or time.monotonic() - run.saved > CHECKPOINT_EVERY:
            _save(run, None if ends else optimizer)


def _set_up(run: _Run, stage: StageConfig) -> tuple[Any, Any]:
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = kinds[run.config.optimizer](
        run.network.parameters(), lr=stage.learning_rate, weight_decay=run.config.weight_decay
    )
    network, optimizer = run.fabric.setup(run.network, optimizer)
    if run.optimizer is not None:
        optimizer.load_state_dict(run.optimizer)
        run.optimizer = None
    return network, optimizer


def _batches(run: _Run, stage: StageConfig, steps: int) -> Iterator[Batch]:
    cropper = run.material.cropper(stage, run.config.seed)
    first = run.plan.crops_before(run.step, run.material.stages)
    yield from DataLoader(
        CropDataset(cropper, first, steps * stage.batch_size),  # type: ignore[arg-type]
        batch_size=stage.batch_size,
        num_workers=run.config.workers,
        collate_fn=collate,
    )


def _step(run: _Run, network: Any, optimizer: Any, batch: Batch) -> dict[str, float]:
    """One step of the optimizer; returns the loss's terms."""
    terms = forward(run.fabric, network, run.loss, batch)
    values = {name: float(value.detach()) for name, value in terms.items()}
    if not math.isfinite(values["total"]):
        raise UserError(
            f"the loss is not finite at step {run.step + 1} ({values}) on a batch of "
            f"{', '.join(sorted(set(batch.names)))}; look at these images, or lower the learning "
            f"rate; the last good checkpoint is kept in {run.config.out}"
        )
    optimizer.zero_grad()
    run.fabric.backward(terms["total"])
    if run.config.clip_norm is not None:
        run.fabric.clip_gradients(
            network, optimizer, max_norm=run.config.clip_norm, error_if_nonfinite=False
        )
    optimizer.step()
    if run.average is not None:
        run.average.update(run.network)
    return values


def forward(
    fabric: Fabric, network: Any, loss: SpatialEmbeddingLoss, batch: Batch
) -> dict[str, torch.Tensor]:
    """Terms of the loss of a batch."""
    image, label_mask, class_map, ignore = (fabric.to_device(tensor) for tensor in batch[:4])
    output = network(image.contiguous(memory_format=torch.channels_last))
    terms: dict[str, torch.Tensor] = loss(output, label_mask, class_map, ignore)
    return terms


def _judge(run: _Run) -> None:
    """Validate, keep the model if it is the best so far, and picture some images."""
    began = time.monotonic()
    model = run.judged
    scores = validate(model, run.material.val)
    best = scores.best
    score = float(scores.ap[best].mean())
    setting = scores.settings[best]
    _picture(run, model, setting.seed_threshold)
    improved = score > run.best
    if improved:
        run.best = score
        # Clustered with the threshold of its score until calibration chooses with more care.
        notes = {"step": run.step, "steps": run.plan.total, "validation_ap": score}
        _save_model(run, model, run.material.described(notes, setting.seed_threshold))
    row = {
        "ap": score,
        "ap50": float(scores.ap50[best].mean()),
        "seed_threshold": setting.seed_threshold,
        "images": len(run.material.val),
        "best": int(improved),
    }
    run.log.validation(run.step, row, time.monotonic() - began)


def _picture(run: _Run, model: Model, seed_threshold: float) -> None:
    spec = model.spec
    for i in range(min(PICTURES, len(run.material.val))):
        sample = run.material.val[i]
        output = model.raw(sample.image)
        found = model.cluster(output, seed_threshold)
        sheet = explain(
            sample.image, output, found, sample.label_mask, spec.n_sigma, spec.pitch, spec.margin
        )
        save_picture(run.config.out / "pictures" / f"{run.step:07}_{sample.name}.png", sheet)


def _save(run: _Run, optimizer: Any) -> None:
    run.saved = time.monotonic()
    state = {
        "step": run.step,
        "plan": list(run.plan.steps),
        "best": run.best,
        "network": run.network.state_dict(),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "average": None if run.average is None else run.average.state_dict(),
    }
    save_checkpoint(run.config.out, run.config, state)


def _save_model(run: _Run, model: Model, spec: ModelSpec) -> None:
    save_model(run.config.out / MODEL_FILE, model.network, spec)


def _finish(run: _Run) -> None:
    """Calibrate the best model and store its thresholds."""
    network, spec = load_model(run.config.out)
    if "calibrated" in spec.training:
        run.log.say("nothing left to do: the run is finished")
        return
    run.log.say("calibrating thresholds and minimum size on the validation images")
    network = network.to(run.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = Model(network, run.material.with_default_thresholds(spec), run.judged.precision)
    spec, scores = calibrate(model, run.material.val)
    spec.training["calibrated"] = {"images": len(run.material.val)}
    save_model(run.config.out / MODEL_FILE, network, spec)
    chosen = next(
        i
        for i, s in enumerate(scores.settings)
        if (s.seed_threshold, s.foreground_threshold, s.min_size)
        == (spec.seed_threshold, spec.foreground_threshold, spec.min_size)
    )
    run.log.say(
        f"seed threshold {spec.seed_threshold:g}, foreground threshold "
        f"{spec.foreground_threshold:g}, minimum size {spec.min_size}: validation AP "
        f"{scores.ap[chosen].mean():.3f}, AP50 {scores.ap50[chosen].mean():.3f}; "
        f"saved {run.config.out / MODEL_FILE}"
    )


def _refuse_to_overwrite(config: TrainConfig) -> None:
    for file in (config.out / MODEL_FILE, checkpoint_path(config.out)):
        if file.exists() and not config.resume:
            raise UserError(f"{file} is there already: add --resume, or choose another --out")


def _fabric(config: TrainConfig) -> Fabric:
    precision = config.precision
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        precision = "bf16" if _fast_bf16(device) else "float32"
    try:
        return Fabric(
            accelerator="cpu" if device == "cpu" else "cuda",
            devices=[int(device[5:])] if device.startswith("cuda:") else 1,
            precision="bf16-mixed" if precision == "bf16" else "32-true",
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"device '{config.device}' is not available here; use cpu") from error


def _fast_bf16(device: str) -> bool:
    """Whether the hardware computes in bfloat16; elsewhere it is slower than float32."""
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
