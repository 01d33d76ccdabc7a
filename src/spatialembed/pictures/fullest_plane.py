"""One plane of a volume, as the image that pictures show of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatialembed.pictures.cuts import fullest_along

if TYPE_CHECKING:
    from spatialembed.instances import Instances


class Shown(NamedTuple):
    """What pictures are drawn of, all of one image."""

    image: NDArray[Any]
    output: NDArray[Any]
    found: Instances
    truth: NDArray[np.integer]


def shown(
    image: NDArray[Any], output: NDArray[Any], found: Instances, truth: NDArray[np.integer]
) -> Shown:
    """An image as it is; of a volume the plane with the most true objects.

    Args:
        image: (H, W, C) or (Z, H, W, C).
        output: its raw output, (2 + n_sigma + K, H, W) or (3 + n_sigma + K, Z, H, W); of the plane
            what the output says of y and x remains.
        found: its instances.
        truth: its label mask.
    """
    if truth.ndim == 2:
        return Shown(image, output, found, truth)
    z = fullest_along(truth if truth.any() else found.label_map, 0)
    bandwidths = len(output) - 3 - len(found.class_names)
    kept = [0, 1, 3] + [4] * (bandwidths > 1) + list(range(3 + bandwidths, len(output)))
    return Shown(image[z], output[kept, z], _in_plane(found, z), truth[z])


def _in_plane(found: Instances, z: int) -> Instances:
    from spatialembed.instances import Instances

    own = np.unique(found.label_map[z])
    own = own[own > 0]
    numbers = np.zeros(len(found) + 1, np.int32)
    numbers[own] = np.arange(1, len(own) + 1)
    rows = own - 1
    return Instances.from_label_map(
        numbers[found.label_map[z]], found.scores[rows], found.classes[rows], found.class_names
    )
