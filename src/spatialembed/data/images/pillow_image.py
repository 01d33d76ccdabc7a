"""PNG, JPEG, WebP, BMP, JPEG 2000 and GIF by Pillow; by imagecodecs what Pillow cuts to 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from spatialembed.data.images.orientation import exif_orientation, turned, turned_size
from spatialembed.data.images.reading_errors import lossy, readable, reason
from spatialembed.data.images.series import Header, Held, Series, take, which
from spatialembed.errors import UserError

_LOSSLESS = ("PNG", "BMP", "DIB", "GIF")
_FORMATS = (*_LOSSLESS, "JPEG", "WEBP", "JPEG2000")
"""What Pillow may read, by content (MPO is a JPEG to it): no TIFF."""

_IN_8_BITS = {
    mode: "RGB" for mode in ("RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
} | {"LA": "L", "La": "L"}
"""Modes that are converted, and to what; alpha is dropped and colors stay as they are."""

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"

_DECODE: dict[str, Callable[[bytes], np.ndarray]] = {
    "PNG": imagecodecs.png_decode,
    "JPEG2000": imagecodecs.jpeg2k_decode,
}


def read_picture(path: Path, indices: bool, series: Series) -> np.ndarray:
    """Pixels (H, W, C); see :func:`spatialembed.data.images.reading.read_image`.

    Args:
        path: a file.
        indices: for masks: keep a palette's indices instead of its colors, refuse lossy formats.
        series: which of its frames.
    """
    with _opened(path, series) as (image, _, _):
        if indices and image.format not in _LOSSLESS:
            raise lossy(path)
        if image.format == "PNG":
            _require_sums(path)
        array = _deep(path, image)
        array = pillow_array(image, indices) if array is None else array
        return turned(array, exif_orientation(image))


def picture_header(path: Path, series: Series) -> Header:
    """What a picture's header says; its orientation is that of EXIF."""
    with _opened(path, series) as (image, held, number):
        orientation = exif_orientation(image)
        size = turned_size((image.height, image.width), orientation)
        channels = pillow_array(Image.new(image.mode, (1, 1))).shape[2]
        return Header(size, orientation, held, number, channels)


def pillow_array(image: Image.Image, indices: bool = False) -> np.ndarray:
    """Pixels (H, W, C) of a PIL image as it is, in their stored dtype, alpha dropped.

    Args:
        image: of any mode.
        indices: keep a palette's indices instead of its colors.
    """
    if image.mode in _IN_8_BITS and not (image.mode == "P" and indices):
        image.load()
        # convert() of a mode with alpha to one without keeps the colors as they are
        image = image.convert(_IN_8_BITS[image.mode])
    array = np.asarray(image)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array if array.ndim == 3 else array[..., None]


def _require_sums(path: Path) -> None:
    """Refuse a PNG of which a part is not as it was written, or is missing."""
    # Reading alone stops at the last row that is needed and never looks at the other checksums.
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.verify()
        if _PNG_END not in path.read_bytes():  # of this part verify reads the name alone
            raise SyntaxError("its end is damaged")
    except (SyntaxError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as an image ({reason(error)}): it is damaged, replace it"
        ) from error


def _deep(path: Path, image: Image.Image) -> np.ndarray | None:
    """Pixels of more than 8 bits, which Pillow cuts or scales; None where there are none."""
    if image.format == "PNG":
        with path.open("rb") as file:
            deep = file.read(25)[24:] == b"\x10"
    else:
        deep = image.format == "JPEG2000" and image.mode != "L"
    array = _DECODE[image.format or ""](path.read_bytes()) if deep else None
    if array is None or array.dtype.itemsize == 1:
        return None
    array = array if array.ndim == 3 else array[..., None]
    return array[..., :-1] if array.shape[2] in (2, 4) else array


@contextmanager
def _opened(path: Path, series: Series) -> Iterator[tuple[Image.Image, list[Held], int]]:
    """A picture at the frame that is read, all frames, and that one's number."""
    with readable(path), Image.open(path, formats=_FORMATS) as image:
        held = _frames(image)
        asked = which(series)
        asked.require_level(path, 1)
        number = take(path, held, asked.series)
        if len(held) > 1:
            image.seek(number)
        yield image, held, number


def _frames(image: Image.Image) -> list[Held]:
    """Pictures of a file; a JPEG's smaller ones (MPO) are previews and gains of the first."""
    first = Held(image.height, image.width)
    held = [first]
    for number in range(1, getattr(image, "n_frames", 1)):
        if image.format == "MPO":
            image.seek(number)
        smaller = image.height * image.width < first.height * first.width
        held.append(Held(image.height, image.width, aside=smaller))
    return held
