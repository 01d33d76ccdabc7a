"""The orientation that a file states (EXIF, TIFF): how stored pixels are turned to be looked at.

1 is as stored; 2 to 4 are mirrored or turned by 180 degrees; 5 to 8 have rows for columns.
"""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image

# It reads EXIF here and nothing else, and warns of what is damaged in it.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")

TAG = 274
"""Of EXIF and of TIFF."""

_DOWN, _ACROSS, _TRANSPOSED = (3, 4, 7, 8), (2, 3, 6, 7), (5, 6, 7, 8)


def exif_orientation(image: Image.Image) -> int:
    """What a picture's EXIF states, 1 where it states nothing that can be read."""
    try:
        return known(image.getexif().get(TAG, 1))
    except Exception:  # a damaged EXIF, which viewers pass over, has errors of many kinds
        return 1


def known(value: object) -> int:
    """An orientation from 1 to 8; 1 for any other value."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (H, W, C) as they are looked at, (W, H, C) for 5 to 8; a view."""
    if orientation in _TRANSPOSED:
        array = array.swapaxes(0, 1)
    down = -1 if orientation in _DOWN else 1
    return array[::down, :: -1 if orientation in _ACROSS else 1]


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Height and width as they are looked at, of those that are stored; and the other way."""
    return size[::-1] if orientation in _TRANSPOSED else size


def stored_window(
    window: tuple[slice, slice], size: tuple[int, int], orientation: int
) -> tuple[slice, slice]:
    """Rows and columns as they are stored of a window in an image of ``size`` as looked at."""
    rows, columns = window
    if orientation in _DOWN:
        rows = slice(size[0] - rows.stop, size[0] - rows.start)
    if orientation in _ACROSS:
        columns = slice(size[1] - columns.stop, size[1] - columns.start)
    return (columns, rows) if orientation in _TRANSPOSED else (rows, columns)
