"""What a run works with: its data, the description of its model, and its network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import nn

from spatialembed.console.output import console
from spatialembed.data.crops.augmentation import Augmentation
from spatialembed.data.crops.cropper import Cropper
from spatialembed.data.data_set import DataSet, FileDataSet, Problem
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.index import ObjectIndex
from spatialembed.data.mixture import set_numbers, sets_of
from spatialembed.data.open import refuse
from spatialembed.data.targets import Targets
from spatialembed.embedding import PITCH
from spatialembed.errors import UserError
from spatialembed.inference.loading import load_network
from spatialembed.models import strides
from spatialembed.models.efficientnet_lite import load_imagenet
from spatialembed.models.normalization import Normalization, Normalize
from spatialembed.models.pretrained_unet import PretrainedUNet
from spatialembed.models.shipped import COLORS, for_color
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import TrainConfig
from spatialembed.training.look_at_data import look, look_across, look_at_values, other_size
from spatialembed.training.open_sets import open_sets, open_whole
from spatialembed.training.pixel_sizes import pixel_sizes
from spatialembed.training.stage_config import StageConfig
from spatialembed.training.target_settings import least_size, targets_of
from spatialembed.training.volumes import flattened, pitch_of, require_dims, spacing_of


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
    ratios: float | np.ndarray
    """By how much training images are enlarged before the model's zoom; (n,) of several sets, or
    of images of several pixel sizes."""
    diameters: list[float] | None
    """Width of objects in each validation image, where these are shown at several sizes."""
    warnings: tuple[Problem, ...] = ()
    """What was found in the data that may not be meant."""
    part: DataSet | None = None
    """What crops are of, and ``index`` is of, where that is not all of ``train``."""

    def cropper(self, stage: StageConfig, seed: int) -> Cropper:
        """Draws the crops of a stage."""
        return Cropper(
            self.train if self.part is None else self.part,
            self.normalization,
            stage.crop_size,
            self.index,
            seed,
            stage.background_share,
            stage.augmentation,
            self.spec.zoom * self.ratios,
            np.flatnonzero(np.diff(set_numbers(self.train), prepend=-1)).tolist(),
            depth=stage.crop_depth or 1,
        )

    def normalization(self, image: WindowedImage) -> Normalize:
        """The model's normalisation of one image, which has the model's channels."""
        count = self.spec.in_channels
        own = self.spec.normalization.fixed(image)
        if image.channels == count:
            return own
        if image.channels == 1 and self.spec.takes_grey:
            return lambda window: np.repeat(own(window), count, -1)
        raise UserError(
            f"{image.path} has {image.channels} channels, the model takes {count}; `spatialembed "
            "check` names the files that differ"
        )


def gather(config: TrainConfig, spec: ModelSpec | None = None, hold_out: bool = True) -> Material:
    """Open the data, look at it, index its objects and describe the model.

    A run that is resumed has the ``spec`` of its model. Without ``hold_out`` all training images
    are trained on; they are the validation images too, where there is no split of that name.

    Raises:
        UserError: no usable data, or a file that training would stumble over later.
    """
    train, val = open_sets(config, spec) if hold_out else open_whole(config)
    start = spec or _start(config)
    require_dims(config, train, None if config.init is None else start)
    if isinstance(train, Targets) and isinstance(config.foreground_weight, list):
        raise UserError("foreground_weight is one number for all of several targets, not a list")
    roots = ", ".join(str(one.root) for one in sets_of(train))
    told = f"Reading {roots}: {len(train)} training"
    told += f" {train.things}" if val is train else f" and {len(val)} validation {train.things}"
    console.print(told, markup=False, highlight=False, soft_wrap=True)
    remarks = val.remarks()
    refuse(remarks, config.data)
    index, judged, seen = look(config, train, val)
    if spec is None:  # a resumed run has told
        sizes = np.concatenate([index.image_size, judged.image_size])
        seen += [] if val is train else look_across(train, val, sizes)
    normalization, values = look_at_values(start.normalization, train)
    seen += [Problem(config.data, text, warning=True) for text in values]
    if spec is None and train.dims == 3:
        spacing, told_of = spacing_of(config, train, val, start.spacing)
        # By --spacing it may be in proportion alone, and so may that of the start.
        own = spacing is start.spacing and not start.training.get("spacing_stated", False)
        notes = {**start.training, "spacing_stated": config.spacing is None and not own}
        start, seen = replace(start, spacing=spacing, training=notes), [*seen, *told_of]
    if spec is None and hold_out and config.init is not None:
        seen += other_size(config, start)
    # A run that was begun by a version which did not resize goes on without.
    resizes = hold_out and (spec is None or spec.pixel_size is not None)
    pixels, told_of_pixels = pixel_sizes(config, train, val, resizes)
    seen += told_of_pixels if spec is None else []
    warnings = dict.fromkeys((*train.problems, *val.problems, *remarks, *seen))
    start = replace(start, normalization=normalization)
    of_sets = _ratios(config, train, index)
    ratios = of_sets[set_numbers(train)] * pixels.train
    spec = spec or _described(config, start, train, val, index, ratios, pixels.own)
    stages, diameters = config.scheduled(), None
    of_val = of_sets[set_numbers(val)] * pixels.val
    if (len(of_sets) > 1 or (of_val != 1).any()) and spec.object_diameter is not None:
        diameters = (spec.object_diameter / of_val).tolist()
    each = ratios if len(of_sets) > 1 or (ratios != 1).any() else 1.0
    return Material(train, val, index, judged, spec, stages, each, diameters, tuple(warnings))


def _ratios(config: TrainConfig, train: FileDataSet, index: ObjectIndex) -> np.ndarray:
    """(sets,) by how much the images of each set are enlarged before the model's own zoom.

    Objects of several sets are shown at one size, which is then that of the model; a single set
    has its zoom stored with the model.
    """
    sets = set_numbers(train)
    if config.diameter is None or len(sets_of(train)) == 1:
        return np.ones(len(sets_of(train)))
    each = [index.diameter[sets[index.image] == k] for k in range(len(sets_of(train)))]
    for data, diameters in zip(sets_of(train), each, strict=True):
        if not len(diameters):
            raise UserError(
                f"{data.root} has specks alone beside the objects of the other sets: train on it "
                "by itself, or enlarge its images"
            )
    medians = [float(np.median(diameters)) for diameters in each]
    return np.array([float(f"{config.diameter / median:.3g}") for median in medians])


def _described(
    config: TrainConfig,
    start: ModelSpec,
    train: FileDataSet,
    val: FileDataSet,
    index: ObjectIndex,
    ratios: np.ndarray,
    pixel_size: float | None,
) -> ModelSpec:
    """How the model of a new run is described, which starts as ``start``."""
    ratio, stated = ratios[index.image], start.training.get("spacing_stated", False)
    diameters, areas = index.diameter * ratio, index.area * ratio**2
    targets = targets_of(train, index, start, config.min_size)
    if targets:  # by the smallest objects, which a network must not be shown too small
        own = index.class_index == np.argmin([one.object_diameter or 0.0 for one in targets])
        diameters, areas = diameters[own], areas[own]
    diameter = float(np.median(diameters))
    zoom = float(f"{config.diameter / diameter:.3g}") if config.diameter else 1.0
    pitch: tuple[float, ...] = (PITCH, PITCH)
    options = start.network_options
    if start.dims == 3:
        pitch = pitch_of(start.spacing, zoom)
        options = flattened(start.network, options, pitch) if config.init is None else options
    channels = set(index.channels.tolist())
    takes_grey = len(channels) > 1 or (start.takes_grey and channels <= {1, start.in_channels})
    return replace(  # what is not named here is the start's: network, normalisation, thresholds
        start,
        in_channels=max(
            channels | ({start.in_channels} if takes_grey and start.takes_grey else set())
        ),
        takes_grey=takes_grey,
        class_names=train.class_names,
        network_options=options,
        zoom=zoom,
        pitch=pitch,
        margin=config.margin,
        min_size=config.min_size or least_size(areas),
        targets=targets,
        refine=config.refine,
        object_diameter=diameter,
        pixel_size=pixel_size,
        finds_size=len(sets_of(train)) > 1 and config.diameter is not None,
        trained_on=", ".join(one.root.resolve().name for one in sets_of(train)),
        licence=config.licence,
        training={
            "images": len(train),
            "objects": len(index),
            "diameters": [round(float(d), 1) for d in np.quantile(diameters, (0.02, 0.98))],
            "center": config.center,
            "seed": config.seed,
            "holdout": config.holdout,
            **({} if config.groups is None else {"held_out": val.names}),
            "crowds": config.crowds,
            "symmetries": _symmetries(config.stages[-1].augmentation),
            **({} if start.spacing is None else {"spacing_stated": stated}),
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
        dims=config.dims,
        pitch=(PITCH,) * config.dims,
        normalization=Normalization(config.normalization),
    )


def _symmetries(augmentation: Augmentation) -> int:
    """Symmetries of an image that the network learns to treat alike (inference/symmetries.py)."""
    return (2 if augmentation.flip else 1) * (4 if augmentation.turn else 1)


def build_network(config: TrainConfig, material: Material) -> nn.Module:
    """The network, new or with the weights of ``--init``.

    Raises:
        UserError: crops do not fit the network, or ``--init`` names a model that does not.
    """
    spec = material.spec
    network = spec.build()
    for stage in material.stages:
        *depth, stride, _ = strides(network, spec.dims)
        if stage.crop_size % stride:
            raise UserError(
                f"crop_size must be a multiple of {stride} for this {spec.network}, "
                f"not {stage.crop_size}"
            )
        if depth and (stage.crop_depth is None or stage.crop_depth % depth[0]):
            raise UserError(
                f"crop_depth, the planes of a crop of volumes, must be a multiple of {depth[0]} "
                f"for this {spec.network}, not {stage.crop_depth}"
            )
    if config.pretrained and config.init is None and not config.resume:
        if not isinstance(network, PretrainedUNet):
            raise UserError(
                f"there are no ImageNet weights for {spec.network}, only for pretrained_unet: add "
                "--pretrained false where the recipe asks for them"
            )
        load_imagenet(network.encoder)
    if config.init is not None and not config.resume:
        _start_from(config.init, network, spec)
    return network


def _start_from(path: Path, network: nn.Module, spec: ModelSpec) -> None:
    """Give ``network`` the weights of the model at ``path``."""
    given, theirs = load_network(path)
    if _targets(theirs) != _targets(spec):
        if sorted(_targets(theirs)) == sorted(_targets(spec)):
            own = " ".join(theirs.class_names)
            raise UserError(f"{path} finds the same targets in another order: add --classes {own}")
        raise UserError(
            f"{path} finds {' and '.join(theirs.class_names)}, the data holds "
            f"{' and '.join(spec.class_names)}; start from a model of the same targets, or choose "
            "one by --classes"
        )
    if (theirs.in_channels, spec.in_channels, spec.dims) == (1, COLORS, 2):
        other = for_color("convert them to grey")
        raise UserError(f"{path} takes grey images, the data's are in color; {other}")
    if (theirs.in_channels, len(theirs.class_names)) != (spec.in_channels, len(spec.class_names)):
        raise UserError(
            f"{path} has {theirs.in_channels} channels and {len(theirs.class_names)} classes, the "
            f"data {spec.in_channels} and {len(spec.class_names)}; they must be the same to start "
            "from it: store images with as many channels (grey ones with one), or choose classes "
            "by --classes"
        )
    network.load_state_dict(given.state_dict())


def _targets(spec: ModelSpec) -> tuple[str, ...]:
    """Names of several targets; of one target none."""
    return spec.class_names if spec.targets else ()
