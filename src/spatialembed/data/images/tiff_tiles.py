"""TIFFs read whole, or by windows: tiles or strips decoded one by one, or pixels mapped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from spatialembed.data.images.orientation import stored_window, turned, turned_size
from spatialembed.data.images.reading_errors import too_large
from spatialembed.data.images.tiff_colors import Colors
from spatialembed.data.images.tiff_file import TiffImage, arranged, image_of, opened
from spatialembed.data.images.windows import MOST_PIXELS, Reader, WindowedImage
from spatialembed.errors import UserError

MOST_CHUNK = 2**24
"""Pixels of a tile or strip beyond which a TIFF is not read by windows."""


def read_tiff(path: Path, indices: bool, series: int | None) -> np.ndarray:
    """A whole TIFF as (H, W, C); see :func:`spatialembed.data.images.reading.read_image`."""
    with opened(path) as file:
        image = image_of(path, file, series)
        colors = _colors(image, indices)
        if max(math.prod(image.size), math.prod(image.pages.shape) // 8) > MOST_PIXELS:
            raise too_large(path)
        image.require_whole()
        pixels = colors(arranged(image.pages.asarray(), image.axes))
        return turned(pixels, image.orientation)


def open_tiff(path: Path, indices: bool, least: int, series: int | None) -> WindowedImage | None:
    """See :func:`spatialembed.data.images.windows.open_windowed`."""
    with opened(path) as file:
        page = file.pages.first
        # Seen at once, and most images are; pages that are rows of an image make a large file.
        if max(page.imagewidth * page.imagelength, path.stat().st_size) <= least:
            return None
        image = image_of(path, file, series)
        return _open(image, file, _colors(image, indices))


def _colors(image: TiffImage, indices: bool) -> Colors:
    if image.pages.dtype is None:
        page = image.pages.keyframe
        raise UserError(
            f"{image.path} is a TIFF of {page.bitspersample} bits of the kind {page.sampleformat}, "
            "which is not read; store it as integers or floats"
        )
    return Colors.of(image.path, image.pages.keyframe, "S" in image.axes, indices)


def _open(image: TiffImage, file: tifffile.TiffFile, colors: Colors) -> WindowedImage | None:
    # A view of one value: says where the channels lie without reading.
    like = np.broadcast_to(np.zeros((), image.pages.dtype), image.pages.shape)
    *size, samples = arranged(like, image.axes).shape
    found = _mapped(image, file) or _segmented(image, (size[0], size[1], samples))
    if found is None:
        return None
    reader, chunk = found
    orientation = image.orientation
    shape = turned_size((size[0], size[1]), orientation)

    def read(rows: slice, columns: slice) -> np.ndarray:
        part = reader(*stored_window((rows, columns), shape, orientation))
        return turned(colors(part), orientation)

    channels, dtype = colors.channels(samples), colors.dtype(np.dtype(image.pages.dtype))
    return WindowedImage(image.path, shape, channels, dtype, turned_size(chunk, orientation), read)


def _mapped(image: TiffImage, file: tifffile.TiffFile) -> tuple[Reader, tuple[int, int]] | None:
    """Reads pixels that lie in the file as they do in an array."""
    pages = image.pages
    if pages.dataoffset is None:
        return None
    image.require_whole()
    path, offset, shape, axes = image.path, pages.dataoffset, pages.shape, image.axes
    stored = np.dtype(pages.dtype).newbyteorder(file.byteorder)

    def read(rows: slice, columns: slice) -> np.ndarray:
        array = np.memmap(path, stored, "r", offset, shape)
        return np.array(arranged(array, axes)[rows, columns])

    return read, (1, arranged(np.broadcast_to(0, shape), axes).shape[1])


def _segmented(
    image: TiffImage, shape: tuple[int, int, int]
) -> tuple[Reader, tuple[int, int]] | None:
    """Reads tiles, or strips of rows, that are compressed each on their own."""
    pages = list(image.pages.pages)
    page = image.pages.keyframe
    _, depth, height, width, _ = page.shaped
    if depth > 1 or page.tiledepth > 1:
        return None
    if shape != (height, width, page.samplesperpixel * len(pages)):
        return None
    chunk = page.chunks[:2]
    chunk = min(chunk[0], height), min(chunk[1], width)
    if chunk[0] * chunk[1] > min(MOST_CHUNK, height * width - 1):
        return None
    planes = tuple((np.array(one.dataoffsets), np.array(one.databytecounts)) for one in pages)
    options = {"jpegtables": page.jpegtables} if page.jpegtables else {}
    segments = _Segments(
        image.path,
        partial(page.decode, **options),
        planes,
        page.samplesperpixel if page.planarconfig == 2 else 1,
        page.chunks[:2],
        shape,
        page.dtype.newbyteorder("="),
        page.nodata,
    )
    return segments.read, chunk


@dataclass(frozen=True, eq=False)
class _Segments:
    """Tiles or strips of a TIFF, of one page or several."""

    path: Path
    decode: Callable[..., Any]
    pages: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Of each page: offset and length in bytes of its segments."""
    planes: int
    """How many channels a page stores one after the other, each in segments of its own."""
    chunk: tuple[int, int]
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    nodata: int | float

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        size = (rows.stop - rows.start, columns.stop - columns.start, self.shape[2])
        window = np.empty(size, self.dtype)
        tall, wide = self.chunk
        across = math.ceil(self.shape[1] / wide)
        with self.path.open("rb") as file:  # anew each time: processes must not share a position
            for row in range(rows.start // tall, math.ceil(rows.stop / tall)):
                into_y, from_y = _overlap(row * tall, tall, rows)
                for column in range(columns.start // wide, math.ceil(columns.stop / wide)):
                    into_x, from_x = _overlap(column * wide, wide, columns)
                    tile = self._tile(file, row * across + column)
                    window[into_y, into_x] = tile[from_y, from_x]
        return window

    def _tile(self, file: Any, number: int) -> np.ndarray:
        """(h, w, C): all channels of one place of the grid."""
        parts = []
        for offsets, lengths in self.pages:
            for plane in range(self.planes):
                index = plane * (len(offsets) // self.planes) + number
                parts.append(self._segment(file, index, int(offsets[index]), int(lengths[index])))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _segment(self, file: Any, index: int, offset: int, length: int) -> np.ndarray:
        file.seek(offset)
        data = file.read(length) if length else None  # a segment without bytes is left empty
        if data is not None and len(data) < length:
            raise EOFError("the file ends before its pixels do")
        tile, _, shape = self.decode(data, index)
        return np.asarray(np.full(shape, self.nodata, self.dtype)[0] if tile is None else tile[0])


def _overlap(start: int, length: int, wanted: slice) -> tuple[slice, slice]:
    """Where [start, start + length) meets ``wanted``: as counted from its start, then from ours."""
    first, last = max(start, wanted.start), min(start + length, wanted.stop)
    return slice(first - wanted.start, last - wanted.start), slice(first - start, last - start)
