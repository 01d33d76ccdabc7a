"""The state of a run, and how it starts: from nothing, from a model, or from its checkpoint."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import Any, Literal, NamedTuple

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from llvmlite.binding import get_host_cpu_name
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from spatialembed.console.output import console
from spatialembed.data.data_set import FileDataSet
from spatialembed.data.targets import each_of
from spatialembed.errors import UserError
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import Precision, TorchNetwork, pick_device
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models.axes import in_layout
from spatialembed.models.checkpoint import MODEL_FILE, save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.training.averaging import WeightAverage
from spatialembed.training.config import TrainConfig
from spatialembed.training.minutes import Pace, measured_plan
from spatialembed.training.prepare import Material, build_network
from spatialembed.training.resume import restore_generators, save_checkpoint
from spatialembed.training.run_log import RunLog
from spatialembed.training.schedule import Plan
from spatialembed.training.volumes import comes_to_two_planes
from spatialembed.training.whole_batch import see_whole_batch

TIMEOUT = timedelta(minutes=30)
"""Longest that a process waits for another, as for the pictures of the first."""


class Best(NamedTuple):
    """A model as it is kept in a checkpoint, so that a run needs no other file to go on."""

    spec: ModelSpec
    weights: Mapping[str, Tensor]
    """On the CPU."""

    @classmethod
    def of(cls, network: nn.Module, spec: ModelSpec) -> Best:
        """A copy of a network's weights, as they are now."""
        return cls(spec, {k: v.detach().cpu().clone() for k, v in network.state_dict().items()})

    def network(self) -> nn.Module:
        """A network with these weights, on the CPU in evaluation mode.

        Its first weights are drawn from torch's global generator.
        """
        network = self.spec.build()
        network.load_state_dict(self.weights)
        return network.eval()


