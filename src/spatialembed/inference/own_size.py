"""How wide objects of an image are, where nobody says: by what is found in it.

A model of several kinds of image has seen all objects at one size. What it finds in an image as it
is, and then at the size of what was found, is measured. The usual width is the median in which an
object counts by its width: the plain median follows specks and pieces as soon as they are many.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.errors import ImageWarning
from spatialembed.instances import Instances

SHOWN = 512
"""Side of the square in an image's middle that is looked at, in pixels as the network sees it."""

LOOKS = 2
"""How often: once in the image as it is, once at the size of what that found. The best of five
magnifications by seed scores was worse: it takes colonies for cells (benchmarks/LOG.md)."""

UNSURE = 1.5
"""Ratio of what two looks find from which on it is told. It was 1.44 at most in 23 images of six
kinds; of generated discs 150 to 300 pixels wide 2.1 to 2.9, where the size was wrong above 150."""

SEED = 0.5
"""Seed score from which on objects count."""

Look = Callable[[NDArray[Any], float], Instances]
"""What a model finds in a window (H, W, C) if its objects are so many pixels wide."""


def typical_diameter(
    pixels: NDArray[Any], trained: float, zoom: float, look: Look, name: str = "the image"
) -> float:
    """How wide the objects of an image are in pixels; as in training if nothing is found.

    Warns where what the looks find differs by more than :data:`UNSURE`.

    Args:
        pixels: (H, W, C) as stored.
        trained: median diameter of the model's training objects.
        zoom: magnification at which the network sees objects of that size.
        look: the model.
        name: what the warning calls the image.
    """
    diameter = before = trained
    for _ in range(LOOKS):
        before = diameter
        window = middle(pixels.shape[:2], SHOWN * diameter / trained / zoom)
        found = look(pixels[window], diameter)
        if len(found):
            diameter = usual_width(np.sqrt(np.asarray(found.areas) * 4 / np.pi))
    if max(before, diameter) > UNSURE * min(before, diameter):
        note = (
            f"how wide its objects are is unsure: one look found {before:.0f} pixels, the next, "
            f"which is taken, {diameter:.0f}; where the picture is wrong say with --diameter how "
            "wide they are"
        )
        warnings.warn(ImageWarning(note, name), stacklevel=2)
    return diameter


def usual_width(widths: NDArray[np.floating[Any]]) -> float:
    """The width of (n,) objects below which half of the sum of all widths lies, n at least 1."""
    ordered = np.sort(widths)
    halfway = np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)
    return float(ordered[min(halfway, len(ordered) - 1)])


def middle(shape: Sequence[int], side: float) -> tuple[slice, slice]:
    """The square of about ``side`` pixels in the middle of (H, W), or what there is of it."""
    half = max(1, round(side / 2))
    rows, columns = (slice(max(0, n // 2 - half), n // 2 + half) for n in shape)
    return rows, columns
