"""Stacks in zarr: planes in z of an OME-Zarr image, or of an array that names its axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spatialembed.data.images.kinds import require_few_voxels
from spatialembed.data.images.reading_errors import AN_IMAGE
from spatialembed.data.images.series import Series
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.images.zarr_image import (
    TO_NAME_AXES,
    are_axes,
    letters,
    named,
    names_of,
    opened,
    steps_of,
    windowed,
)
from spatialembed.data.images.zarr_series import ZarrImage, require_mask
from spatialembed.errors import UserError

_VOLUME = "zyxc"
_FIVE = "tczyx"
"""Axes of OME-Zarr's first versions, which did not name them."""


def read_zarr_stack(path: Path, indices: bool, series: Series) -> np.ndarray:
    """Voxels (Z, H, W, C); see :func:`spatialembed.data.images.reading.read_stack`.

    Args:
        path: the folder.
        indices: for masks: the codecs must keep every id.
        series: which of its images.
    """
    stack = open_zarr_stack(path, indices, series)
    require_few_voxels(path, (*stack.shape, stack.channels))
    return stack.whole()


def open_zarr_stack(path: Path, indices: bool, series: Series) -> WindowedImage:
    """The same, to be read by windows."""
    node, image, _, _ = opened(path, series)
    with named(path):
        stack = windowed(path, image.array, _axes(path, image), _VOLUME)
        if indices:
            require_mask(path, node, image)
        return stack


def zarr_stack_size(path: Path, series: Series) -> tuple[int, int, int]:
    """See :func:`spatialembed.data.images.reading.stack_size`."""
    image = opened(path, series)[1]
    with named(path):
        lengths = dict(zip(_axes(path, image), map(int, image.array.shape), strict=True))
        return lengths["z"], lengths["y"], lengths["x"]


def zarr_spacing(path: Path, series: Series, axes: str = "zyx") -> tuple[float, ...] | None:
    """See :func:`spatialembed.data.images.reading.stack_spacing`; ``axes`` are those asked for."""
    image = opened(path, series)[1]
    with named(path):
        return steps_of(image, _axes(path, image), axes)


def _axes(path: Path, image: ZarrImage) -> str:
    """A letter an axis: z of two planes or more, y, x, perhaps c, and others of length 1."""
    shape = tuple(map(int, image.array.shape))
    names = names_of(image.array, image.names)
    if not names and image.scales and len(shape) == len(_FIVE):
        names = list(_FIVE)
    if len(names) != len(shape):
        raise UserError(
            f"{path} does not say what the axes of its shape {shape} are; {TO_NAME_AXES}"
        )
    axes = letters(names)
    if not are_axes(axes, shape, _VOLUME) or shape[axes.index("z")] < 2:
        raise UserError(
            f"{path} is no stack of planes in z: it has the shape {shape} (axes "
            f"{', '.join(names)}); store times as separate arrays, and {AN_IMAGE}"
        )
    return axes
