"""How large the pixels of training images are, which a model keeps, and images of several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from spatialembed.data.checks.image_warnings import oblong_warnings
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.pixel_size import known_pixel_size
from spatialembed.data.images.spacing import ALIKE, MOST, PixelSize, side_of
from spatialembed.data.mixture import sets_of
from spatialembed.errors import UserError
from spatialembed.files.described import such
from spatialembed.training.config import TrainConfig


class PixelSizes(NamedTuple):
    """Of a run.

    Attributes:
        own: micrometres, of the model; None where it is not known.
        train, val: (n,) by how much each image is enlarged, so that its pixels are of that size.
    """

    own: float | None
    train: np.ndarray
    val: np.ndarray


def pixel_sizes(
    config: TrainConfig, train: FileDataSet, val: FileDataSet, resizes: bool = True
) -> tuple[PixelSizes, list[Problem]]:
    """Pixel sizes of a run, by what was asked for, else by what files state, and what to tell.

    The model's is the median of the training images, as all of which they are shown. It knows none
    where not all of them state theirs; and where objects of several sets are shown at one size,
    as then a set has a magnification of its own.

    Args:
        config: the run.
        train, val: its images.
        resizes: whether images may be shown at different magnifications.

    Raises:
        UserError: images whose sizes differ by more than eight times, or a size that was asked for
            of volumes or of several such sets.
    """
    ones = PixelSizes(config.pixel_size, np.ones(len(train)), np.ones(len(val)))
    by_objects = config.diameter is not None and len(sets_of(train)) > 1
    if config.pixel_size is not None and (train.dims == 3 or by_objects):
        instead = "give --spacing" if train.dims == 3 else "objects of all sets are shown at one"
        raise UserError(f"--pixel_size is of one set of images, and {instead}: leave it out")
    if config.pixel_size is not None:
        return ones, _stated_otherwise(train, config.pixel_size)
    if train.dims == 3 or by_objects:
        return ones, []
    sizes, others = _stated(train), _stated(val)
    told = [*_oblong(train, sizes), *_oblong(val, others)]
    sides = _sides(sizes)
    known = [side for side in sides if side is not None]
    if len(known) < len(sides):
        silent = _silent(train, sizes, "the model will know no pixel size") if known else []
        return ones, told + silent
    own = float(f"{np.median(known):.6g}")
    found = PixelSizes(own, _ratios(train, sides, own), _ratios(val, _sides(others), own))
    most = max(range(len(known)), key=lambda i: abs(known[i] / own - 1))
    told += _silent(val, others, "it is shown as it is")
    if abs(known[most] / own - 1) <= ALIKE:
        return found if resizes else ones._replace(own=own), told
    message = (
        f"has pixels of {known[most]:.3g} µm, the median of the training images is {own:.3g}: "
        + (
            "each is shown as large as with such"
            if resizes
            else "the model will know no pixel size"
        )
    )
    told.insert(0, Problem(train.items[most].image, message, warning=True))
    return (found if resizes else ones), told


def _stated_otherwise(train: FileDataSet, asked: float) -> list[Problem]:
    """A warning where files state other pixels than were asked for."""
    sides = enumerate(_sides(_stated(train)))
    others = [(i, one) for i, one in sides if one is not None and abs(one / asked - 1) > ALIKE]
    return [
        Problem(
            train.items[i].image,
            f"states pixels of {one:.3g} µm{such(others)}; they are taken for {asked:.3g}, as "
            "asked",
            warning=True,
        )
        for i, one in others[:1]
    ]


def _stated(data: FileDataSet) -> list[PixelSize | None]:
    """What each image's file states."""
    return [known_pixel_size(item.image) for item in data.items]


def _sides(sizes: Sequence[PixelSize | None]) -> list[float | None]:
    """Micrometres that pixels are wide; None where it is not stated, or no squares."""
    return [None if size is None else side_of(size) for size in sizes]


def _oblong(data: FileDataSet, sizes: Sequence[PixelSize | None]) -> Iterator[Problem]:
    return oblong_warnings({o.image: size for o, size in zip(data.items, sizes, strict=True)})


def _ratios(data: FileDataSet, sides: Sequence[float | None], own: float) -> np.ndarray:
    ratios = [1.0 if side is None else float(f"{side / own:.3g}") for side in sides]
    for i, ratio in enumerate(ratios):
        if not 1 / MOST <= ratio <= MOST:
            raise UserError(
                f"{data.items[i].image} has pixels of {sides[i]:.3g} µm, the median of the "
                f"training images is {own:.3g}: resample it, or give one --pixel_size for all if "
                "that is wrong"
            )
    return np.array(ratios)


def _silent(data: FileDataSet, sizes: Sequence[PixelSize | None], then: str) -> list[Problem]:
    silent = [data.items[i].image for i, size in enumerate(sizes) if size is None]
    if not silent:
        return []
    others = f"others do{such(silent)}"
    message = f"does not state the size of its pixels, {others}: {then}; give --pixel_size"
    return [Problem(silent[0], message, warning=True)]
