"""TIFFs by tifffile: which of a file's images is read, and where rows, columns and channels lie."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile

from spatialembed.data.images.orientation import TAG, known, turned_size
from spatialembed.data.images.reading_errors import in_place_of_a_stack, readable
from spatialembed.data.images.series import Header, Held, Series, take, which
from spatialembed.errors import UserError

_UNSAID = "IQ"
"""tifffile's letters for pages of which a file does not say what they are."""

_MOST_CHANNELS = 16
"""Of an array (H, W, C) that tifffile wrote without axes, as pages of W x C."""

_SLIDES = ("svs", "ndpi", "scn", "bif", "qpi", "avs", "philips")
_ASIDE = {"label", "macro", "map", "thumbnail", "overview"}
_OME_ASIDE = {"label image", "macro image", "overview image", "thumbnail image"}


@contextmanager
def opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """A TIFF alone, without the other files of its set, of which OME-XML may speak."""
    with readable(path), tifffile.TiffFile(path, _multifile=False) as file:
        yield file


class _Stored(NamedTuple):
    """An image of a TIFF: a series of pages, or one plane of it."""

    series: tifffile.TiffPageSeries
    axes: str
    held: Held
    plane: int | None = None
    smaller: Sequence[tifffile.TiffPageSeries] = ()
    """The same image in lower resolutions, the largest first."""


@dataclass(frozen=True, eq=False)
class TiffImage:
    """The image of a TIFF that is read, while the file is open.

    Attributes:
        path: of the file.
        pages: tifffile's series of its pages.
        axes: a letter for each axis of their array, two of them Y and X, perhaps C or S.
        held: all images of the file.
        number: which of them this is.
        full: the pages of its full resolution.
        apart: how many of that one's pixels one is high and wide.
    """

    path: Path
    pages: Any
    axes: str
    held: list[Held]
    number: int
    full: tifffile.TiffPageSeries
    apart: tuple[float, float]

    @property
    def orientation(self) -> int:
        """How its pixels are turned to be looked at, from 1 (not) to 8."""
        tag = self.pages.keyframe.tags.get(TAG)
        return 1 if tag is None else known(tag.value)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width as stored."""
        return _size(self.pages, self.axes)

    def require_whole(self) -> None:
        """Refuse a file that ends before its pixels do: tifffile fills with zeros in silence."""
        size, offset = self.path.stat().st_size, self.pages.dataoffset
        if offset is not None:
            last = offset + math.prod(self.pages.shape) * np.dtype(self.pages.dtype).itemsize
        else:
            places = [
                (start, count)
                for page in self.pages.pages
                for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
            # A tile that was never stored has neither; else tifffile fills in zeros.
            if any((start > 0) != (count > 0) for start, count in places):
                raise UserError(
                    f"{self.path} is damaged: it has lost the places of parts of its pixels, which "
                    "would be read as 0; replace it"
                )
            last = max(start + count for start, count in places)
        if size < last:
            raise UserError(f"{self.path} is truncated: it ends before its pixels do; replace it")


def arranged(array: np.ndarray, axes: str) -> np.ndarray:
    """A view (H, W, C), of a stack (H, W, Z, C), of the array of a TIFF's pages, of these axes."""
    kept, letters = _long(array.shape, axes)
    array = array.reshape([array.shape[i] for i in kept])
    array = array.transpose(sorted(range(len(kept)), key=lambda i: "YXZCS".index(letters[i])))
    return array if {"C", "S"} & set(letters) else array[..., None]


