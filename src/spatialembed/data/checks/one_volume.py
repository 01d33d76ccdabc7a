"""One volume with its truth, as a check sees it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spatialembed.data.checks.across_splits import Traces
from spatialembed.data.checks.borders import digest_of
from spatialembed.data.checks.mask_signs import (
    FULL,
    Sign,
    Signs,
    is_stray,
    pieces_of,
    signs_by_parts,
)
from spatialembed.data.checks.noise import is_noise, middle
from spatialembed.data.checks.one_image import Look
from spatialembed.data.data_set import FileDataSet
from spatialembed.data.images.reading import stack_spacing
from spatialembed.data.images.spacing import Spacing
from spatialembed.data.layouts.label_folder import LabelFolder
from spatialembed.data.volume_objects import TOUCHING, objects_in_volume
from spatialembed.files.pixel_values import values_of

EDGE = 2
"""Voxels that what surrounds all objects may stay away from the borders."""

FEWEST_APART, APART = 3, 0.05
"""Ids of two planes, and their share, that touch nowhere in these, from which it is no chance."""


def look_at_volume(dataset: FileDataSet, i: int) -> Look:
    """Read volume ``i`` and its truth; raises UserError for whatever is wrong with them."""
    sample, item = dataset[i], dataset.items[i]
    spacing = stack_spacing(item.image)
    objects = objects_in_volume(sample.label_mask, sample.class_map, sample.ignore)
    planes = Sign.PLANES if by_planes(sample.label_mask) else None
    signs = volume_signs(sample.label_mask, objects, spacing, planes)
    window = middle(sample.label_mask.shape)
    return Look(
        shape=sample.label_mask.shape,
        channels=sample.image.shape[-1],
        dtype=sample.image.dtype,
        objects=objects,
        ignored=int(sample.ignore.sum()),
        mask=(item.truth, signs, _whole_areas(dataset, i, objects)),
        values=values_of([sample.image]),
        traces=Traces(digest_of(sample.image), None),
        spacing=spacing,
        noise=is_noise(sample.image[window], sample.label_mask[window]),
    )


def _whole_areas(dataset: FileDataSet, i: int, objects: NDArray[np.int32]) -> NDArray[np.integer]:
    """(n,) voxels that objects have in the volume that a slab is of: its border cuts specks off."""
    if not isinstance(dataset, LabelFolder) or dataset.slab is None:
        return objects[:, -1]
    ids, counts = np.unique(replace(dataset, slab=None).truth(i).label_mask, return_counts=True)
    areas: NDArray[np.integer] = counts[np.searchsorted(ids, objects[:, 0])]
    return areas


def volume_signs(
    label_mask: NDArray[np.integer],
    objects: NDArray[np.int32],
    spacing: Spacing | None = None,
    planes: Sign | None = None,
) -> Signs:
    """Signs of a volume by the parts of its objects; rims are of images alone.

    Args:
        label_mask: (Z, H, W) integers, 0 background.
        objects: (n, 9) of it, by :func:`~spatialembed.data.volume_objects.objects_in_volume`.
        spacing: by which distances are measured; voxels are taken for cubes where it is unknown.
        planes: what is known of its planes, as of :func:`by_planes`.
    """
    far, stray = _far_parts(label_mask, objects, np.array(spacing or (1, 1, 1), float))
    surrounded = _surrounds(objects, label_mask.shape)
    pieces = 1
    if objects[:, 0].tolist() == [FULL]:
        pieces = pieces_of(np.bincount(ndimage.label(label_mask, TOUCHING)[0].ravel())[1:])
    return signs_by_parts(objects[:, 0], far, stray, planes, surrounded, pieces=pieces)


def by_planes(label_mask: NDArray[np.integer]) -> bool:
    """Whether the planes of a mask (Z, H, W) seem to be labelled one by one.

    Then hardly anything has the id of what lies in the next plane, or ids that count from 1 in
    each plane are of something else there.
    """
    both = same = shared = apart = 0
    for one, other in pairwise(label_mask):
        here = (one > 0) & (other > 0)
        kept = here & (one == other)
        both, same = both + int(here.sum()), same + int(kept.sum())
        ids = int(np.count_nonzero(np.intersect1d(one, other)))
        shared, apart = shared + ids, apart + ids - len(np.unique(one[kept]))
    return 10 * same < both or (apart >= FEWEST_APART and apart >= APART * shared)


def _far_parts(
    label_mask: NDArray[np.integer], objects: NDArray[np.int32], steps: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) of every object: parts of note that lie far from its largest one, and stray ones."""
    found = np.zeros((2, len(objects)), np.int64)
    ids = objects[:, 0]
    numbers = np.where(label_mask > 0, np.searchsorted(ids, label_mask) + 1, 0)
    for k, window in enumerate(ndimage.find_objects(numbers)):
        whole = [side.start for side in window], [side.stop for side in window]
        if not np.array_equal(np.concatenate(whole), objects[k, 2:8]):  # else nothing lies far
            found[:, k] = _far_of(numbers[window] == k + 1, steps)
    return found[0], found[1]


def _far_of(own: NDArray[np.bool_], steps: NDArray[np.float64]) -> tuple[int, int]:
    """The same of one object; what is far is as :func:`~spatialembed.data.parts.is_far` says."""
    parts, _ = ndimage.label(own, TOUCHING)
    size = np.bincount(parts.ravel())[1:]
    boxes = ndimage.find_objects(parts)
    low = np.array([[side.start for side in box] for box in boxes]) * steps
    high = np.array([[side.stop for side in box] for box in boxes]) * steps
    k = int(size.argmax())
    gap = np.maximum(low - high[k], low[k] - high).clip(0)
    far = np.linalg.norm(gap, axis=1) >= np.linalg.norm(high[k] - low[k])
    stray = far & is_stray(size, size[k])
    return int(np.count_nonzero(far & ~stray)), int(np.count_nonzero(stray))


def _surrounds(objects: NDArray[np.int32], shape: tuple[int, ...]) -> bool:
    """Whether an object reaches all borders and hardly a voxel is 0."""
    voxels, size = objects[:, -1].astype(np.int64), np.prod(shape, dtype=np.int64)
    if voxels.sum() < 0.75 * size:
        return False
    largest = objects[voxels.argmax()]
    reaches = (largest[2:5] <= EDGE) & (largest[5:8] >= np.array(shape) - EDGE)
    return bool(reaches.all() and 3 * voxels.max() >= size)
