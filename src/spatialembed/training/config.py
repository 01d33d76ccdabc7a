"""What a training run is made of: the fields of a recipe, which are also the command's options."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from spatialembed.errors import UserError
from spatialembed.files.described import fit_fields
from spatialembed.training.stage_config import StageConfig, whole_length

Precision = Literal["auto", "float32", "bf16"]

MOST = {"workers": 1024, "devices": 4096, "seed": 2**63 - 1}
"""Of numbers that a machine would otherwise be asked to follow."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run; text will do where a path is meant.

    Args:
        data: folder of the data set; its layout is recognised.
        also: folders of further sets, such as of other kinds of image, to train on with it; crops
            are drawn of each by the fourth root of its number of objects. With ``diameter`` the
            objects of all are shown at one size, by the median of each set.
        out: run folder: model, checkpoint, logs and pictures.
        classes: classes to train, in this order; None for the layout's default.
        validation: "val" for the split of that name (held out of the training images where there
            is none), "holdout" to hold images out of the training split even so, where the val
            split is kept for reporting.
        holdout: share of the training images held out, by name.
        groups: holds out whole groups of images that belong together (of a picture, a patient, a
            well, a dish), by a csv that names image and group in each row below a header, or by a
            regular expression whose first parentheses are the group in an image's name.
        crowds: what COCO's annotations marked iscrowd are: "ignore" them, or "objects", as some
            tools mark single masks so.
        network: "branched_erfnet" (the paper's), "residual_unet" (lighter) or "pretrained_unet".
        network_options: further arguments of the network.
        n_sigma: bandwidths per pixel: 1 for circular margins, for elliptical ones 2, of volumes 3.
        center: "centroid", "learned" or "medoid".
        margin: radius of a fixed bandwidth, the paper's baseline, in pixels as the network sees
            them; None to learn it.
        diameter: pixels across that the network sees the median training object at; images are
            enlarged or shrunk to that, of volumes their planes alone. None shows them as they are.
        pixel_size: micrometres that a pixel of the images is wide; None for what the files say.
        spacing: micrometres between the voxels of volumes along z, y and x, or numbers in their
            proportion; None for what the files say.
        normalization: of the images: "range", "percentile" or "none", stored with the model.
        foreground_weight: of object pixels in the seed term, one number or one a class.
        instance_weight: weight of the loss's instance term.
        variance_weight: weight of its variance term.
        seed_weight: weight of its seed term.
        drift_weight: weight of its drift term, which is beyond the paper: it keeps learned centers
            from moving together; 0 leaves it out.
        optimizer: "adam" or "adamw".
        weight_decay: of the optimizer.
        clip_norm: largest norm of the gradient; None for no clipping.
        average: decay of the running average of the weights, which is what is validated and
            kept; 0 for none.
        min_size: fewest pixels of a found object before calibration; None to take it from the
            training objects.
        refine: after clustering, give each pixel of the foreground to the object it fits best.
        stages: run one after the other.
        epochs: length of the whole run, shared among the stages as their own lengths are.
        steps: the same in steps.
        minutes: the same in minutes.
        batch: batch size of every stage.
        pretrained: start the encoder of "pretrained_unet" with what it learned on ImageNet (extra
            pretrained).
        init: a trained model to start from, whose network, normalisation and thresholds the run
            takes instead of its own.
        careful: with ``init``, learn from few images without losing what the start knows: by a
            schedule of its own, and only as far as it helps on images that were held back. None:
            where there are fewer than 30 training images, or 6 volumes.
        resume: go on with the run in ``out``, from its checkpoint and the same data alone.
        device: "auto", "cpu", "cuda".
        devices: processes that share every batch: a GPU each, or cores of the CPU. torchrun, which
            starts them on several machines, says by itself how many there are.
        precision: "auto" takes bf16 where the hardware is faster in it, else float32.
        workers: processes that draw crops, of each training process; 0 draws them in that itself.
            None: 1, and for a GPU as many as there are cores for, up to 16.
        seed: of weights and crops.
        deterministic: on one GPU, have the same steps give the same weights to the last bit, as
            they do on the CPU, by operations some of which are slower.
        tensorboard: also write TensorBoard's event files.
        licence: of the trained model, stored with it.

    Raises:
        UserError: a value of another type or out of its range, or more than one length.
    """

    data: Path = Path()
    also: list[Path] | None = None
    out: Path = Path("runs/model")
    classes: list[str] | None = None
    validation: Literal["val", "holdout"] = "val"
    holdout: float = 0.15
    groups: str | None = None
    crowds: Literal["ignore", "objects"] = "ignore"
    network: str = "branched_erfnet"
    network_options: dict[str, Any] = field(default_factory=dict)
    n_sigma: int = 1
    center: Literal["centroid", "learned", "medoid"] = "centroid"
    margin: float | None = None
    diameter: float | None = None
    pixel_size: float | None = None
    spacing: list[float] | None = None
    normalization: Literal["range", "percentile", "none"] = "range"
    foreground_weight: float | list[float] = 10.0
    instance_weight: float = 1.0
    variance_weight: float = 10.0
    seed_weight: float = 1.0
    drift_weight: float = 10.0
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 1e-4
    clip_norm: float | None = None
    average: float = 0.0
    min_size: int | None = None
    refine: bool = False
    stages: list[StageConfig] = field(default_factory=lambda: [StageConfig(epochs=100)])
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    batch: int | None = None
    pretrained: bool = False
    init: Path | None = None
    careful: bool | None = None
    resume: bool = False
    device: str = "auto"
    devices: int = 1
    precision: Precision = "auto"
    workers: int | None = None
    seed: int = 0
    deterministic: bool = False
    tensorboard: bool = False
    licence: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", str(self.device))  # a torch.device, too
        fit_fields(self)
        if not self.stages:
            raise UserError("a recipe needs at least one stage")
        if sum(v is not None for v in (self.epochs, self.steps, self.minutes)) > 1:
            raise UserError("give one of --epochs, --steps and --minutes, not several")
        for name in ("epochs", "steps", "minutes", "batch", "devices", "min_size"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} must be above 0, not {value}")
        if not 0 <= self.average < 1:
            raise UserError(f"average is a decay from 0 up to but not including 1: {self.average}")
        if (self.workers or 0) < 0 or self.seed < 0 or self.weight_decay < 0:
            raise UserError("workers, seed and weight_decay must be at least 0")
        for name, most in MOST.items():
            if (getattr(self, name) or 0) > most:
                raise UserError(f"{name} must be at most {most:,}, not {getattr(self, name):,}")
        for name in ("instance_weight", "variance_weight", "seed_weight", "drift_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be a number from 0 up, not {getattr(self, name)}")
        weights = self.foreground_weight
        for weight in weights if isinstance(weights, list) else [weights]:
            if not 0 <= weight < math.inf:
                raise UserError(f"foreground_weight must be a number from 0 up, not {weight}")
        if self.careful and self.init is None:
            raise UserError("careful is of a run that goes on from a model: add --init, too")
        for name, unit in (("diameter", "pixels"), ("pixel_size", "micrometres")):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{name} must be a number of {unit} above 0, not {value}")
        if (steps := self.spacing) is not None and not (
            len(steps) == 3 and all(0 < step < math.inf for step in steps)
        ):
            raise UserError(f"spacing is three numbers above 0, along z, y and x, not {steps}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise UserError(f"clip_norm must be above 0, not {self.clip_norm}")

    @property
    def dims(self) -> int:
        """Spatial axes of what the run is for: 3 of volumes, whose stages have a crop_depth."""
        return 3 if all(stage.crop_depth is not None for stage in self.stages) else 2

    @property
    def processes(self) -> int:
        """Training processes: those that torchrun started on all machines, or ``devices``."""
        return int(os.environ["WORLD_SIZE"]) if is_launched() else self.devices

    def scheduled(self) -> list[StageConfig]:
        """The stages with the run's own batch size and length, if given, in place of theirs.

        A length for the whole run is shared in proportion to the stages' own lengths, which
        must then be given in one unit.

        Raises:
            UserError: stages whose lengths are in different units, or whose batches cannot be
                shared equally among the processes.
        """
        stages = self.stages
        if self.batch is not None:
            stages = [replace(stage, batch_size=self.batch) for stage in stages]
        for stage in stages:
            if stage.batch_size % self.processes:
                raise UserError(
                    f"a batch of {stage.batch_size} crops cannot be shared equally among "
                    f"{self.processes} processes; choose a multiple of {self.processes}"
                )
            if stage.freeze_encoder and self.processes > 1:
                raise UserError("freeze_encoder is of one process; leave out --devices, or it")
        given = {"epochs": self.epochs, "steps": self.steps, "minutes": self.minutes}
        unit, total = next(((k, v) for k, v in given.items() if v is not None), (None, None))
        if unit is None or total is None:
            return stages
        whole = whole_length(stages)
        return [_with_length(stage, unit, total * stage.length / whole) for stage in stages]


def _with_length(stage: StageConfig, unit: str, length: float) -> StageConfig:
    none: dict[str, Any] = dict.fromkeys(("epochs", "steps", "minutes"))
    value = max(1, round(length)) if unit == "steps" else length
    return replace(stage, **{**none, unit: value})


def without_recipe(config: TrainConfig) -> list[str]:
    """What is to be known of a run from nothing that names neither recipe, stages nor length."""
    plain = TrainConfig(config.data)
    lengths = (config.epochs, config.steps, config.minutes)
    if config.init or config.stages != plain.stages or any(n is not None for n in lengths):
        return []
    return [
        f"no recipe is given: {config.network} is trained for {plain.stages[0].epochs:g} epochs, "
        "which may take a processor days; --config nuclei, streets or volumes trains a lighter "
        "network in about half an hour, --minutes sets the length"
    ]


def is_launched() -> bool:
    """Whether torchrun, or what starts processes in its way, started this one and counts them.

    Other launchers set LOCAL_RANK, too, and not the rest.
    """
    return "TORCHELASTIC_RUN_ID" in os.environ