def image_of(path: Path, file: tifffile.TiffFile, series: Series, stack: bool = False) -> TiffImage:
    """The image of an open TIFF that is read: see :func:`spatialembed.data.images.series.take`.

    Args:
        path: of the file.
        file: it.
        series: what is asked for.
        stack: whether a stack of planes in z is wanted, as which pages count of which the file
            does not say what they are.

    Raises:
        UserError: there is none, several and none is asked for, it is a stack where an image is
            wanted or the other way round, not complete, or has no such level.
    """
    require_all_pages(path, file)
    planes = (series for series in file.series if {"Y", "X"} <= set(series.axes))
    stored = [image for one in planes for image in _images(file, one, stack)]
    if not stored:
        raise UserError(f"{path} is a TIFF without an image; replace it")
    asked = which(series)
    number = take(path, [image.held for image in stored], asked.series)
    pages, axes, _, plane, smaller = stored[number]
    asked.require_level(path, 1 + len(smaller))
    full, apart = pages, (1.0, 1.0)
    if asked.level:
        pages = smaller[asked.level - 1]
        axes = _axes(file, pages)
        (tall, wide), (height, width) = _size(full, full.axes), _size(pages, axes)
        apart = tall / height, wide / width
    if plane is not None:
        page: Any = pages[plane]
        pages, axes = tifffile.TiffPageSeries([page], page.shape, page.dtype, page.axes), page.axes
    _require_image(path, file, pages, axes, stack)
    return TiffImage(path, pages, axes, [image.held for image in stored], number, full, apart)


def require_all_pages(path: Path, file: tifffile.TiffFile) -> None:
    """Refuse a file that ends before a page it goes on with: tifffile passes over that, and takes
    what is left of a stack for a smaller one, or for an image.
    """
    handle, layout, last = file.filehandle, file.tiff, file.pages.next_page_offset
    if last is None:  # it has no page
        return
    handle.seek(last)
    pointer = handle.read(layout.offsetsize)
    following = int.from_bytes(pointer, "little" if layout.byteorder == "<" else "big")
    known = {0, *(page.offset for page in file.pages)}  # one that is known makes a circle
    if len(pointer) < layout.offsetsize or following not in known:
        raise UserError(f"{path} is truncated: it ends before its pages do; replace it")


def tiff_header(path: Path, series: Series) -> Header:
    """What the tags of a TIFF say; raises as :func:`image_of`."""
    with opened(path) as file:
        image = image_of(path, file, series)
        size = turned_size(image.size, image.orientation)
        return Header(size, image.orientation, image.held, image.number)


def tiff_stack_size(path: Path, series: Series) -> tuple[int, int, int]:
    """See :func:`spatialembed.data.images.reading.stack_size`."""
    with opened(path) as file:
        image = image_of(path, file, series, stack=True)
        depth = dict(zip(image.axes, map(int, image.pages.shape), strict=True))["Z"]
        return depth, *turned_size(image.size, image.orientation)


def _require_image(path: Path, file: tifffile.TiffFile, pages: Any, axes: str, stack: bool) -> None:
    kept, letters = _long(pages.shape, axes)
    shape, sorted_letters = tuple(pages.shape[i] for i in kept), "".join(sorted(letters))
    if stack and sorted_letters not in ("XYZ", "CXYZ", "SXYZ"):
        raise UserError(
            f"{path} is no stack of planes in z: it has the shape {shape} (axes {letters}); "
            + in_place_of_a_stack(letters)
        )
    if not stack and "T" in letters:
        raise UserError(
            f"{path} is of several times: it has the shape {shape} (axes {letters}); "
            + in_place_of_a_stack(letters)
        )
    if not stack and sorted_letters not in ("XY", "CXY", "SXY"):
        raise UserError(
            f"{path} is a stack of shape {shape} (axes {letters}), not a 2D image; store its "
            "planes as separate files, or, if they are planes in z, predict it with --stitch or by "
            "a model of volumes, which learns from label folders"
        )
    if any(page is None or page.parent is not file for page in pages.pages):
        raise UserError(
            f"{path} lacks planes of its image, or is one file of a set that belongs together; "
            "store the image in one file"
        )


