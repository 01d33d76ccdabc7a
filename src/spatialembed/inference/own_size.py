"""How wide objects of an image are, where nobody says: looked for at several sizes.

A model of several kinds of image saw all objects at one size. An image is shown to it at each of
some magnifications; the one is believed at which what it finds is of that size, sure, and much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.instances import Instances

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


Look = Callable[[NDArray[Any], float], Instances]
"""What a model finds in a window (H, W, C) if its objects are so many pixels wide."""


def typical_diameter(pixels: NDArray[Any], trained: float, zoom: float, look: Look) -> float:
    """Median diameter of the objects of an image in pixels; as in training if nothing is found.

    Args:
        pixels: (H, W, C) as stored.
        trained: median diameter of the model's training objects.
        zoom: magnification at which the network sees objects of that size.
        look: the model.
    """

    def looked(diameter: float) -> Instances:
        return look(pixels[middle(pixels.shape[:2], SHOWN * diameter / trained / zoom)], diameter)

    found = {(d := trained / magnification): looked(d) for magnification in MAGNIFICATIONS}
    best = found[max(found, key=lambda diameter: _belief(found[diameter], diameter))]
    if not len(best):
        return trained
    there = looked(_median(best))
    return _median(there if len(there) else best)


def middle(shape: Sequence[int], side: float) -> tuple[slice, slice]:
    """The square of about ``side`` pixels in the middle of (H, W), or what there is of it."""
    half = max(1, round(side / 2))
    return tuple(slice(max(0, n // 2 - half), n // 2 + half) for n in shape)  # type: ignore[return-value]


def most_seen(zoom: float) -> float:
    """Side of the largest square that :func:`typical_diameter` looks at, in pixels."""
    return SHOWN / min(MAGNIFICATIONS) / zoom


def _belief(found: Instances, expected: float) -> float:
    """How much speaks for a magnification at which objects of an ``expected`` width are sought."""
    if not len(found):
        return 0.0
    sure = float(found.scores.mean()) - OFF * abs(log2(_median(found) / expected))
    return float(sure * (found.label_map > 0).mean() ** COVER)


def _median(found: Instances) -> float:
    return float(np.sqrt(np.median(found.areas) * 4 / np.pi))
