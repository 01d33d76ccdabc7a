"""What a run works with: its data, the description of its model, and its network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from spatialembed.console.output import console
from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.held_out import open_by_groups
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.index import ObjectIndex
from spatialembed.data.layouts.splits import split_names
from spatialembed.data.open import open_data, refuse
from spatialembed.embedding import PITCH
from spatialembed.errors import UserError
from spatialembed.inference.loading import load_network
from spatialembed.models.normalization import Normalization, Normalize
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import StageConfig, TrainConfig
from spatialembed.training.look_at_data import look, look_across, look_at_values


@dataclass(frozen=True)
class Material:
    """Data, and how the model will be described."""

    train: FileDataSet
    val: FileDataSet
    index: ObjectIndex
    """The training objects that crops are drawn around."""
    judged: ObjectIndex
    """The validation objects."""
    spec: ModelSpec
    stages: list[StageConfig]
    warnings: tuple[Problem, ...] = ()
    """What was found in the data that may not be meant."""

    def cropper(self, stage: StageConfig, seed: int) -> Cropper:
        """Draws the crops of a stage."""
        return Cropper(
            self.train,
            self.normalization,
            stage.crop_size,
            self.index,
            seed,
            stage.background_share,
            stage.augmentation,
            self.spec.zoom,
        )

    def normalization(self, image: WindowedImage) -> Normalize:
        """The model's normalisation of one image, which has the model's channels."""
        if image.channels != self.spec.in_channels:
            raise UserError(
                f"{image.path} has {image.channels} channels, the model takes "
                f"{self.spec.in_channels}; `spatialembed check` names the files that differ"
            )
        return self.spec.normalization.fixed(image)


def gather(config: TrainConfig, spec: ModelSpec | None = None) -> Material:
    """Open the data, look at it, index its objects and describe the model.

    A run that is resumed has the ``spec`` of its model.

    Raises:
        UserError: no usable data, or a file that training would stumble over later.
    """
    train, val = _open(config, spec)
    told = f"Reading {config.data}: {len(train)} training and {len(val)} validation images"
    console.print(told, markup=False, highlight=False, soft_wrap=True)
    remarks = val.remarks()
    refuse(remarks, config.data)
    index, judged, seen = look(config, train, val)
    if spec is None:  # a resumed run has told
        sizes = np.concatenate([index.image_size, judged.image_size])
        seen += look_across(train, val, sizes)
    start = spec or _start(config)
    normalization, values = look_at_values(start.normalization, train)
    seen += [Problem(config.data, text, warning=True) for text in values]
    warnings = dict.fromkeys((*train.problems, *val.problems, *remarks, *seen))
    if spec is None:
        spec = _described(config, replace(start, normalization=normalization), train, val, index)
    return Material(train, val, index, judged, spec, config.scheduled(), tuple(warnings))


def _described(
    config: TrainConfig,
    start: ModelSpec,
    train: FileDataSet,
    val: FileDataSet,
    index: ObjectIndex,
) -> ModelSpec:
    """How the model of a new run is described, which starts as ``start``."""
    diameter = float(np.median(index.diameter))
    smallest = max(1, round(float(np.quantile(index.area, 0.01)) / 2))
    return replace(  # what is not named here is the start's: network, normalisation, thresholds
        start,
        in_channels=int(index.channels[0]),
        class_names=train.class_names,
        zoom=float(f"{config.diameter / diameter:.3g}") if config.diameter else 1.0,
        pitch=(PITCH, PITCH),
        margin=config.margin,
        min_size=config.min_size or smallest,
        refine=config.refine,
        object_diameter=diameter,
        trained_on=config.data.resolve().name,
        licence=config.licence,
        training={
            "images": len(train),
            "objects": len(index),
            "diameters": [round(float(d), 1) for d in np.quantile(index.diameter, (0.02, 0.98))],
            "center": config.center,
            "seed": config.seed,
            "holdout": config.holdout,
            **({} if config.groups is None else {"held_out": val.names}),
            "crowds": config.crowds,
            "symmetries": _symmetries(config.stages[-1].augmentation),
        },
    )


def _start(config: TrainConfig) -> ModelSpec:
    """Network, normalisation and thresholds of the model that a run goes on with, or the recipe's.

    Thresholds are what calibration leaves only for a clear gain.
    """
    if config.init is not None:
        return load_network(config.init)[1]
    return ModelSpec(
        network=config.network,
        network_options=config.network_options,
        n_sigma=config.n_sigma,
        normalization=Normalization(config.normalization),
    )


def _symmetries(augmentation: Augmentation) -> int:
    """Symmetries of an image that the network learns to treat alike (inference/symmetries.py)."""
    return (2 if augmentation.flip else 1) * (4 if augmentation.turn else 1)


def _open(config: TrainConfig, spec: ModelSpec | None) -> tuple[FileDataSet, FileDataSet]:
    if config.groups is not None:
        how = (config.groups, config.classes, config.holdout, config.crowds)
        held = None if spec is None else spec.training.get("held_out")
        return open_by_groups(config.data, *how, config.validation == "holdout", held)
    train = open_data(config.data, "train", config.classes, config.holdout, config.crowds)
    if config.validation == "val":
        # by name: another file may number or order the same classes otherwise
        names = train.class_names
        return train, open_data(config.data, "val", names, config.holdout, config.crowds)
    held = set(split_names(train.names, "val", config.holdout))
    if not held or len(held) == len(train):
        raise UserError(f"{config.data} has too few training images to hold out {config.holdout}")
    return train.only(set(train.names) - held), train.only(held)


def build_network(config: TrainConfig, material: Material) -> nn.Module:
    """The network, new or with the weights of ``--init``.

    Raises:
        UserError: crops do not fit the network, or ``--init`` names a model that does not.
    """
    spec = material.spec
    network = spec.build()
    for stage in material.stages:
        if stage.crop_size % int(network.stride):  # type: ignore[arg-type]
            raise UserError(
                f"crop_size must be a multiple of {network.stride} for this {spec.network}, "
                f"not {stage.crop_size}"
            )
    if config.init is not None and not config.resume:
        _start_from(config.init, network, spec)
    return network


def _start_from(path: Path, network: nn.Module, spec: ModelSpec) -> None:
    """Give ``network`` the weights of the model at ``path``."""
    given, theirs = load_network(path)
    if (theirs.in_channels, len(theirs.class_names)) != (spec.in_channels, len(spec.class_names)):
        raise UserError(
            f"{path} has {theirs.in_channels} channels and {len(theirs.class_names)} classes, the "
            f"data {spec.in_channels} and {len(spec.class_names)}; they must be the same to start "
            "from it"
        )
    network.load_state_dict(given.state_dict())
