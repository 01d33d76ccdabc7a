"""Images in which nothing can be seen where truth says objects are, as of values that wrapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.data_set import Problem
from spatialembed.data.sample import Window
from spatialembed.files.described import such

LEAST = 10_000
"""Pixels from which on an image is judged."""

SIDE = 1024
"""Of the middle of an image that is looked at, in pixels."""

ALIKE = 0.02
"""Correlation of neighbouring pixels below which they have nothing in common."""

APART = 0.05
"""Difference of the means inside and outside of objects, in standard deviations of the pixels,
below which nothing tells them apart."""


def middle(shape: tuple[int, ...]) -> Window:
    """The middle of an image or a volume of this shape."""
    return tuple(slice(max(0, (n - SIDE) // 2), max(0, (n - SIDE) // 2) + SIDE) for n in shape)


def is_noise(image: NDArray[Any], label_mask: NDArray[np.integer]) -> bool:
    """Whether neighbouring pixels have nothing in common, nor those of objects.

    Args:
        image: (*S, C) as stored.
        label_mask: (*S) integers, 0 background.
    """
    rows, inside = image.reshape(-1, *image.shape[-2:]), label_mask.reshape(-1, image.shape[-2])
    rows, is_object = rows.astype(np.float64), inside > 0
    if is_object.size < LEAST or is_object.all() or not is_object.any():
        return False
    return all(_is_noise(rows[..., c], is_object) for c in range(rows.shape[-1]))


def noise_warnings(noise: Mapping[Path, bool]) -> Iterator[Problem]:
    """A warning of the first of such images."""
    files = [file for file, found in noise.items() if found]
    if files:
        message = (
            "looks like noise: neighbouring pixels have nothing in common, and its objects are as "
            f"bright as what is around them{such(files)}; were 16 bits cut to 8, so that values "
            "wrapped around, or is it another image than its truth's? Replace it"
        )
        yield Problem(files[0], message, warning=True)


def _is_noise(rows: NDArray[np.float64], is_object: NDArray[np.bool_]) -> bool:
    if not np.isfinite(rows).all() or not rows.std():
        return False
    left, right = rows[:, :-1], rows[:, 1:]
    if not left.std() or not right.std():
        return False
    if abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) >= ALIKE:
        return False
    apart = abs(rows[is_object].mean() - rows[~is_object].mean())
    return bool(apart < APART * rows.std())
