"""How wide objects of an image are, where nobody says: looked for at several sizes.

A model of several kinds of image saw all objects at one size. An image is shown to it at each of
some magnifications; the one is believed at which what it finds is of that size, sure, and much.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.images.windows import WindowedImage
from spatialembed.instances import Instances

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model

SHOWN = 512
"""Side of the square in an image's middle that is looked at, in pixels as the network sees it."""

MAGNIFICATIONS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""At which objects are looked for; what is found at the best one is measured, once more at its own
size."""

OFF, COVER = 0.2, 0.25
"""What an octave between the size found and that of training costs in seed score, and the power
that the share of the image within objects counts by. Chosen on training and validation images of
eight kinds."""

SEED = 0.5
"""Seed score from which on objects count."""


def typical_diameter(model: Model, pixels: NDArray[Any]) -> float:
    """Median diameter of the objects of an image in pixels; as in training if nothing is found.

    Args:
        model: whose spec says how wide objects of training were.
        pixels: (H, W, C) as stored.
    """
    trained = model.spec.object_diameter
    assert trained is not None  # a model that finds sizes knows its own

    def looked(zoom: float) -> Instances:
        sized = model.seeing(trained / zoom)
        window = _middle(pixels, SHOWN / sized.zoom)
        # One view: sizes need no more, and views of what is of another size disagree.
        return sized.cluster(sized.in_one_view(window), seed_threshold=SEED)

    found = {zoom: looked(zoom) for zoom in MAGNIFICATIONS}
    best = found[max(found, key=lambda zoom: _belief(found[zoom], trained / zoom))]
    if not len(best):
        return trained
    there = looked(trained / _median(best))
    return _median(there if len(there) else best)


def own_diameter(model: Model, image: WindowedImage) -> float:
    """:func:`typical_diameter` of an image that is read by windows."""
    height, width = image.shape
    half = round(SHOWN / model.spec.zoom / min(MAGNIFICATIONS) / 2)
    rows, columns = (slice(max(0, n // 2 - half), n // 2 + half) for n in (height, width))
    return typical_diameter(model, image.read(rows, columns))


def _belief(found: Instances, expected: float) -> float:
    """How much speaks for a magnification at which objects of an ``expected`` width are sought."""
    if not len(found):
        return 0.0
    sure = float(found.scores.mean()) - OFF * abs(log2(_median(found) / expected))
    return float(sure * (found.label_map > 0).mean() ** COVER)


def _median(found: Instances) -> float:
    return float(np.sqrt(np.median(found.areas) * 4 / np.pi))


def _middle(pixels: NDArray[Any], side: float) -> NDArray[Any]:
    """The square of about ``side`` pixels in the middle, or what there is of it."""
    height, width = pixels.shape[:2]
    half = max(1, round(side / 2))
    y, x = height // 2, width // 2
    return pixels[max(0, y - half) : y + half, max(0, x - half) : x + half]
