"""What tiles leave bare of the image that they are put together to."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import TypeAlias

import numpy as np

Box: TypeAlias = tuple[int, int, int, int]
"""Left, upper, right and lower end of a rectangle, in pixels."""


def bare_pixels(tiles: Collection[Box], image: Box) -> int:
    """How many pixels of an image no tile covers; tiles may overlap, and lie within it."""
    left, top, right, bottom = np.array(sorted(tiles), np.int64).T
    bare = 0
    for y, below in pairwise(np.unique([image[1], *top, *bottom, image[3]])):
        here = (top <= y) & (below <= bottom)
        # From left to right: how far those before reach, and where the next begins.
        reached = np.maximum.accumulate([image[0], *right[here]])
        following = np.array([*left[here], image[2]])
        bare += int((below - y) * np.maximum(following - reached, 0).sum())
    return bare
