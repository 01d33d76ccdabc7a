"""What a run works with: data, model description, network, and a number of steps."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader

from spatialembed.data.augment import Augmentation
from spatialembed.data.crops import Batch, CropDataset, Cropper, collate
from spatialembed.data.objects import ObjectIndex, object_index
from spatialembed.data.sample import FileDataSet, open_data, split_names
from spatialembed.embedding import PITCH
from spatialembed.errors import UserError
from spatialembed.inference.predictor import Model
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models import build
from spatialembed.models.checkpoint import load_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import StageConfig, TrainConfig
from spatialembed.training.schedule import Plan

DEFAULT_SEED_THRESHOLD = 0.9
DEFAULT_FOREGROUND_THRESHOLD = 0.5

TIMED_STEPS = 6
"""Steps timed to turn minutes into a number of steps."""


@dataclass(frozen=True)
class Material:
    """Data, and how the model will be described."""

    train: FileDataSet
    val: FileDataSet
    index: ObjectIndex
    spec: ModelSpec
    stages: list[StageConfig]

    def cropper(self, stage: StageConfig, seed: int) -> Cropper:
        """Draws the crops of a stage."""
        return Cropper(
            self.train,
            self.normalize,
            stage.crop_size,
            self.index,
            seed,
            stage.background_share,
            stage.augmentation,
        )

    def normalize(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The model's normalisation, of an image with the model's channels."""
        if image.shape[2] != self.spec.in_channels:
            raise UserError(
                f"the first training image has {self.spec.in_channels} channels, another "
                f"{image.shape[2]}; `spatialembed check` names the files that differ"
            )
        normalized: npt.NDArray[np.float32] = self.spec.normalization(image)
        return normalized

    def described(self, notes: dict[str, Any], seed_threshold: float) -> ModelSpec:
        """The spec of a model that is saved during training."""
        training = {**self.spec.training, **notes}
        return replace(self.spec, seed_threshold=seed_threshold, training=training)

    def with_default_thresholds(self, spec: ModelSpec) -> ModelSpec:
        """``spec`` with the thresholds that calibration starts from."""
        return replace(spec, seed_threshold=self.spec.seed_threshold)


def gather(config: TrainConfig) -> Material:
    """Open the data, index its objects and describe the model.

    Raises:
        UserError: no usable data.
    """
    train, val = _open(config)
    config.out.mkdir(parents=True, exist_ok=True)
    index = object_index(train, config.out / "objects.npz")
    smallest = max(1, round(float(np.quantile(index.area, 0.01)) / 2))
    spec = ModelSpec(
        network=config.network,
        network_options=config.network_options,
        in_channels=train[0].image.shape[2],
        class_names=train.class_names,
        n_sigma=config.n_sigma,
        pitch=(PITCH, PITCH),
        margin=config.margin,
        normalization=Normalization(config.normalization),
        seed_threshold=DEFAULT_SEED_THRESHOLD,
        foreground_threshold=DEFAULT_FOREGROUND_THRESHOLD,
        min_size=config.min_size or smallest,
        object_diameter=float(np.median(index.diameter)),
        trained_on=config.data.resolve().name,
        licence=config.licence,
        training={
            "date": date.today().isoformat(),
            "images": len(train),
            "objects": len(index),
            "center": config.center,
            "seed": config.seed,
            "symmetries": _symmetries(config.stages[-1].augmentation),
        },
    )
    return Material(train, val, index, spec, config.scheduled())


def _symmetries(augmentation: Augmentation) -> int:
    """Symmetries of an image that the network learns to treat alike; see inference/augment.py."""
    return (2 if augmentation.flip else 1) * (4 if augmentation.turn else 1)


def _open(config: TrainConfig) -> tuple[FileDataSet, FileDataSet]:
    train = open_data(config.data, "train", config.classes, config.holdout)
    if config.validation == "val":
        return train, open_data(config.data, "val", config.classes, config.holdout)
    held = set(split_names(train.names, "val", config.holdout))
    if not held or len(held) == len(train):
        raise UserError(f"{config.data} has too few training images to hold out {config.holdout}")
    items = [item for item in train.items if item.name in held]
    rest = [item for item in train.items if item.name not in held]
    return replace(train, items=tuple(rest)), replace(train, items=tuple(items))


