"""Whether an image has the channels that a model takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spatialembed.data.images.windows import WindowedImage, blocks
from spatialembed.errors import UserError
from spatialembed.inference.image_like import is_grey
from spatialembed.models.shipped import for_color

if TYPE_CHECKING:
    from spatialembed.models.spec import ModelSpec

FEW, MANY = 4, 16
"""Channels that an image may well have, and what hardly one has and an axis of pixels does."""


def require_channels(model: str, spec: ModelSpec, channels: int, name: str) -> None:
    """Raise a UserError for an image called ``name`` that has not the channels of a model."""
    count = spec.in_channels
    if channels == count or (channels == 1 and spec.takes_grey):
        return
    grey = " (or one, grey)" if spec.takes_grey else ""
    if count == 1 and channels in (3, 4) and spec.dims == 2:
        one = "take the color that shows its objects (of a stain in blue, `predict --channel 2`)"
        grey = "convert it to grey, where its objects are dark with --invert"
        raise UserError(f"{name} is in color, {model} takes grey images; {for_color(one, grey)}")
    raise UserError(
        f"the model expects {count} channel{'s' * (count > 1)}{grey}, {name} has {channels}: name "
        "those that it learned from with `predict --channel`, or train a model for such "
        f"{'images' if spec.dims == 2 else 'volumes'}"
    )


def fitting(model: str, spec: ModelSpec, pixels: np.ndarray, name: str) -> np.ndarray:
    """(*S, C) pixels with a model's channels: of a grey image stored in color, one of them.

    Raises:
        UserError: the channels are not the model's, or there is no pixel.
    """
    if spec.in_channels == 1 and is_grey(pixels):
        pixels = pixels[..., :1]
    if spec.in_channels != pixels.shape[-1] and pixels.shape[0] <= FEW < MANY <= pixels.shape[-1]:
        axes = "(Z, H, W, C)" if spec.dims == 3 else "(H, W, C)"
        raise UserError(
            f"{name} is of shape {pixels.shape}, with its channels first, as torch has them: give "
            f"{axes}"
        )
    require_channels(model, spec, pixels.shape[-1], name)
    if pixels.size == 0:
        raise UserError(f"{name} has no pixels: its shape is {pixels.shape}")
    return pixels


def fitting_parts(model: str, spec: ModelSpec, image: WindowedImage) -> WindowedImage:
    """:func:`fitting` of what is read in parts: grey is what is so in all of them.

    Raises:
        UserError: the channels are not the model's, or a part cannot be read.
    """
    in_color = spec.in_channels == 1 and image.channels in (3, 4)
    if in_color and all(is_grey(image.read(*window)) for window in blocks(image)):
        return replace(image, channels=1, reader=lambda *part: image.reader(*part)[..., :1])
    require_channels(model, spec, image.channels, str(image.path))
    return image
