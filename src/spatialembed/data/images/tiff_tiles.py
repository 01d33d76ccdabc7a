"""TIFFs read whole, or by windows: tiles or strips decoded one by one, or pixels mapped.

Not by tifffile's zarr store: it needs zarr, which is an extra; it keeps the file open, which
processes must not share; and it gives zeros where a file has lost the places of its tiles.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from spatialembed.data.images.kinds import MOST_PIXELS, require_few_voxels
from spatialembed.data.images.orientation import stored_window, turned, turned_size
from spatialembed.data.images.reading_errors import too_large
from spatialembed.data.images.series import Series
from spatialembed.data.images.tiff_colors import Colors
from spatialembed.data.images.tiff_file import TiffImage, arranged, image_of, opened
from spatialembed.data.images.windows import Reader, WindowedImage
from spatialembed.errors import UserError

MOST_CHUNK = 2**24
"""Pixels of a tile or strip beyond which a TIFF is not read by windows: each would decode all."""


def read_tiff(path: Path, indices: bool, series: Series) -> np.ndarray:
    """A whole TIFF as (H, W, C); see :func:`spatialembed.data.images.reading.read_image`."""
    with opened(path) as file:
        image = image_of(path, file, series)
        colors = _colors(image, indices)
        # Of many channels, at most as many samples as eight such planes have.
        if max(math.prod(image.size), math.prod(image.pages.shape) // 8) > MOST_PIXELS:
            raise too_large(path)
        image.require_whole()
        pixels = colors(arranged(image.pages.asarray(), image.axes))
        return turned(pixels, image.orientation)


def read_tiff_stack(path: Path, indices: bool, series: Series) -> np.ndarray:
    """A TIFF's planes (Z, H, W, C); see :func:`spatialembed.data.images.reading.read_stack`."""
    with opened(path) as file:
        image = image_of(path, file, series, stack=True)
        colors = _colors(image, indices)
        require_few_voxels(path, image.pages.shape)
        image.require_whole()
        pixels = turned(colors(arranged(image.pages.asarray(), image.axes)), image.orientation)
        return np.moveaxis(pixels, 2, 0)


def open_tiff(path: Path, indices: bool, least: int, series: Series) -> WindowedImage | None:
    """See :func:`spatialembed.data.images.reading.open_windowed`."""
    with opened(path) as file:
        page = file.pages.first
        # Seen at once, and most images are; pages that are rows of an image make a large file.
        if max(page.imagewidth * page.imagelength, path.stat().st_size) <= least:
            return None
        image = image_of(path, file, series)
        colors = _colors(image, indices)
        return _windowed(file, image, colors)


def open_tiff_stack(path: Path, series: Series) -> WindowedImage | None:
    """See :func:`spatialembed.data.images.stack_windows.open_windowed_stack`."""
    with opened(path) as file:
        image = image_of(path, file, series, stack=True)
        found = _windowed(file, image, _colors(image, indices=False))
    if found is None:
        return None

    def read(planes: slice, rows: slice, columns: slice) -> np.ndarray:
        return np.moveaxis(found.reader(rows, columns, planes), 2, 0)

    def planes_first(sides: tuple[int, ...]) -> tuple[int, ...]:
        return (*sides[2:], *sides[:2])

    shape, chunk = planes_first(found.shape), planes_first(found.chunk)
    return replace(found, shape=shape, chunk=chunk, reader=read)


def _windowed(file: tifffile.TiffFile, image: TiffImage, colors: Colors) -> WindowedImage | None:
    """An image, or a stack whose axes are rows, columns, planes."""
    # A view of one value: says where the channels lie without reading.
    like = np.broadcast_to(False, image.pages.shape)
    height, width, *depth, samples = arranged(like, image.axes).shape
    found = _mapped(image, file) or _segmented(image, (height, width, *depth, samples))
    if found is None:
        return None
    reader, chunk = found
    orientation = image.orientation
    size = turned_size((height, width), orientation)

    def read(rows: slice, columns: slice, *planes: slice) -> np.ndarray:
        part = reader(*stored_window((rows, columns), size, orientation), *planes)
        return turned(colors(part), orientation)

    channels, dtype = colors.channels(samples), colors.dtype(np.dtype(image.pages.dtype))
    decoded = (*turned_size(chunk, orientation), *(1 for _ in depth))
    return WindowedImage(image.path, (*size, *depth), channels, dtype, decoded, read)


def _colors(image: TiffImage, indices: bool) -> Colors:
    page = image.pages.keyframe
    if image.pages.dtype is None:
        raise UserError(
            f"{image.path} is a TIFF of {page.bitspersample} bits of the kind {page.sampleformat}, "
            "which is not read; store it as integers or floats"
        )
    return Colors.of(image.path, page, "S" in image.axes, indices)