def _images(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, stack: bool) -> list[_Stored]:
    """The images of one of tifffile's series: its full resolution, or the pages of which it does
    not say what they are, which together may be a stack.
    """
    full = max(series.levels, key=lambda level: math.prod(_size(level, level.axes)))
    axes = _axes(file, full)
    size, aside = _size(full, axes), _is_aside(full)
    kept, letters = _long(full.shape, axes)
    unsaid = [full.shape[i] for i in kept if axes[i] in _UNSAID]
    if stack and len(unsaid) == 1 and "Z" not in letters:
        axes = "".join(
            "Z" if n > 1 and a in _UNSAID else a for n, a in zip(full.shape, axes, strict=True)
        )
    elif unsaid and not letters.strip(_UNSAID + "YXS") and math.prod(unsaid) == len(full):
        held = Held(*size, aside=aside, page=True)
        return [_Stored(full, axes, held, plane) for plane in range(len(full))]
    name = "" if re.fullmatch(r"Image:?\d+", full.name) else full.name
    held = Held(*size, name, aside, page=len(letters) == 2 and full.kind != "ome" and not name)
    levels = [level for level in series.levels if level is not full and _is_level(level)]
    levels.sort(key=lambda level: -math.prod(_size(level, level.axes)))
    return [_Stored(full, axes, held, smaller=levels)] + [
        _Stored(level, level.axes, Held(*_size(level, level.axes), level.name, aside=True))
        for level in series.levels
        if level is not full and not _is_level(level)
    ]


def _axes(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    """A letter for each axis of a series, from what the file says and tifffile does not look at."""
    kept, letters = _long(series.shape, series.axes)
    if len(letters) != 3 or letters[0] not in _UNSAID or letters[1:] != "YX":
        return str(series.axes)
    shape = [series.shape[i] for i in kept]
    if series.kind == "shaped" and 2 * shape[2] <= min(*shape[:2], 2 * _MOST_CHANNELS):
        letters = "YXC"
    elif series.kind == "generic" and file.is_ome and _holds_channels(file):
        letters = "CYX"
    named = dict(zip(kept, letters, strict=True))
    # of axes of length 1 no letter matters, but for being none of an image's
    return "".join(named.get(i, "Q") for i in range(len(series.axes)))


def _holds_channels(file: tifffile.TiffFile) -> bool:
    """Whether the pages of one file of an OME-TIFF set are the channels of one image."""
    root = _ome(file)
    own = []
    for pixels in ome_pixels(file):
        names = [one for one in pixels.iter() if one.tag.endswith("UUID")]
        if any(
            one.text == root.get("UUID") or one.get("FileName") == file.filename for one in names
        ):
            own.append([int(pixels.get(f"Size{axis}", 0)) for axis in "ZTC"])
    return own == [[1, 1, len(file.pages)]]


def ome_pixels(file: tifffile.TiffFile) -> list[ElementTree.Element]:
    """What OME-XML says of the pixels of each image, those in other files of a set among them."""
    return [one for one in _ome(file).iter() if one.tag.endswith("Pixels")]


def _ome(file: tifffile.TiffFile) -> ElementTree.Element:
    return ElementTree.fromstring(file.ome_metadata or "<OME/>")


def _long(shape: tuple[int, ...], axes: str) -> tuple[list[int], str]:
    """Axes of more than one pixel, Y and X always among them: their places and letters."""
    kept = [i for i, n in enumerate(shape) if n > 1 or axes[i] in "YX"]
    return kept, "".join(axes[i] for i in kept)


def _size(series: tifffile.TiffPageSeries, axes: str) -> tuple[int, int]:
    """Height and width."""
    lengths = dict(zip(axes, map(int, series.shape), strict=True))
    return lengths.get("Y", 1), lengths.get("X", 1)


def _is_level(series: tifffile.TiffPageSeries) -> bool:
    """Whether a file says that a series is another one in a lower resolution."""
    page = series.keyframe
    return bool(page.is_reduced or page.is_subifd or series.kind != "generic")


def _is_aside(series: tifffile.TiffPageSeries) -> bool:
    """Whether a file says of a series that it is no image of its own."""
    page, name = series.keyframe, series.name.lower()
    slide = series.kind in _SLIDES and name in _ASIDE
    return bool(page.is_reduced or page.is_mask or slide or name in _OME_ASIDE)
