"""What a run on volumes needs to know before its model is described: how far apart voxels lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from spatialembed.data.checks.volume_warnings import other_spacings
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.kinds import SUFFIXES, is_plane_folder
from spatialembed.data.images.reading import image_size, is_stack, stack_spacing
from spatialembed.data.images.spacing import Spacing, in_words, unlike
from spatialembed.embedding import PITCH
from spatialembed.errors import UserError
from spatialembed.files.described import such
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import TrainConfig


def require_dims(config: TrainConfig, train: FileDataSet, start: ModelSpec | None) -> None:
    """Refuse volumes to a recipe, or to a start, of images, and the other way round.

    Raises:
        UserError: they do not fit.
    """
    if start is not None and start.dims != train.dims:
        raise UserError(
            f"{train.root} holds {train.things}, and {config.init} is not of such; leave --init "
            "out, or start from a model of them"
        )
    if train.dims > config.dims:
        raise UserError(
            f"{train.root} holds volumes{_in_planes(train)}: train by --config volumes, or by a "
            "recipe whose stages have a crop_depth"
        )
    if train.dims < config.dims:
        _require_images(train)
        raise UserError(
            f"{train.root} holds images, and the recipe is of volumes, whose masks are stacks: "
            "take one such as --config nuclei, or store each volume, and its mask, as one file or "
            "as a folder of planes in images and masks (a label folder; COCO and Cityscapes are of "
            "images alone)"
        )
    if train.dims == 2 and config.spacing is not None:
        raise UserError(
            f"--spacing is of volumes, and {train.root} holds images: leave it out; how large "
            "their pixels are is told by --pixel_size"
        )


def _require_images(train: FileDataSet) -> None:
    """Refuse what is neither an image nor a volume, as several times are: its axes say the remedy.

    Raises:
        UserError: the first image or its mask is none of both.
    """
    first = train.items[0]
    for file in (first.image, first.truth):
        if file.suffix.lower() in SUFFIXES and not is_stack(file):
            image_size(file)


def _in_planes(train: FileDataSet) -> str:
    """What to do where images of their own are taken for planes."""
    if not is_plane_folder(image := train.items[0].image):
        return ""
    return f" (files of {image} are its planes; move images of their own into {image.parent})"


def comes_to_two_planes(config: TrainConfig) -> bool:
    """Whether some level of the network may see two planes of a crop, as it halves them.

    torch 2.13 then leaves parts of a convolution's gradient in bf16 unwritten on a processor:
    whatever was in memory is taken for it. Tested by tests/training/test_volume_precision.py.
    """
    depths = [stage.crop_depth for stage in config.stages if stage.crop_depth is not None]
    return any(depth > 1 and depth & (depth - 1) == 0 for depth in depths)


def spacing_of(
    config: TrainConfig, train: FileDataSet, val: FileDataSet, own: Spacing | None
) -> tuple[Spacing | None, list[Problem]]:
    """Spacing of the training volumes: what was asked for, what their files say, or ``own``, that
    of the model that the run starts from. It is told where those of ``val`` say another.

    Returns:
        It, None where nobody says; and what to tell of it.

    Raises:
        UserError: the files say different proportions.
    """
    if config.spacing is not None:
        z, y, x = config.spacing
        return (z, y, x), list(_stated_otherwise(train, (z, y, x)))
    files = _stated(train)
    stated = list(files.values())
    known = [(i, one) for i, one in enumerate(stated) if one is not None]
    if len(known) < len(stated):
        silent = train.items[stated.index(None)].image
        message = (
            f"{silent} does not say how far its voxels lie apart; "
            + (
                "the others' distances are taken"
                if known
                else f"the distances of {config.init} are taken"
                if own
                else "they are taken for cubes"
            )
            + ": give them with --spacing Z Y X"
        )
        told = [Problem(config.data, message, warning=True)]
    else:
        told = []
    if not known:
        return own, told
    first = known[0][1]
    for i, other in known[1:]:
        if unlike(other, first):
            raise UserError(
                f"{train.items[i].image} has voxels of {in_words(other)}, "
                f"{train.items[known[0][0]].image} of {in_words(first)}: train on each kind by "
                "itself, or give one --spacing for all"
            )
    usual = train.items[known[0][0]].image, first
    for split in (files, {file: one for file, one in _stated(val).items() if file not in files}):
        of_split = {file: one for file, one in split.items() if one is not None}
        told += other_spacings(of_split, usual, True)
    return first, told


def _stated(data: FileDataSet) -> dict[Path, Spacing | None]:
    return {item.image: stack_spacing(item.image) for item in data.items}


def _stated_otherwise(train: FileDataSet, asked: Spacing) -> Iterator[Problem]:
    """A warning where files state other proportions than were asked for."""
    others = {}
    for item in train.items:
        with suppress(UserError):  # which may be why one is asked for
            stated = stack_spacing(item.image)
            if stated is not None and unlike(stated, asked):
                others[item.image] = stated
    for file, stated in list(others.items())[:1]:
        message = (
            f"states voxels of {in_words(stated)}{such(others, 'volumes')}, in other proportions "
            f"than --spacing {' '.join(f'{step:g}' for step in asked)} (z, y, x), which is taken"
        )
        yield Problem(file, message, warning=True)


def pitch_of(spacing: Spacing | None, zoom: float) -> tuple[float, float, float]:
    """Along x, y and z, of volumes whose planes the network sees enlarged: lengths in proportion.

    Planes themselves have the pitch of images.
    """
    z, y, x = spacing or (1.0, 1.0, 1.0)
    return PITCH, PITCH * y / x, PITCH * z / x * zoom


def flattened(network: str, options: dict[str, Any], pitch: tuple[float, ...]) -> dict[str, Any]:
    """Options of a network of volumes, with as many ``flat`` levels as such voxels ask for."""
    if network != "residual_unet" or "flat" in options:
        return options
    from spatialembed.models.axes import flat_for
    from spatialembed.models.residual_unet import WIDTHS

    levels = len(options.get("widths", WIDTHS))
    return {**options, "flat": flat_for(pitch[2] / pitch[0], levels)}
