"""The objects of a volume, as parts.py finds those of an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TOUCHING = np.ones((3, 3, 3), bool)
"""Voxels touch at a side, an edge or a corner."""


def objects_in_volume(
    label_mask: NDArray[np.integer],
    class_map: NDArray[np.integer],
    ignore: NDArray[np.bool_] | None = None,
) -> NDArray[np.int32]:
    """(n, 9) int32: id, class, box z0 y0 x0 z1 y1 x1, voxels of all parts; in the order of ids.

    The box is of the object's largest part, the first of equal ones: a stray voxel does not move
    it. Planes that are ignored as a whole do not part it, and it is taken to have as many voxels
    there as in the others. The class is that of the object's first voxel.

    Args:
        label_mask: (Z, H, W) integers, 0 background.
        class_map: (Z, H, W) class index on objects.
        ignore: (Z, H, W) where nobody knows; None for nowhere.
    """
    planes = np.arange(len(label_mask))
    if ignore is not None:
        planes = np.flatnonzero(label_mask.any((1, 2)) | ~ignore.all((1, 2)))
    if not len(planes):
        return np.zeros((0, 9), np.int32)
    if len(planes) < len(label_mask):
        label_mask, class_map = label_mask[planes], class_map[planes]
    ids, inverse = np.unique(np.append(label_mask, 0), return_inverse=True)  # 0 is the first
    numbers = inverse[:-1].reshape(label_mask.shape).astype(np.int32)
    rows = []
    for number, window in enumerate(ndimage.find_objects(numbers), 1):
        own = numbers[window] == number
        kind, box = class_map[window][own][0], _box(own, window)
        labelled = box[3] - box[0]
        box[[0, 3]] = planes[box[0]], planes[box[3] - 1] + 1
        voxels = round(np.count_nonzero(own) * (box[3] - box[0]) / labelled)
        rows.append([ids[number], kind, *box, voxels])
    return np.array(rows, np.int32).reshape(-1, 9)


def plane_diameters(voxels: NDArray[np.integer], depth: NDArray[np.integer]) -> NDArray[np.float64]:
    """(n,) of objects of so many voxels in so many planes: diameter of an ellipsoid in them."""
    widths: NDArray[np.float64] = np.sqrt(voxels / depth * (6 / np.pi))
    return widths


def _box(own: NDArray[np.bool_], window: tuple[slice, ...]) -> NDArray[np.intp]:
    parts, count = ndimage.label(own, TOUCHING)
    if count > 1:
        largest = int(np.bincount(parts.ravel())[1:].argmax())
        inner = ndimage.find_objects(parts)[largest]
    else:
        inner = tuple(slice(0, side) for side in own.shape)
    corner = np.array([side.start for side in window])
    ends = ([s.start for s in inner], [s.stop for s in inner])
    return np.concatenate([corner + end for end in ends])
