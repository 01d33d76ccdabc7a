"""What is to be said of an image before its result is believed: pixels that are no number, a range
that had to be guessed or is not that of training."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialembed.errors import ImageWarning
from spatialembed.files.pixel_values import Values, values_of
from spatialembed.models.normalization import Normalization, Windows, parts_of, sampled

FAR = 10.0
"""Standard deviations of training that an image's mean may lie from the mean of training."""

DIM = 16.0
"""Times that an image may vary less than those of training."""


def tell(normalization: Normalization, image: npt.NDArray[Any], name: str) -> None:
    """Warn of all that is :func:`noticed` of an image (*spatial, C)."""
    for note in noticed(normalization, image):
        warnings.warn(ImageWarning(note, name), stacklevel=2)


def tell_sampled(normalization: Normalization, image: Windows, name: str) -> None:
    """As :func:`tell`, of the part of a large image that its percentiles are taken from."""
    if image.read(slice(0, 1), slice(0, 1)).dtype.itemsize > 1:
        parts = [image.read(*window) for window in sampled(image.shape)]
        pixels = np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])
        tell(normalization, pixels, f"{name} (a part of it)")


def noticed(normalization: Normalization, image: npt.NDArray[Any]) -> tuple[str, ...]:
    """What a person should know of how an image (*spatial, C) becomes the network's input.

    Empty for an image of 8 bits, and for any other whose type and range leave no doubt.
    """
    if image.dtype.itemsize == 1 and normalization.kind in ("range", "percentile"):
        return ()  # without looking: the type says it all
    values = values_of(parts_of(image))
    said = [not_finite(image), range_noticed(normalization, values)]
    if normalization.kind == "mean-std":
        said.append(_far(normalization, image))
    return tuple(text for text in said if text)


def not_finite(image: npt.NDArray[Any]) -> str | None:
    """How many pixels of an image (*spatial, C) are NaN or infinite, if some are."""
    if image.dtype.kind != "f":
        return None
    pixels = image.shape[:-1]
    count = int((~np.isfinite(image)).any(-1).sum())
    if not count:
        return None
    share = count / max(int(np.prod(pixels)), 1)
    return f"{count} pixels ({share:.2%} of all) are NaN or infinite and become 0; replace them"


def range_noticed(normalization: Normalization, values: Values) -> str | None:
    """What was guessed about which value is white, or that it is not that of training."""
    known = normalization.white
    if normalization.kind == "none":
        if known is None or values.white == known:
            return None
        return (
            f"{values.words} is not the range of the training images, which went up to {known:g}; "
            "convert it"
        )
    if normalization.kind != "range" or values.fills_type:
        return None
    if values.is_standardised:
        return f"{values.words} is of no known range and taken as it is; " + (
            "convert it to that of training" if known else "normalization percentile has none"
        )
    white = normalization.white_of(values)
    if white == known:
        if values.white == known:
            return None
        return (
            f"{values.words} is dark where the training images go up to {known:g}, which is "
            "taken as white; if it is stored in fewer bits, convert it to theirs"
        )
    return (
        f"{values.words}: {white:g} is taken as white"
        + (f", {known:g} in training" if known else "")
        + "; if it is not, convert the image to 8 bits"
    )


def _far(normalization: Normalization, image: npt.NDArray[Any]) -> str | None:
    if image.shape[-1] != len(normalization.mean):
        return None  # which is refused elsewhere
    for channel, (mean, std) in enumerate(zip(normalization.mean, normalization.std, strict=True)):
        stored = image[..., channel]
        stored = stored[np.isfinite(stored)].astype(np.float64)
        if stored.size and (abs(stored.mean() - mean) > FAR * std or stored.std() < std / DIM):
            return (
                f"values have mean {stored.mean():.4g} and deviation {stored.std():.4g}, those of "
                f"training {mean:.4g} and {std:.4g}; convert the image to their range"
            )
    return None
