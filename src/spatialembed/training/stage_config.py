"""One stage of a training run: what its crops are, how long it is, and how it learns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.errors import UserError
from spatialembed.files.described import fit_fields

MOST_PIXELS = 2**32
"""Of a batch's crops, of all processes together."""


@dataclass(frozen=True)
class StageConfig:
    """One stage of training; the stages of a recipe run one after the other.

    Its length is one of ``epochs``, ``steps`` and ``minutes``.

    Args:
        crop_size: side of the square crops in pixels; a multiple of 8, and of the
            network's stride: 2 to the number of widths for residual_unet.
        batch_size: crops per step, of all processes together.
        epochs: passes of ``crops_per_epoch`` crops.
        steps: optimizer steps.
        minutes: wall time on this machine with validation and calibration, turned into a number
            of steps at the start of the run, from the time of the first steps, and set right once
            after a tenth of them.
        crops_per_epoch: crops an epoch stands for; None for as many as there are objects.
        background_share: share of crops in [0, 1] taken anywhere instead of around an object.
            None: images without an object get their share of the crops, at most a fifth; other
            images are shown around objects alone.
        learning_rate: after warm-up.
        decay: of the learning rate: to 0 at the stage's end as "polynomial" (power 0.9, the
            paper's) or "cosine", or none as "constant".
        warmup_steps: steps over which the learning rate rises from 0; at most a tenth of all.
        freeze_batch_norm: keep the batch-norm statistics of the stage before (the paper's
            second stage).
        freeze_encoder: train what comes after the encoder alone.
        validations: how often the stage is validated, evenly spread, the last at its end; fewer in
            minutes of under 200 steps for each.
        augmentation: how crops vary.
        crop_depth: planes of the crops of volumes.

    Raises:
        UserError: a value of another type or out of its range, or not exactly one length.
    """

    crop_size: int = 256
    batch_size: int = 8
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    crops_per_epoch: int | None = None
    background_share: float | None = None
    learning_rate: float = 5e-4
    decay: Literal["polynomial", "cosine", "constant"] = "polynomial"
    warmup_steps: int = 0
    freeze_batch_norm: bool = False
    freeze_encoder: bool = False
    validations: int = 10
    augmentation: Augmentation = field(default_factory=Augmentation)
    crop_depth: int | None = None

    def __post_init__(self) -> None:
        fit_fields(self)
        lengths = {"epochs": self.epochs, "steps": self.steps, "minutes": self.minutes}
        given = {name: value for name, value in lengths.items() if value is not None}
        if len(given) != 1:
            raise UserError(
                f"a stage needs exactly one of epochs, steps and minutes, not {given or 'none'}"
            )
        positive: dict[str, float | None] = {
            **given, "batch_size": self.batch_size, "learning_rate": self.learning_rate,
            "crops_per_epoch": self.crops_per_epoch, "validations": self.validations,
            "crop_depth": self.crop_depth,
        }  # fmt: skip
        for name, value in positive.items():
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise UserError(f"{name} must be above 0, not {value}")
        if self.crop_size < 8 or self.crop_size % 8:
            raise UserError(f"crop_size must be a multiple of 8, not {self.crop_size}")
        if self.batch_size * math.prod(self.crop_shape) > MOST_PIXELS:
            raise UserError(
                f"a batch of {self.batch_size} crops of {self.crop_size} pixels a side fits in no "
                f"memory; batch_size times crop_size squared may be up to {MOST_PIXELS:,}, of "
                "volumes times crop_depth"
            )
        share = self.background_share
        if share is not None and not 0 <= share <= 1:
            raise UserError(f"background_share lies between 0 and 1, not {share}")
        if self.warmup_steps < 0:
            raise UserError(f"warmup_steps must be at least 0, not {self.warmup_steps}")

    @property
    def crop_shape(self) -> tuple[int, ...]:
        """Of a crop: height and width, of volumes planes first."""
        depth = () if self.crop_depth is None else (self.crop_depth,)
        return (*depth, self.crop_size, self.crop_size)

    @property
    def length(self) -> float:
        """The stage's length in whichever unit it is given."""
        return float(next(v for v in (self.epochs, self.steps, self.minutes) if v is not None))


def whole_length(stages: Sequence[StageConfig]) -> float:
    """How long all stages are together, in the unit of each.

    Raises:
        UserError: their units differ.
    """
    if len({(s.epochs is None, s.steps is None) for s in stages}) > 1:
        raise UserError(
            "stages with lengths in different units cannot share one length; give all in one unit"
        )
    return sum(stage.length for stage in stages)
