"""Micrometres of an image or volume of any size: at which size it is shown, what its labels say."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from spatialembed.data.images.kinds import is_zarr
from spatialembed.data.images.stack_windows import stack_grid
from spatialembed.data.images.zarr_image import Grid, grid_of
from spatialembed.errors import ImageWarning
from spatialembed.inference.folder import Outcome
from spatialembed.inference.other_voxels import other_voxels
from spatialembed.inference.own_size import middle
from spatialembed.inference.summary import true_size, unknown_size
from spatialembed.inference.true_size import AS_IT_IS, ratios_of, require_near

if TYPE_CHECKING:
    from spatialembed.data.images.windows import WindowedImage
    from spatialembed.inference.image_files import ImageFile
    from spatialembed.inference.predictor import Model

LOOKED_AT = 2048
"""Side of the square in an image that its objects' size and colors are taken from, in pixels."""


def diameter_in(
    image: ImageFile, reader: WindowedImage, model: Model, spacing: tuple[float, ...] | None
) -> float | None:
    """How wide objects are in an image, by its pixel size, else as the model finds it; it is told.

    None where it is shown as the model shows images by itself. So are volumes whose planes lie
    further apart than those of training, or less far: tiles are not resampled along z.

    Raises:
        UserError: its pixels are far larger or smaller than those of training.
    """
    if model.sized:
        return None
    name, ratios = str(image.path), ratios_of(model.spec, spacing)
    if ratios is not None and model.spec.object_diameter is not None:
        require_near(ratios, model.name, model.spec, name)
    if ratios is not None and ratios.depth != 1:
        ratios = AS_IT_IS
        apart = (
            "its planes are apart otherwise than in training, and tiles are not resampled along z; "
            "predict it into a folder, where memory allows, which does, or resample it first"
        )
        warnings.warn(ImageWarning(apart, name), stacklevel=3)
    seen = Outcome(image, 0, ratios=ratios or model.shown_at(spacing))
    for note in (true_size([seen], model), unknown_size([seen], model)):
        if note is not None:
            warnings.warn(ImageWarning(note.removeprefix(f"{name} "), name), stacklevel=3)
    if ratios is not None and model.spec.object_diameter is not None:
        return model.spec.object_diameter / ratios.planes
    if model.finds_size:
        return model.own_diameter(reader.read(*middle(reader.shape, LOOKED_AT)), name)
    return None


def grid_in(image: ImageFile, model: Model, spacing: tuple[float, ...] | None) -> Grid:
    """Where pixels lie: as OME-Zarr says it, or by micrometres that are known otherwise."""
    if model.spec.dims == 3:
        return stack_grid(image.path, image.series)
    grid = grid_of(image.path, image.series)
    if spacing is None or (model.pixel_size is None and is_zarr(image.path)):
        return grid
    axes = [axis | {"unit": "micrometer"} for axis in grid.axes]
    sides = zip(grid.place, grid.size, spacing, strict=True)
    return Grid(axes, list(spacing), [place / size * new for place, size, new in sides])


def tell_of_voxels(
    image: ImageFile, model: Model, spacing: tuple[float, ...] | None, notes: list[str]
) -> None:
    """Warn of what was noted, and of voxels unlike those that the model, at its size, knows."""
    for note in (*notes, *other_voxels(spacing, model)):
        warnings.warn(ImageWarning(note, str(image.path)), stacklevel=3)
