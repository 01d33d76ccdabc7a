"""Planes through a volume: along its own and across them, in true proportions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatialembed.pictures.colors import RGB, to_rgb

AXES = "zyx"

MOST = 20.0
"""Times that a voxel is drawn longer than wide, at most."""


class Plane(NamedTuple):
    """All voxels of a volume at one z, y or x."""

    axis: int
    """0 for z, 1 for y, 2 for x."""
    at: int
    """Which one, from 0."""

    def of(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """(Z, H, W, ...) voxels there: (H, W, ...), or with z down (Z, W, ...), (Z, H, ...)."""
        where: tuple[slice | int, ...] = (*[slice(None)] * self.axis, self.at)
        return np.asarray(voxels[where])

    def __str__(self) -> str:
        return f"{AXES[self.axis]} = {self.at}"


def fullest(labels: NDArray[np.integer], axis: int = 0) -> Plane:
    """The plane across an axis of a label map (Z, H, W) that cuts most objects."""
    counts = [len(np.unique(cut[cut > 0])) for cut in np.moveaxis(labels, axis, 0)]
    return Plane(axis, int(np.argmax(counts)))


def proportions(spacing: Sequence[float] | None) -> tuple[float, float, float]:
    """How long a voxel is along z, y and x, its shortest side being 1; of cubes for None."""
    z, y, x = (1.0, 1.0, 1.0) if spacing is None else spacing
    least = min(z, y, x)
    return min(z / least, MOST), min(y / least, MOST), min(x / least, MOST)


def across(ratios: Sequence[float], axis: int) -> tuple[float, float]:
    """:func:`proportions` of the rows and columns of a plane across an axis."""
    rows, columns = (ratio for k, ratio in enumerate(ratios) if k != axis)
    return rows, columns


def stretched(plane: NDArray[Any], ratios: tuple[float, float]) -> NDArray[Any]:
    """A plane (H, W, ...) whose rows and columns are repeated until it has so many times as many.

    Labels stay labels: nothing is interpolated.
    """
    for axis, ratio in enumerate(ratios):
        if ratio != 1:
            there = plane.shape[axis]
            wanted = (np.arange(max(1, round(there * ratio))) + 0.5) / ratio
            plane = plane.take(np.minimum(wanted.astype(np.intp), there - 1), axis)
    return plane


def volume_rgb(voxels: NDArray[Any]) -> NDArray[np.uint8]:
    """(Z, H, W, 3) pictures of the planes of (Z, H, W, C) voxels, stretched all alike."""
    flat: RGB = to_rgb(voxels.reshape(-1, *voxels.shape[2:]))
    return flat.reshape(*voxels.shape[:3], 3)
