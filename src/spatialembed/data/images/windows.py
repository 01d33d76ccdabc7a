"""Images and volumes that are read by windows: zarr and TIFF, of which only the chunks asked for
are decoded.

``open_windowed`` of reading.py opens images, training cuts its crops so, whatever their size;
``open_windowed_stack`` of stack_windows.py opens volumes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from spatialembed.data.images.reading_errors import told
from spatialembed.data.images.series import Series, which
from spatialembed.errors import UserError

BLOCK = 2**22
"""About how many pixels :func:`blocks` gives at a time."""

Reader = Callable[..., np.ndarray]
"""The pixels of a window, a slice an axis."""


@dataclass(frozen=True, eq=False)
class WindowedImage:
    """An image or a volume whose pixels are read when they are asked for.

    It keeps no file open and no pixels, so it may be used in any process and thread.

    Attributes:
        path: the file, or the folder of a zarr array.
        shape: height and width in pixels, of a volume planes, height and width.
        channels: of each pixel, as :func:`~.reading.read_image` counts them.
        dtype: of the pixels as stored: integer, float or bool.
        chunk: how many along each axis are stored and decoded together.
    """

    path: Path
    shape: tuple[int, ...]
    channels: int
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    reader: Reader

    def __post_init__(self) -> None:
        require_pixels(self.path, (*self.shape, self.channels), self.dtype)

    def read(self, *window: slice) -> Shaped[np.ndarray, "*s C"]:
        """The pixels of a window, equal to that part of the whole image.

        Args:
            window: rows and columns, of a volume planes first, without a step; what lies outside
                of the image is cut off.

        Raises:
            UserError: a part of the file that is needed is damaged or missing.
        """
        window = tuple(slice(*side.indices(n)) for side, n in zip(window, self.shape, strict=True))
        if any(side.stop <= side.start for side in window):
            sides = [max(side.stop - side.start, 0) for side in window]
            return np.zeros((*sides, self.channels), self.dtype)
        remedy = "it may be truncated or damaged: replace it"
        with told(f"{self.path} cannot be read at {in_words(window)}", remedy):
            part = self.reader(*window)
        return np.ascontiguousarray(part, dtype=self.dtype)

    def whole(self) -> Shaped[np.ndarray, "*S C"]:
        """All pixels, in memory."""
        return self.read(*[slice(None)] * len(self.shape))


def in_words(window: Sequence[slice]) -> str:
    """Where a window lies."""
    names = ("planes", "rows", "columns")[-len(window) :]
    sides = zip(names, window, strict=True)
    return ", ".join(f"{name} {side.start} to {side.stop}" for name, side in sides)


def require_pixels(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an image without pixels, or of values that are no numbers."""
    if 0 in shape or dtype.kind not in "buif":
        raise UserError(
            f"{path} holds {dtype} values in shape {shape}; an image is integer or float and not "
            "empty"
        )


def picked(image: WindowedImage, series: Series) -> WindowedImage:
    """An image or a volume with the channels that are asked for.

    Raises:
        UserError: it lacks one.
    """
    asked = which(series)
    asked.require_channels(image.path, image.channels)
    if not asked.channels:
        return image
    channels, reader = list(asked.channels), image.reader
    return replace(
        image, channels=len(channels), reader=lambda *window: reader(*window)[..., channels]
    )


def in_memory(name: str, array: np.ndarray) -> WindowedImage:
    """An image (*S, C) that is decoded already, by the name that messages give it."""
    *sides, channels = array.shape

    def read(*window: slice) -> np.ndarray:
        return array[window]

    return WindowedImage(Path(name), tuple(sides), channels, array.dtype, tuple(sides), read)


def one_below_the_other(volume: WindowedImage) -> WindowedImage:
    """The planes of a volume as one image (Z * H, W), by which it is normalised as a whole.

    Of an image itself.
    """
    if len(volume.shape) == 2:
        return volume
    depth, height, width = volume.shape

    def read(rows: slice, columns: slice) -> np.ndarray:
        first, last = rows.start // height, (rows.stop - 1) // height
        top, stop = rows.start - first * height, rows.stop - first * height
        inside = slice(top, stop) if first == last else slice(0, height)
        part = volume.reader(slice(first, last + 1), inside, columns)
        lines = part.reshape(-1, *part.shape[2:])
        return lines if first == last else lines[top:stop]

    return replace(volume, shape=(depth * height, width), chunk=volume.chunk[1:], reader=read)


def blocks(image: WindowedImage, pixels: int = BLOCK) -> Iterator[tuple[slice, ...]]:
    """Windows that cover ``image`` once, row by row, without decoding a chunk twice.

    Each has about ``pixels`` pixels, or is a single chunk where that is larger; of a volume it has
    as many planes as a chunk.
    """
    *depth, height, width = image.shape
    *deep, tall, wide = image.chunk
    pixels //= math.prod(deep)
    columns = min(max(math.isqrt(pixels) // wide, 1) * wide, width)
    rows = min(max(pixels // columns // tall, 1) * tall, height)
    sides = zip((*depth, height, width), (*deep, rows, columns), strict=True)
    steps = [[slice(a, min(a + step, n)) for a in range(0, n, step)] for n, step in sides]
    return product(*steps)
