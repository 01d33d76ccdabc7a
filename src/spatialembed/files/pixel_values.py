"""What stored pixel values say of themselves: which of them is white, and which are no number.

A file gives numbers and their type, but not what part of the type is used: a camera of 12 bits
fills a sixteenth of uint16, and floats may go up to 1 as well as up to 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

HOT = 1e-4
"""Share of the pixels that may lie above what is white: hot ones say nothing of the others."""

AS_THEY_ARE = 16.0
"""Floats up to here are no picture of 8 bits: 0 to 1, or standardised; white is 1."""

BITS = range(8, 65, 4)
"""Depths that pictures are stored in."""


class Values(NamedTuple):
    """What an image's values say.

    Attributes:
        dtype: as they are stored.
        low, high: least and largest finite value; 0 where there is none.
        white: full scale of the depth that holds all but hot pixels: 1, 255, 4095, 65535, ….
        not_finite: pixels that are NaN or infinite in any channel.
        pixels: how many were looked at.
    """

    dtype: np.dtype[Any]
    low: float
    high: float
    white: float
    not_finite: int
    pixels: int

    @property
    def fills_type(self) -> bool:
        """Whether white is what the type alone would say: nothing has been guessed."""
        return self.white == type_white(self.dtype) and not self.is_standardised

    @property
    def is_standardised(self) -> bool:
        """Floats of no known range, such as those from which a mean was taken."""
        unit = -0.5 <= self.low <= self.high < 2
        return self.dtype.kind == "f" and self.white == 1 and not unit

    @property
    def words(self) -> str:
        """Type and range as people write them."""
        return f"{self.dtype} from {self.low:.5g} to {self.high:.5g}"


def side_by_side(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(Z * H, W, C) of a volume (Z, H, W, C), by which it is normalised as a whole; a view.

    An image (H, W, C) is returned as it is.
    """
    return voxels.reshape(-1, *voxels.shape[-2:])


def values_of(parts: Sequence[npt.NDArray[Any]]) -> Values:
    """What the values of an image say, of which ``parts`` (..., C) are looked at."""
    dtype, pixels, not_finite, finite = parts[0].dtype, 0, 0, []
    for part in parts:
        pixels += part.size // part.shape[-1]
        if dtype.kind == "f":
            good = np.isfinite(part)
            not_finite += int((~good.all(-1)).sum())
            part = part[good].astype(np.promote_types(dtype, np.float32), copy=False)
        finite.append(part.ravel())
    finite = [part for part in finite if part.size]
    low = float(min((part.min() for part in finite), default=0))
    high = float(max((part.max() for part in finite), default=0))
    return Values(dtype, low, high, _white(dtype, finite, low, high), not_finite, pixels)


def merged(values: Sequence[Values]) -> Values:
    """The values of an image whose parts these are."""
    _, low, high, white, not_finite, pixels = zip(*values, strict=True)
    dtype = values[0].dtype
    return Values(dtype, min(low), max(high), max(white), sum(not_finite), sum(pixels))


def type_white(dtype: np.dtype[Any]) -> float:
    """What is white in a type that is used in full: 1 of floats and bools."""
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def _white(
    dtype: np.dtype[Any], parts: Sequence[npt.NDArray[Any]], low: float, high: float
) -> float:
    if dtype.kind == "b" or dtype.itemsize == 1:
        return type_white(dtype)
    most = type_white(dtype)
    depths = [float(2**bits - 1) for bits in BITS]
    scales = [(scale, scale) for scale in depths if scale < most or dtype.kind == "f"]
    scales = [(AS_THEY_ARE, 1.0), *scales] if dtype.kind == "f" else [*scales, (most, most)]
    white = next((white for limit, white in scales if _holds(parts, limit, high)), 1.0)
    # A picture is not as far below 0 as a sixteenth of what it is above.
    deep = dtype.kind == "f" and low < -white / 16 and not _holds(parts, white / 16, -low, sign=-1)
    return 1.0 if deep else white


def _holds(parts: Sequence[npt.NDArray[Any]], limit: float, most: float, sign: int = 1) -> bool:
    """Whether all values but hot ones lie up to ``limit``, or with sign -1 down to -``limit``."""
    if most <= limit:
        return True
    beyond = (np.count_nonzero(p > limit if sign > 0 else p < -limit) for p in parts)
    return int(sum(beyond)) <= HOT * sum(part.size for part in parts)