@dataclass
class Run:
    """All that changes, or is used, as a run goes on."""

    config: TrainConfig
    material: Material
    fabric: Fabric
    network: nn.Module
    wrapped: Any
    """The network as Fabric trains it: with the gradients of all processes."""
    loss: SpatialEmbeddingLoss
    average: WeightAverage | None
    plan: Plan
    log: RunLog
    step: int
    """Steps done."""
    best: float
    """Highest validation AP so far."""
    best_model: Best | None
    """That of it, which is what ``model.safetensors`` holds."""
    pace: Pace | None
    """What a plan in minutes was made by, until it is measured again."""
    data: dict[str, Any]
    """What the data looks like, of the first process alone."""
    optimizer: dict[str, Any] | None
    """State that the optimizer goes on with, in a run that is taken up within a stage."""
    saved: float
    """Time of the last checkpoint."""
    keeps: bool = True
    """Whether it is validated, and leaves checkpoints and models as it goes."""

    @property
    def judged(self) -> Model:
        """The model that is validated."""
        return Model(TorchNetwork(self.kept, precision_of(self.fabric)), self.material.spec)

    def judged_on(self, model: Model) -> list[tuple[Model, FileDataSet]]:
        """Of each target a model that finds it alone, and its validation images."""
        return list(zip(model.each(), each_of(self.material.val), strict=True))

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and kept: the averaged one if there is one."""
        return self.network if self.average is None else self.average.network

    def save(self, optimizer: Any | None) -> None:
        """Write the checkpoint; without an optimizer at the end of a stage, which starts anew.

        The first process does: all others have the same weights, optimizer and generators.
        """
        self.saved = time.monotonic()
        if not (self.keeps and self.fabric.is_global_zero):
            return
        state = {
            "step": self.step,
            "plan": list(self.plan.steps),
            "pace": None if self.pace is None else self.pace.state(),
            "spec": _as_json(self.material.spec),
            "data": self.data,
            "sums": self.log.sums,
            "best": self.best,
            "best_model": self.best_model
            and {"spec": _as_json(self.best_model.spec), "weights": self.best_model.weights},
            "network": self.network.state_dict(),
            "optimizer": None if optimizer is None else optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }
        save_checkpoint(self.config.out, self.config, state)


def start(
    config: TrainConfig,
    material: Material,
    fabric: Fabric,
    began: float,
    data: dict[str, Any],
    state: dict[str, Any] | None = None,
) -> Run:
    """Build everything, from nothing or from a checkpoint's state; a new run writes its first.

    Lengths in minutes count from ``began``, a ``time.monotonic()``; ``data`` goes into checkpoints.
    """
    torch.manual_seed(config.seed)
    network = build_network(config, material)
    if fabric.world_size > 1:
        see_whole_batch(network)
    network = in_layout(network.to(fabric.device))
    average = WeightAverage(network, config.average) if config.average else None
    loss = loss_of(config, material).to(fabric.device)
    if state is None:
        plan, pace = measured_plan(config, material, fabric, network, loss, began)
    else:
        network.load_state_dict(state["network"])
        if average is not None:
            average.load_state_dict(state["average"])
        plan, pace = Plan(tuple(state["plan"])), state["pace"] and Pace(**state["pace"])
    held = state or {}
    best = _best(config, fabric, held.get("best_model"))
    if state is not None:  # after all that drew from them: networks are made with random weights
        restore_generators(state)
    step, writes = held.get("step", 0), fabric.is_global_zero
    log = RunLog(config.out, plan.total, step, config.tensorboard, writes, held.get("sums"))
    parameters = sum(p.numel() for p in network.parameters())
    log.say(
        f"{len(material.index)} objects; {material.spec.network}, {parameters:,} parameters; "
        f"{' + '.join(str(n) for n in plan.steps)} steps on {fabric.device}"
        + (f", {fabric.world_size} processes" if fabric.world_size > 1 else "")
        + (f", from step {step}" if step else "")
    )
    run = Run(
        config,
        material,
        fabric,
        network,
        fabric.setup_module(network),
        loss,
        average,
        plan,
        log,
        step=step,
        best=held.get("best", -1.0),
        best_model=best,
        pace=pace,
        data=data,
        optimizer=held.get("optimizer"),
        saved=time.monotonic(),
    )
    if state is None:
        run.save(None)  # before anything else is written: from now on it can be resumed
    return run


def _best(config: TrainConfig, fabric: Fabric, state: dict[str, Any] | None) -> Best | None:
    """The best model of a checkpoint, whose file then holds it again."""
    if state is None:
        return None
    best = Best(ModelSpec.from_dict(json.loads(state["spec"])), state["weights"])
    path = config.out / MODEL_FILE
    finished = "calibrated" in best.spec.training and path.exists()
    if fabric.is_global_zero and not finished:
        save_model(path, best.network(), best.spec)
    return best


def _as_json(spec: ModelSpec) -> str:
    return json.dumps(spec.to_dict(), allow_nan=False)


def loss_of(config: TrainConfig, material: Material) -> SpatialEmbeddingLoss:
    """The loss of a run."""
    return SpatialEmbeddingLoss(
        n_sigma=material.spec.n_sigma,
        center=config.center,
        foreground_weight=config.foreground_weight,
        instance_weight=config.instance_weight,
        variance_weight=config.variance_weight,
        seed_weight=config.seed_weight,
        pitch=material.spec.pitch,
        margin=config.margin,
        drift_weight=config.drift_weight,
    )


def connect(config: TrainConfig) -> Fabric:
    """The device and precision of a run, and the connection of its processes if it has several.

    Of several only the first writes to the console.

    Raises:
        UserError: there is no such device, or bf16 is asked for where it would go wrong.
    """
    device = pick_device(config.device)
    low = config.precision == "bf16" or (config.precision == "auto" and _fast_bf16(device))
    if low and device.type == "cpu" and comes_to_two_planes(config):
        if config.precision == "bf16":
            raise UserError(
                "gradients of convolutions on two planes are wrong in bf16 on a processor: leave "
                "--precision bf16 out, or give the recipe a crop_depth that halving brings to no "
                "2, such as 24"
            )
        low = False
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed" if low else "32-true"
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if config.processes == 1:
        devices = 1 if device.index is None else [device.index]
        fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)
        fabric.launch()  # makes cuda:1, say, the device whose generator a checkpoint holds
        return fabric
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    fabric = Fabric(
        accelerator=device.type,
        strategy=DDPStrategy(timeout=TIMEOUT, **_sending_no_buffers()),
        devices=here,
        num_nodes=config.processes // here,
        precision=precision,
    )
    fabric.launch()
    console.quiet = not fabric.is_global_zero
    return fabric


def _sending_no_buffers() -> dict[str, Any]:
    """To send none before each step: they are the same everywhere (whole_batch.py)."""
    newer = "forward_sync_buffers"  # torch's name for it from 2.13 on
    known = signature(DistributedDataParallel).parameters
    return {newer if newer in known else "broadcast_buffers": False}


def precision_of(fabric: Fabric) -> Precision:
    """What a network is judged in, that which it is trained in."""
    bf16 = str(fabric.strategy.precision.precision).startswith("bf16")
    return "bf16" if bf16 else "float32"


def _fast_bf16(device: torch.device) -> bool:
    """Whether training is faster in bfloat16 than in float32.

    Of processors on those with AMX, and on AMD's with AVX-512 BF16: a step of the recipe ``nuclei``
    took a Zen 4 .8 of its time. Intel's without AMX have that instruction too, at half the rate of
    float32's: the same step took 1.2 times as long.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    amd = get_host_cpu_name().startswith("znver") and torch.cpu._is_avx512_bf16_supported()
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported() or amd)
