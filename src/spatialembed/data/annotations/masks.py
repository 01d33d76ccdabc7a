"""Masks of COCO files as pycocotools draws them, since that is what scores them.

pycocotools is C that trusts its input (NaN ends the process, run lengths that end early give pixels
from elsewhere in memory), so all of it is looked at first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

Rle = dict[str, Any]
"""A mask as pycocotools has it: "size" [height, width] and "counts", compressed run lengths."""

CORNERS = 3
"""Fewest corners of a polygon that has an area."""

LONGEST = 2**22
"""Pixels around a polygon; drawing takes memory in proportion."""

FARTHEST = 2**26
"""Pixels from the image's corner that a polygon may reach; C's integers end a little beyond."""


def segmentation_mask(segmentation: Any, height: int, width: int) -> Rle:
    """The mask of an annotation's polygons or run lengths.

    Polygons of fewer than three corners add nothing.

    Raises:
        ValueError: it is neither, or values that no image of this size has.
    """
    if isinstance(segmentation, Mapping):
        return _runs_mask(segmentation, height, width)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise ValueError("it is neither polygons nor run lengths")
    corners = [_corners(polygon) for polygon in segmentation]
    drawn = [each.tolist() for each in corners if len(each) >= 2 * CORNERS]
    if not drawn:
        return _of_runs([height * width], height, width)
    return dict(coco.merge(coco.frPyObjects(drawn, height, width)))


def box_mask(box: Sequence[float], height: int, width: int) -> Rle:
    """The mask of a box x, y, width, height.

    Raises:
        ValueError: it is not four finite numbers, or reaches too far.
    """
    values = _numbers(box)
    if values.shape != (4,):
        raise ValueError("a box must be four numbers: x, y, width and height")
    x, y, w, h = values.tolist()
    return segmentation_mask([[x, y, x + w, y, x + w, y + h, x, y + h]], height, width)


def area(mask: Rle) -> int:
    """Pixels of a mask."""
    return int(coco.area(mask))


def pixels(mask: Rle) -> np.ndarray:
    """(area,) int64: the mask's pixels, counted down the columns, x * height + y, increasing."""
    runs = run_lengths(mask["counts"])
    ends, lengths = np.cumsum(runs)[1::2], runs[1::2]
    before = np.cumsum(lengths) - lengths
    found: np.ndarray = np.arange(lengths.sum()) + np.repeat(ends - lengths - before, lengths)
    return found


def run_lengths(counts: str | bytes) -> np.ndarray:
    """(R,) int64 run lengths of COCO's compressed string of them.

    Each is a signed number in groups of 5 bits, least first, one character (48 + 32 * more + group)
    a group; from the fourth on as the difference to the one two before.

    Raises:
        ValueError: the string ends within a number or has a character that is none of these.
    """
    data = counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts
    groups = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if ((groups < 0) | (groups > 63)).any() or (len(groups) and groups[-1] & 32):
        raise ValueError("its compressed run lengths are damaged")
    last = np.flatnonzero(groups & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    place = np.arange(len(groups)) - np.repeat(first, last - first + 1)
    if len(place) and place.max() > 7:  # 40 bits: more pixels than any image has
        raise ValueError("its compressed run lengths are damaged")
    runs: np.ndarray = np.add.reduceat((groups & 31) << 5 * place, first) if len(first) else groups
    runs -= np.where(groups[last] & 16, 1 << 5 * (place[last] + 1), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _runs_mask(segmentation: Mapping[str, Any], height: int, width: int) -> Rle:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, Sequence) or list(size) != [height, width]:
        turned = " (height and width are swapped)" if size == [width, height] else ""
        raise ValueError(f"run lengths of size {size}, image {[height, width]}{turned}")
    runs = run_lengths(counts) if isinstance(counts, str | bytes) else _numbers(counts)
    if (runs < 0).any() or runs.sum() != height * width or (runs != np.floor(runs)).any():
        raise ValueError(
            f"run lengths must be whole, 0 or more, and add up to {height * width} pixels of a "
            f"{width}x{height} image"
        )
    return _of_runs(runs.astype(np.int64).tolist(), height, width)


def _of_runs(runs: list[int], height: int, width: int) -> Rle:
    return dict(coco.frPyObjects({"size": [height, width], "counts": runs}, height, width))


def _corners(polygon: Any) -> np.ndarray:
    """x0, y0, x1, y1, ... of a polygon that can be drawn."""
    values = _numbers(polygon)
    if len(values) % 2:
        raise ValueError("a polygon must be a list of x, y pairs")
    corners = values.reshape(-1, 2)
    around = np.abs(corners - np.roll(corners, 1, axis=0)).sum()
    if np.abs(values).max(initial=0) > FARTHEST or around > LONGEST:
        raise ValueError("a polygon reaches farther than an image can be large")
    return values


def _numbers(values: Any) -> np.ndarray:
    """(N,) float64 of a list of finite numbers."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists of several lengths
        array = np.empty(0, object)
    # Of no type but numbers': asked for floats, numpy takes words and truth values for such.
    is_list = isinstance(values, Sequence) and array.ndim == 1 and array.dtype.kind in "iuf"
    if not is_list or not np.isfinite(array).all():
        raise ValueError("a list of finite numbers is wanted")
    return array.astype(np.float64)