def _mapped(image: TiffImage, file: tifffile.TiffFile) -> tuple[Reader, tuple[int, int]] | None:
    """Reads pixels that lie in the file as they do in an array."""
    pages = image.pages
    if pages.dataoffset is None:
        return None
    image.require_whole()
    dtype = np.dtype(pages.dtype).newbyteorder(file.byteorder)
    axes = image.axes
    mapped = partial(np.memmap, image.path, dtype, "r", pages.dataoffset, pages.shape)

    def read(*window: slice) -> np.ndarray:
        return np.array(arranged(mapped(), axes)[window])

    return read, (1, image.size[1])


def _segmented(image: TiffImage, shape: tuple[int, ...]) -> tuple[Reader, tuple[int, int]] | None:
    """Reads tiles, or strips of rows, that are compressed each on their own.

    ``shape``: rows, columns, of a stack planes, and samples.
    """
    pages, page = list(image.pages.pages), image.pages.keyframe
    _, depth, height, width, _ = page.shaped
    tall, wide = page.chunks[:2]
    chunk = min(tall, height), min(wide, width)
    most = min(MOST_CHUNK, height * width - 1)  # in one piece windows gain nothing
    if (
        depth > 1
        or page.tiledepth > 1
        or shape[:2] != (height, width)
        or math.prod(shape[2:]) != page.samplesperpixel * len(pages)
        or (len(shape) == 3 and math.prod(chunk) > most)  # planes alone are parts of a stack
        or math.prod(chunk) > MOST_CHUNK
    ):
        return None
    # All that is kept of the page, which holds on to the file: a thousand images may be open.
    path, empty = image.path, page.nodata
    across, dtype = math.ceil(width / wide), page.dtype.newbyteorder("=")
    decode = partial(page.decode, **({"jpegtables": page.jpegtables} if page.jpegtables else {}))
    planes = [[p for one in own for p in _planes(pages[one])] for own in _pages_of_planes(image)]
    step = shape[-1] // len(planes[0])

    def read(rows: slice, columns: slice, deep: slice = slice(0, 1)) -> np.ndarray:
        sides = [side.stop - side.start for side in (rows, columns, deep)]
        window = np.empty((*sides, shape[-1]), dtype)
        with path.open("rb") as file:  # anew each time: processes must not share a position
            for y in range(rows.start // tall * tall, rows.stop, tall):
                into_y, from_y = _overlap(y, tall, rows)
                for x in range(columns.start // wide * wide, columns.stop, wide):
                    into_x, from_x = _overlap(x, wide, columns)
                    number = y // tall * across + x // wide
                    for z, channel in product(range(sides[2]), range(len(planes[0]))):
                        plane = planes[deep.start + z][channel]
                        tile, _, size = decode(_stored(file, *plane[number].tolist()), number)
                        if tile is None:  # it has no bytes
                            tile = np.full(size, empty, dtype)
                        into = into_y, into_x, z, slice(channel * step, channel * step + step)
                        window[into] = tile[0, from_y, from_x]
        return window if len(shape) == 4 else window[:, :, 0]

    return read, chunk


def _pages_of_planes(image: TiffImage) -> np.ndarray:
    """(Z, C) numbers of the pages of each plane in z, of an image (1, C)."""
    before = image.axes[: min(image.axes.index(axis) for axis in "YXS" if axis in image.axes)]
    lengths = image.pages.shape[: len(before)]
    numbers = np.arange(math.prod(lengths)).reshape(lengths)
    if "Z" not in before:
        return numbers.reshape(1, -1)
    return np.moveaxis(numbers, before.index("Z"), 0).reshape(lengths[before.index("Z")], -1)


def _planes(page: Any) -> list[np.ndarray]:
    """(N, 2) offset and length in bytes of all segments, for each plane that is stored alone."""
    of = page.keyframe
    planes = of.samplesperpixel if of.planarconfig == 2 else 1
    places = np.stack([page.dataoffsets, page.databytecounts], axis=1)  # a sixth of tuples' memory
    length = len(places) // planes
    return [places[length * plane : length * (plane + 1)] for plane in range(planes)]


def _stored(file: Any, offset: int, length: int) -> bytes | None:
    """The bytes of a segment; None of one that is left empty."""
    file.seek(offset)
    data: bytes = file.read(length)
    if len(data) < length:
        raise EOFError("the file ends before its pixels do")
    return data or None


def _overlap(start: int, length: int, wanted: slice) -> tuple[slice, slice]:
    """Where [start, start + length) meets ``wanted``: as counted from its start, then from ours."""
    first, last = max(start, wanted.start), min(start + length, wanted.stop)
    return slice(first - wanted.start, last - wanted.start), slice(first - start, last - start)
