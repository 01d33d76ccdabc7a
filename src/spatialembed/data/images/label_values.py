"""Stored values as ids of objects, or what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spatialembed.errors import UserError


def as_mask(path: Path, array: np.ndarray) -> np.ndarray:
    """A label mask (H, W) of pixels (H, W, C) as stored, or of a window of them.

    Of a stack's voxels (Z, H, W, C) it is (Z, H, W); see
    :func:`spatialembed.data.images.reading.read_mask`.
    """
    mask = array[..., 0]
    if array.shape[-1] > 1 and not (array == mask[..., None]).all():
        raise UserError(
            f"{path} has {array.shape[-1]} channels that differ; a label mask has one channel with "
            "an integer per object: where colors tell objects apart, number the colors; where a "
            "channel is an object, or a plane of a stack, put them together, or name its axes"
        )
    if mask.dtype.kind == "f" and not np.isfinite(mask).all():
        raise UserError(
            f"{path} is not integer: {np.count_nonzero(~np.isfinite(mask))} of its values are NaN "
            "or infinite; store an integer per object, 0 for background"
        )
    if mask.dtype.kind == "f" and not (mask == np.rint(mask)).all():
        raise UserError(f"{path} is not integer; store an integer per object, 0 for background")
    if mask.dtype.kind in "if" and mask.size and mask.min() < 0:
        raise UserError(f"{path} has negative ids; store an integer per object, 0 for background")
    # Small types are not looked through for their largest value: none needs 64 bits.
    small = mask.dtype.itemsize < 4 and mask.dtype.kind in "bui"
    most = 0 if small or not mask.size else int(mask.max())
    if most > np.iinfo(np.int64).max:
        raise UserError(f"{path} has ids of 2^63 and more; number its objects anew")
    large = most > np.iinfo(np.int32).max
    return np.ascontiguousarray(mask.astype(np.int64 if large else np.int32))