def build_network(config: TrainConfig, spec: ModelSpec) -> nn.Module:
    """The network, new or with the weights of ``--init``.

    Raises:
        UserError: ``--init`` names a model that does not fit.
    """
    network = build(
        spec.network,
        spec.in_channels,
        spec.n_sigma,
        len(spec.class_names),
        **spec.network_options,
    )
    if config.init is None:
        return network
    given, theirs = load_model(config.init)
    state, own = given.state_dict(), network.state_dict()
    if state.keys() != own.keys():
        raise UserError(
            f"{config.init} is a {theirs.network} {theirs.network_options or ''}, the recipe asks "
            f"for {spec.network}; set network and network_options to match"
        )
    wrong = [name for name, tensor in state.items() if tensor.shape != own[name].shape]
    if wrong:
        raise UserError(
            f"{config.init} has {theirs.in_channels} channels, {theirs.n_sigma} bandwidths and "
            f"{len(theirs.class_names)} classes; the data and recipe have {spec.in_channels}, "
            f"{spec.n_sigma} and {len(spec.class_names)}; they must be the same to start from it"
        )
    network.load_state_dict(state)
    return network


def measured_plan(
    config: TrainConfig,
    material: Material,
    fabric: Fabric,
    network: nn.Module,
    loss: SpatialEmbeddingLoss,
    began: float,
) -> Plan:
    """Steps of each stage; minutes are turned into steps by timing a copy of the network."""
    steps = []
    stages = material.stages
    for number, stage in enumerate(stages):
        if stage.minutes is None:
            per_epoch = stage.crops_per_epoch or len(material.index)
            crops = (stage.epochs or 0) * per_epoch
            steps.append(stage.steps or max(1, round(crops / stage.batch_size)))
            continue
        one = _seconds_per_step(config, material, stage, fabric, network, loss)
        judging = _seconds_per_validation(material, fabric, network)
        validations = stage.validations
        if number == len(stages) - 1:
            validations += 1  # calibration: one more pass of the network, more clusterings
        before = time.monotonic() - began if number == 0 else 0.0
        left = stage.minutes * 60 - before - validations * judging
        count = max(1, int(left / one))
        steps.append(count)
        print(
            f"{stage.minutes:g} minutes: {count} steps of {one:.2f} s and "
            f"{stage.validations} validations of {judging:.0f} s"
        )
    return Plan(tuple(steps))


def _seconds_per_step(
    config: TrainConfig,
    material: Material,
    stage: StageConfig,
    fabric: Fabric,
    network: nn.Module,
    loss: SpatialEmbeddingLoss,
) -> float:
    """Median time of a step of training, on a copy that is thrown away."""
    from spatialembed.training.loop import forward

    copied = copy.deepcopy(network).train()
    optimizer = torch.optim.Adam(copied.parameters(), lr=0.0)
    model, optimizer = fabric.setup(copied, optimizer)
    crops = CropDataset(material.cropper(stage, config.seed), 0, TIMED_STEPS * stage.batch_size)
    loader: DataLoader[Batch] = DataLoader(
        crops,  # type: ignore[arg-type]
        batch_size=stage.batch_size,
        num_workers=config.workers,
        collate_fn=collate,
    )
    generator = torch.get_rng_state()  # dropout draws from it; the run must not notice
    times = []
    for batch in loader:
        start = time.monotonic()
        terms = forward(fabric, model, loss, batch)
        optimizer.zero_grad()
        fabric.backward(terms["total"])
        optimizer.step()
        float(terms["total"].detach())
        times.append(time.monotonic() - start)
    torch.set_rng_state(generator)
    return float(np.median(times[1:]))


def _seconds_per_validation(material: Material, fabric: Fabric, network: nn.Module) -> float:
    """Time to validate on all images, from a few of them; clustering is as long again as a hair."""
    model = Model(network, material.spec)
    picked = np.linspace(0, len(material.val) - 1, min(5, len(material.val))).astype(int)
    times = []
    for i in picked:
        start = time.monotonic()
        model.cluster(model.raw(material.val[int(i)].image))
        times.append(time.monotonic() - start)
    return float(np.mean(times[1:] or times)) * len(material.val) * 1.3
