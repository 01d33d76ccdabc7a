"""Images that are read by windows: zarr and TIFF, of which only the chunks asked for are decoded.

``open_windowed`` of reading.py opens them; training cuts its crops so, whatever the image's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from spatialembed.data.images.reading_errors import told
from spatialembed.errors import UserError

BLOCK = 2**22
"""About how many pixels :func:`blocks` gives at a time."""

Reader = Callable[[slice, slice], np.ndarray]


@dataclass(frozen=True, eq=False)
class WindowedImage:
    """An image whose pixels are read when they are asked for.

    It keeps no file open and no pixels, so it may be used in any process and thread.

    Attributes:
        path: the file, or the folder of a zarr array.
        shape: height and width in pixels.
        channels: of each pixel, as :func:`~.reading.read_image` counts them.
        dtype: of the pixels as stored: integer, float or bool.
        chunk: rows and columns that are stored and decoded together.
    """

    path: Path
    shape: tuple[int, int]
    channels: int
    dtype: np.dtype[Any]
    chunk: tuple[int, int]
    reader: Reader

    def __post_init__(self) -> None:
        require_pixels(self.path, (*self.shape, self.channels), self.dtype)

    def read(self, rows: slice, columns: slice) -> Shaped[np.ndarray, "h w C"]:
        """The pixels of a window, equal to that part of the whole image.

        Args:
            rows, columns: without a step; what lies outside of the image is cut off.

        Raises:
            UserError: a part of the file that is needed is damaged or missing.
        """
        window = [
            slice(*side.indices(n)) for side, n in zip((rows, columns), self.shape, strict=True)
        ]
        if any(side.stop <= side.start for side in window):
            height, width = (max(side.stop - side.start, 0) for side in window)
            return np.zeros((height, width, self.channels), self.dtype)
        rows, columns = window
        where = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
        remedy = "it may be truncated or damaged: replace it"
        with told(f"{self.path} cannot be read at {where}", remedy):
            part = self.reader(rows, columns)
        return np.ascontiguousarray(part, dtype=self.dtype)

    def whole(self) -> Shaped[np.ndarray, "H W C"]:
        """All pixels, in memory."""
        return self.read(slice(None), slice(None))


def require_pixels(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an image without pixels, or of values that are no numbers."""
    if 0 in shape or dtype.kind not in "buif":
        raise UserError(
            f"{path} holds {dtype} values in shape {shape}; an image is integer or float and not "
            "empty"
        )


def in_memory(name: str, array: np.ndarray) -> WindowedImage:
    """An image (H, W, C) that is decoded already, by the name that messages give it."""
    height, width, channels = array.shape

    def read(rows: slice, columns: slice) -> np.ndarray:
        return array[rows, columns]

    return WindowedImage(Path(name), (height, width), channels, array.dtype, (height, width), read)


def blocks(image: WindowedImage, pixels: int = BLOCK) -> Iterator[tuple[slice, slice]]:
    """Windows that cover ``image`` once, row by row, without decoding a chunk twice.

    Each has about ``pixels`` pixels, or is a single chunk where that is larger.
    """
    (height, width), (tall, wide) = image.shape, image.chunk
    side = math.isqrt(pixels)
    columns = min(max(side // wide, 1) * wide, width)
    rows = min(max(pixels // columns // tall, 1) * tall, height)
    for y in range(0, height, rows):
        for x in range(0, width, columns):
            yield slice(y, min(y + rows, height)), slice(x, min(x + columns, width))
