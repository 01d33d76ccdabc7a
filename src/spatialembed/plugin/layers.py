"""What napari's layers hold, and what a model finds in it: of images, stacks and their channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from spatialembed.data.images.spacing import Spacing, stated
from spatialembed.errors import UserError
from spatialembed.inference.other_voxels import other_voxels
from spatialembed.inference.stack import predict_stack
from spatialembed.inference.true_size import AS_IT_IS

if TYPE_CHECKING:
    from napari.layers import Image

    from spatialembed.inference.predictor import Model
    from spatialembed.instances import Instances
    from spatialembed.models.spec import ModelSpec

Channels: TypeAlias = "Sequence[Image]"
"""The layers of one image: a layer a channel, or a single one, grey or in color."""

BY_PLANES = (
    "Planes were looked at one by one, and what overlaps was joined; a model of volumes sees more."
)


def shape_of(layer: Image) -> tuple[int, ...]:
    """Of the image, without channels; of a pyramid the largest."""
    shape = tuple((layer.data[0] if layer.multiscale else layer.data).shape)
    return shape[:-1] if layer.rgb else shape


def pixels_of(channels: Channels) -> np.ndarray:
    """(*S, C) pixels, alpha left out."""
    arrays = [np.asarray(one.data[0] if one.multiscale else one.data) for one in channels]
    parts = [
        array[..., :3] if one.rgb else array[..., None]
        for one, array in zip(channels, arrays, strict=True)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)


def spacing_of(layer: Image) -> Spacing | None:
    """How far the voxels of a stack lie apart along z, y and x, as the layer's scale says.

    In micrometres where its units are lengths, else as it stands, in proportion. None where it is
    1 throughout in pixels: so napari has it where nobody says.
    """
    z, y, x = (abs(float(step)) for step in layer.scale[-3:])
    known = stated_by(layer)
    if known is not None:
        return known[0], known[1], known[2]
    return None if z == y == x == 1 else (z, y, x)


def stated_by(layer: Image) -> tuple[float, ...] | None:
    """Micrometres between pixels along (y, x), or voxels along (z, y, x), by scale and units."""
    axes = len(shape_of(layer))
    sizes = [abs(float(step)) for step in layer.scale[-axes:]]
    return stated(sizes, [str(unit) for unit in layer.units[-axes:]])


def channels_of(layer: Image, chosen: Channels, spec: ModelSpec) -> Channels:
    """The layers of a layer's image for a model of several channels: those chosen with it.

    Raises:
        UserError: they are not as many as the model takes.
    """
    if layer.rgb or spec.in_channels == 1 or spec.takes_grey:
        return [layer]
    layers = [one for one in chosen if not one.rgb and shape_of(one) == shape_of(layer)]
    if len(layers) != spec.in_channels:
        raise UserError(
            f"the model takes {spec.in_channels} channels: select the image layers of all of them "
            f"together ({layer.name} and {len(layers) - 1} of its size are)"
        )
    return layers


def require_dims(model: Model, name: str, shape: Sequence[int]) -> None:
    """Refuse a layer of this shape, without channels, that a model cannot see.

    Raises:
        UserError: it is neither image nor stack, or an image for a model of volumes.
    """
    if len(shape) not in (2, 3):
        raise UserError(
            f"{name} has {len(shape)} axes, {tuple(shape)}; select an image or a stack (z, y, x), "
            "grey or in color: split channels and times into layers of their own"
        )
    if len(shape) < model.spec.dims:
        raise UserError(
            f"{name} is an image, and {model.name} is of volumes: select a stack (z, y, x), or "
            "take a model of images"
        )


def find(model: Model, channels: Channels) -> tuple[Instances, list[str]]:
    """Instances of an image or a stack, and what to know of them, in sentences.

    Of a stack a model of images looks at the planes, and objects are joined where they overlap.

    Raises:
        UserError: the model does not take it.
    """
    first = channels[0]
    pixels, name = pixels_of(channels), first.name
    require_dims(model, name, pixels.shape[:-1])
    known = stated_by(first)
    if pixels.ndim == 4 and model.spec.dims == 2:
        found = predict_stack(model, pixels, name=name, spacing=known).instances
        return found, [BY_PLANES, *true_size(model, known)]
    # In proportion alone it tells nothing of sizes.
    sized = model.for_image(pixels, name, known)
    notes = other_voxels(spacing_of(first) if pixels.ndim == 4 else known, sized)
    told = [f"{name}: {note}." for note in notes]
    return sized.predict(pixels, name=name), [*told, *true_size(model, known)]


def true_size(model: Model, spacing: tuple[float, ...] | None) -> list[str]:
    """A sentence where an image is shown at another size by the layer's scale."""
    if model.shown_at(spacing) in (None, AS_IT_IS):
        return []
    return ["By its scale it was shown to the model as large as what that was trained on."]
