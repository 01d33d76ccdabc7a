"""TIFFs read by windows: tiles or strips decoded one by one, or pixels mapped from the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from ..errors import UserError
from .image_io import LOSSY_TIFF, PILLOW_TIFF, TIFF, channels_last, lossy, readable, tag_name
from .windowed import Reader, WindowedImage

MOST_CHUNK = 2**24
"""Pixels of a tile or strip beyond which a TIFF is not read by windows."""


def is_tiff(path: Path) -> bool:
    """Whether ``path`` is named as a TIFF."""
    return path.suffix.lower() in TIFF


def open_tiff(path: Path, indices: bool, least: int) -> WindowedImage | None:
    """See :func:`spatialembed.data.windowed.open_windowed`."""
    with readable(path), tifffile.TiffFile(path) as file:
        page = file.pages.first
        # Seen at once, and most images are; pages that are rows of an image make a large file.
        if max(page.imagewidth * page.imagelength, path.stat().st_size) <= least:
            return None
        return _open(path, file, indices)


def _open(path: Path, file: tifffile.TiffFile, indices: bool) -> WindowedImage | None:
    series = file.series[0]
    page = series.keyframe
    photometric = tag_name(page.photometric)
    if indices and tag_name(page.compression) in LOSSY_TIFF:
        raise UserError(lossy(path))
    if photometric in PILLOW_TIFF or series.dtype is None:
        return None
    # A view of one value: says where the channels lie, and refuses stacks, without reading.
    like = np.broadcast_to(np.zeros((), series.dtype), series.shape)
    height, width, channels = channels_last(path, like, series.axes).shape
    dtype = series.dtype.newbyteorder("=")
    found = _mapped(path, file, series) or _segmented(path, series, (height, width, channels))
    if found is None:
        return None
    reader, chunk = found
    alpha = any(int(kind) in (1, 2) for kind in page.extrasamples)
    kept = channels - 1 if alpha and "S" in series.axes and channels in (2, 4) else channels
    inverted = photometric == "MINISWHITE" and not indices and dtype.kind == "u"

    def read(rows: slice, columns: slice) -> np.ndarray:
        part = reader(rows, columns)[..., :kept]
        return np.iinfo(dtype).max - part if inverted else part

    return WindowedImage(path, (height, width), kept, dtype, chunk, read)


def _mapped(path: Path, file: Any, series: Any) -> tuple[Reader, tuple[int, int]] | None:
    """Reads pixels that lie in the file as they do in an array."""
    offset, shape, axes = series.dataoffset, series.shape, series.axes
    if offset is None:
        return None
    stored = np.dtype(series.dtype).newbyteorder(file.byteorder)
    if path.stat().st_size < offset + math.prod(shape) * stored.itemsize:
        raise UserError(f"{path} is truncated: it ends before its pixels do; replace it")

    def read(rows: slice, columns: slice) -> np.ndarray:
        array = np.memmap(path, stored, "r", offset, shape)
        return np.array(channels_last(path, array, axes)[rows, columns])

    return read, (1, channels_last(path, np.broadcast_to(0, shape), axes).shape[1])


def _segmented(
    path: Path, series: Any, shape: tuple[int, int, int]
) -> tuple[Reader, tuple[int, int]] | None:
    """Reads tiles, or strips of rows, that are compressed each on their own."""
    page = series.keyframe
    _, depth, height, width, _ = page.shaped
    if depth > 1 or page.tiledepth > 1 or None in series.pages:
        return None
    if shape != (height, width, page.samplesperpixel * len(series.pages)):
        return None
    chunk = page.chunks[:2]
    chunk = min(chunk[0], height), min(chunk[1], width)
    if chunk[0] * chunk[1] > min(MOST_CHUNK, height * width - 1):
        return None
    try:
        page.decode(None, 0)
    except (ValueError, NotImplementedError):  # a coding that tifffile leaves to imagecodecs
        return None
    planes = tuple(
        (np.array(plane.dataoffsets), np.array(plane.databytecounts)) for plane in series.pages
    )
    options = {"jpegtables": page.jpegtables} if page.jpegtables else {}
    segments = _Segments(
        path,
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
