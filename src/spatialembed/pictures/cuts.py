"""Three cuts through a volume side by side, as one image: along its planes and across them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GAP = 2
"""Pixels between cuts, 0 in all that is shown."""


def cuts(voxels: NDArray[Any], point: tuple[int, int, int], step: int = 1) -> NDArray[Any]:
    """The plane (y, x) of a point, below it (z, x), to its right (y, z).

    Args:
        voxels: (Z, H, W) or (Z, H, W, C), of anything: an image, a label map.
        point: z, y, x that the cuts go through.
        step: how often each plane is repeated in the cuts across, where planes lie further apart
            than pixels.

    Returns:
        (H + 2 + Z step, W + 2 + Z step, ...) of the type of ``voxels``, 0 elsewhere.
    """
    z, y, x = point
    depth, height, width = voxels.shape[:3]
    deep = depth * step
    sheet = np.zeros((height + GAP + deep, width + GAP + deep, *voxels.shape[3:]), voxels.dtype)
    sheet[:height, :width] = voxels[z]
    sheet[height + GAP :, :width] = voxels[:, y].repeat(step, 0)
    sheet[:height, width + GAP :] = voxels[:, :, x].swapaxes(0, 1).repeat(step, 1)
    return sheet


def fullest(labels: NDArray[np.integer]) -> tuple[int, int, int]:
    """The plane, the row and the column of a label map (Z, H, W) that each cut most objects."""
    z, y, x = (fullest_along(labels, axis) for axis in range(3))
    return z, y, x


def fullest_along(labels: NDArray[np.integer], axis: int) -> int:
    """Which cut across an axis of a label map cuts most objects."""
    return int(np.argmax([_count(cut) for cut in np.moveaxis(labels, axis, 0)]))


def step_of(spacing: Sequence[float] | None) -> int:
    """How often a plane is repeated where voxels lie so far apart along (z, y, x); 1 for None."""
    return 1 if spacing is None else max(1, round(spacing[0] / spacing[2]))


def _count(labels: NDArray[np.integer]) -> int:
    return len(np.unique(labels[labels > 0]))
