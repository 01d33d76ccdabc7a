"""How few images are learned from: first what follows the encoder, then all, in small steps."""

from __future__ import annotations

import math
from dataclasses import replace

from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.data_set import FileDataSet
from spatialembed.data.open import open_data
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError
from spatialembed.models import strides
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import TrainConfig
from spatialembed.training.stage_config import StageConfig

FEW = {2: 30, 3: 6}
"""Training images, or volumes (of as many objects as several images), from which on a recipe is
followed as it stands; by their axes."""

VOLUME_CROP = (24, 48)
"""Planes and side of crops of volumes where no recipe says them: about those of ``volumes``."""

HEADS, ALL, BOLD = 5e-4, 3e-4, 1e-3
"""Learning rates: of the two stages, and of all where the start finds little."""

HEADS_SHARE = 0.3
"""Of the steps, what the first stage has."""


def is_careful(config: TrainConfig) -> bool:
    """Whether a run is to be a careful one: asked for, or from a model on few images.

    Raises:
        UserError: several processes, groups, or data that cannot be opened.
    """
    if config.init is None or config.resume or config.careful is False:
        return False
    if config.also:
        if config.careful:
            raise UserError("careful training is on one folder: leave out --careful, or --also")
        return False
    images = _training_images(config)
    if isinstance(images, Targets):
        if config.careful:
            raise UserError(
                "careful training is of one target: leave out --careful, or choose one by --classes"
            )
        return False
    if config.careful is None and len(images) >= FEW[images.dims]:
        return False
    if config.groups is not None:
        raise UserError(
            f"few {images.things} are dealt out by careful training itself, which knows no groups: "
            "leave out --groups, or add --careful false to train by the recipe"
        )
    if config.processes > 1:
        raise UserError(
            f"few {images.things} are learned from by one process: leave out --devices, or add "
            "--careful false to train by the recipe"
        )
    return True


def _training_images(config: TrainConfig) -> FileDataSet:
    return open_data(config.data, "train", config.classes, 0, config.crowds)


def careful(config: TrainConfig, start: ModelSpec) -> TrainConfig:
    """The run with a careful schedule in place of its recipe's.

    Its length, classes, crops and weights of the loss stay. What the start was trained by is kept:
    its kind of center and margin, its refinement, its symmetries.

    Batch-norm statistics are the start's throughout: of a few images they say too little. Crops
    vary little in size, since all are shown as large as the start knows objects.
    """
    symmetries = start.training.get("symmetries", 8)
    augmentation = Augmentation(
        flip=symmetries % 2 == 0, turn=symmetries >= 4, scale=(0.8, 1.25),
        brightness=0.1, contrast=0.2, gamma=0.4, noise=0.05, blur=1.0,
    )  # fmt: skip
    stages = config.scheduled()
    depth, size = _crop_of(config, start)
    heads = StageConfig(
        crop_size=size,
        crop_depth=depth,
        batch_size=config.batch or min(4, stages[-1].batch_size),
        steps=1,
        learning_rate=HEADS,
        decay="cosine",
        warmup_steps=20,
        freeze_batch_norm=True,
        freeze_encoder=True,
        validations=1,
        augmentation=augmentation,
    )
    return replace(
        config,
        center=start.training.get("center", config.center),
        margin=start.margin,
        refine=start.refine,
        optimizer="adamw",
        weight_decay=0.01,
        clip_norm=5.0,
        average=0.98,
        epochs=None,
        steps=None,
        minutes=None,
        batch=None,
        stages=[heads, replace(heads, freeze_encoder=False, learning_rate=ALL)],
    )


def _crop_of(config: TrainConfig, start: ModelSpec) -> tuple[int | None, int]:
    """Planes, of volumes, and side of a crop: the recipe's; without one what fits the start."""
    last = config.stages[-1]
    if start.dims == 2 or config.stages != TrainConfig().stages:
        return last.crop_depth, last.crop_size
    (planes, side), (depth, stride, _) = VOLUME_CROP, strides(start.build(), 3)
    return math.ceil(planes / depth) * depth, math.ceil(side / stride) * stride


def bold(stages: list[StageConfig]) -> list[StageConfig]:
    """The stages of a training that has little to lose."""
    return [replace(stage, learning_rate=BOLD) for stage in stages]


def in_stages(stages: list[StageConfig], steps: float) -> list[StageConfig]:
    """The stages, one or two, with so many steps in all."""
    first = [max(1, round(HEADS_SHARE * steps))] * (len(stages) - 1)
    counts = *first, max(1, round(steps) - sum(first))
    return [replace(stage, steps=n) for stage, n in zip(stages, counts, strict=True)]
