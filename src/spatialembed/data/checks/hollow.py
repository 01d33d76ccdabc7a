"""Masks of outlines alone, in which objects are rings around what they should hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spatialembed.data.parts import part_map

FEWEST = 3
"""Rings in a mask (H, W) from which they are no chance."""


def are_rings(label_mask: NDArray[np.integer]) -> bool:
    """Whether most parts of a mask (H, W) surround at least as much 0 as they cover."""
    # A line that goes on at corners alone is closed: of 0, sides alone join.
    holes, count = ndimage.label(label_mask == 0)
    if count < FEWEST:
        return False
    flat, width = holes.ravel(), holes.shape[1]
    first = np.zeros(count + 1, np.int64)
    first[flat[::-1]] = np.arange(flat.size)[::-1]  # of several the last is kept: the topmost pixel
    borders = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
    closed = np.setdiff1d(np.arange(1, count + 1), borders)
    parts = part_map(label_mask).ravel()
    area = np.bincount(parts)
    around = parts[first[closed] - width]  # above its topmost pixel a hole ends
    held = np.bincount(around, np.bincount(flat)[closed], minlength=len(area))
    rings = np.count_nonzero(held[1:] >= area[1:])
    return bool(rings >= FEWEST and 2 * rings > len(area) - 1)
