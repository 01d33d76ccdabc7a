"""A last step after clustering: every pixel of the foreground goes where it fits best.

Clustering gives a pixel to the first object that claims it, by the margin of one seed. Once all
objects are known, each has many pixels to tell its center and its margin by, and those that come
first need not win. This goes beyond the paper.
"""

from __future__ import annotations

import math

import numpy as np

from spatialembed.embedding import PITCH, Array, Pitch, clamped, raw_output
from spatialembed.errors import require_number
from spatialembed.instances import Instances
from spatialembed.kernels.foreground import Foreground, take_foreground, widths
from spatialembed.kernels.nearest import areas, nearest_instances, owners, sums
from spatialembed.kernels.visit import finish

LEAST_PHI = 0.2
"""φ below which a pixel goes to no object. Chosen on validation images (DSB2018)."""


def refine(
    found: Instances,
    output: Array,
    n_sigma: int = 1,
    foreground_threshold: float = 0.5,
    min_size: int = 1,
    pitch: Pitch = PITCH,
    margin: float | None = None,
) -> Instances:
    """Give every foreground pixel to the instance of its class with the highest φ.

    An instance's center is the mean embedding of the pixels that clustering gave it, its bandwidth
    their mean σ, as in the loss. A pixel whose φ is nowhere above :data:`LEAST_PHI` goes to none,
    and an instance that is left with too few pixels is gone, they are background.

    Args:
        found: what :func:`spatialembed.cluster` found in ``output``, or the first of it.
        output, n_sigma, foreground_threshold, min_size, pitch, margin: as they were given to it.

    Returns:
        The instances, in their order, with the scores that they had.

    Raises:
        ValueError: an instance of a class that the output has no seed map of.

    Example:
        Columns 0 to 2 point to column 1 and the others to column 4, but the first object took
        column 3.

        >>> import numpy as np
        >>> from spatialembed.embedding import margin_to_sigma
        >>> output = np.zeros((4, 4, 6))  # offsets in x and y, bandwidth, seed logits
        >>> output[0] = np.arctanh(np.array([1, 0, -1, 1, 0, -1]) * PITCH)
        >>> output[2] = margin_to_sigma(3)  # pixels
        >>> output[3, 1:3] = 1
        >>> found = Instances.from_label_map(np.array([[0, 0, 0, 0, 0, 0],
        ...                                            [1, 1, 1, 1, 2, 2],
        ...                                            [1, 1, 1, 1, 2, 2],
        ...                                            [0, 0, 0, 0, 0, 0]]))
        >>> refine(found, output).label_map
        array([[0, 0, 0, 0, 0, 0],
               [1, 1, 1, 2, 2, 2],
               [1, 1, 1, 2, 2, 2],
               [0, 0, 0, 0, 0, 0]], dtype=int32)
    """
    if len(found) == 0:
        return found
    n_sigma = int(require_number(n_sigma, "n_sigma", whole=True))
    foreground = take_foreground(raw_output(output), n_sigma, foreground_threshold, pitch, margin)
    return refine_foreground(found, foreground, min_size)


def refine_foreground(
    found: Instances, foreground: Foreground, min_size: int = 1, in_place: bool = False
) -> Instances:
    """:func:`refine`, of the foreground that ``found`` was found in.

    ``in_place`` writes over the label map of ``found``, all of whose pixels are foreground: a new
    one of a large image is memory that the system has to clear first.
    """
    count = len(found)
    if count == 0:
        return found
    if found.classes.max() >= foreground.n_classes:
        raise ValueError(f"an instance of class {found.classes.max()}, whose seed map is not there")
    if not len(foreground.pixel):
        empty, none = np.zeros(foreground.shape, np.int32), slice(0)
        own = (found.scores[none], found.classes[none], found.boxes[none], found.class_names)
        return Instances.unchecked(empty, *own)
    center, width = _objects(found, foreground)
    cells = foreground.cells
    # φ falls as the distance rises, so that no exponential is taken of any pixel.
    limit = np.float32(-math.log(LEAST_PHI))
    label = nearest_instances(center, width, found.classes, limit, cells)
    left = areas(label, cells.twin, count) >= max(1, min_size)
    label = np.concatenate([[0], np.where(left, left.cumsum(), 0)]).astype(np.int32)[label]
    label_map = found.label_map if in_place else np.zeros(foreground.shape, np.int32)
    flat = label_map.reshape(-1)
    boxes = finish(foreground.pixel, foreground.place, cells.slot, label, left.sum(), flat)
    return Instances.unchecked(
        label_map,
        found.scores[left],
        found.classes[left],
        boxes,
        found.class_names,
    )


def _objects(found: Instances, foreground: Foreground) -> tuple[np.ndarray, np.ndarray]:
    """(D, N) centers and inverse squared widths of the instances, each of all of its pixels.

    Where clustering had its seed alone to go by.
    """
    count, dims = len(found), len(foreground.place)
    label_map = found.label_map.reshape(-1)
    owner = owners(label_map, found.classes, foreground.pixel, foreground.kind)
    area = np.bincount(owner, minlength=count + 1)[1:]
    sigma = clamped(foreground.sigma_of())
    with np.errstate(invalid="ignore"):  # NaN of an object without foreground
        mean_sigma = (sums(sigma, owner, count) / area).astype(np.float32)
        center = (sums(foreground.position, owner, count) / area).astype(np.float32)
    return center, widths(mean_sigma, dims)
