"""Images and label masks from files: every format as (H, W, C) in its stored type.

tifffile reads every TIFF (tiff_file.py, tiff_tiles.py), zarr its folders (zarr_image.py), a library
each the files of microscopes (vendor_image.py), Pillow the rest (pillow_image.py). What a file says
of orientation, palettes, white and several images counts for images and masks alike.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np

from spatialembed.data.images.kinds import LOSSY_SUFFIXES as LOSSY
from spatialembed.data.images.kinds import MOST_PIXELS, SUFFIXES, is_tiff, is_vendor, is_zarr
from spatialembed.data.images.label_values import as_mask
from spatialembed.data.images.pillow_image import picture_header, read_picture
from spatialembed.data.images.plane_folder import planes_of, planes_size, read_planes
from spatialembed.data.images.reading_errors import A_TIFF, AN_IMAGE, lossy, too_large
from spatialembed.data.images.series import Header, Series, beside, which
from spatialembed.data.images.spacing import Spacing
from spatialembed.data.images.tiff_file import tiff_header, tiff_stack_size
from spatialembed.data.images.tiff_spacing import tiff_spacing
from spatialembed.data.images.tiff_tiles import open_tiff, read_tiff, read_tiff_stack
from spatialembed.data.images.vendor_image import (
    open_vendor,
    read_vendor,
    read_vendor_stack,
    vendor_header,
    vendor_stack_size,
    vendor_steps,
)
from spatialembed.data.images.windows import WindowedImage, picked, require_pixels
from spatialembed.data.images.zarr_image import open_zarr, zarr_header
from spatialembed.data.images.zarr_stack import read_zarr_stack, zarr_spacing, zarr_stack_size
from spatialembed.errors import UserError


def read_image(path: str | Path, series: Series = None) -> np.ndarray:
    """Read an image as (H, W, C) of its stored type (integer, float or bool).

    Grey images have C = 1. Alpha is dropped, palettes become RGB, the orientation that the file
    states is applied. TIFFs may have any number of channels, first or last; a stack is refused.

    Args:
        path: the file, or the folder of a zarr.
        series: which of the images it holds, from 0, or also which of its resolutions and
            channels; None for the only one, all of it.

    Raises:
        UserError: the file is missing, truncated, not an image, or not a 2D image; it holds
            several and none is asked for, or not what is asked for; an extra is missing.
    """
    return np.ascontiguousarray(_read(Path(path), False, series))


def read_stack(path: str | Path, series: Series = None) -> np.ndarray:
    """Read a stack of planes in z as (Z, H, W, C) of its stored type; two planes or more.

    Planes are what the file calls z; where a TIFF does not say what its pages are, they are
    planes. Those of a folder are in the order of the number in which their names differ, each as
    :func:`read_image` reads it.

    Args:
        path: a TIFF, the folder of a zarr that says what its axes are, a file of a microscope, or
            a folder of planes alone.
        series: as for :func:`read_image`.

    Raises:
        UserError: the file is missing, damaged, no such stack (a plane, times), has too many
            voxels, or does not say its axes; the planes of a folder are not of one size, type
            and channels, or their numbers have gaps or repeat.
    """
    return np.ascontiguousarray(_read_stack(Path(path), False, series))


def read_stack_mask(path: str | Path) -> np.ndarray:
    """Read a stack's label mask as (Z, H, W) int32, int64 if an id needs it; see `read_mask`.

    Raises:
        UserError: as :func:`read_stack`, and for the values as :func:`read_mask`.
    """
    path = Path(path)
    _require_lossless(path)
    return as_mask(path, _read_stack(path, True, None))


def stack_spacing(path: str | Path, series: Series = None) -> Spacing | None:
    """Micrometres between voxels along z, y and x; None where a file does not state all three.

    Stated is what ImageJ's and OME's TIFFs, OME-Zarr and microscopes say with a unit of length.
    What is 0, negative or not finite, below 0.1 nm or over 10 cm, or differs by more than 300 times
    between axes is not stated; nor is a pixel of 1/1 in ImageJ's TIFFs, as tifffile writes it
    unless told.

    Args:
        path, series: as for :func:`read_stack`.

    Raises:
        UserError: as :func:`read_stack`, but for what only decoding shows.
    """
    path = _existing_stack(path)
    if is_zarr(path):
        found = zarr_spacing(path, series)
    elif path.is_dir():
        planes_of(path)
        return None
    else:
        found = (vendor_steps if is_vendor(path) else tiff_spacing)(path, series)
    return None if found is None else (found[0], found[1], found[2])


def stack_size(path: str | Path, series: Series = None) -> tuple[int, int, int]:
    """Planes, height and width of what :func:`read_stack` gives, by the header alone.

    Raises:
        UserError: as :func:`read_stack`, but for what only decoding shows.
    """
    path = _existing_stack(path)
    if is_zarr(path):
        return zarr_stack_size(path, series)
    if path.is_dir():
        return planes_size(path, partial(image_size, series=series))
    if is_vendor(path):
        return vendor_stack_size(path, series)
    return tiff_stack_size(path, series)


def is_stack(path: str | Path) -> bool:
    """Whether a file, or a folder, is what :func:`read_stack` reads, by the header alone.

    False too for what cannot be read, as its reader says.
    """
    try:
        stack_size(path)
    except UserError:
        return False
    return True


def image_size(path: str | Path, series: Series = None) -> tuple[int, int]:
    """Height and width of what :func:`read_image` gives, by the header alone; raises as it does."""
    return _header(path, series).size


def stated_orientation(path: str | Path) -> int:
    """The orientation that a file states, 1 (as stored) to 8; raises as :func:`read_image`."""
    return _header(path).orientation


def further_images(path: str | Path, series: Series = None) -> str | None:
    """What a file holds beside the image that :func:`read_image` gives; None for nothing.

    Returns:
        A sentence without its subject, the file.

    Raises:
        UserError: as :func:`read_image`, but for what only decoding shows.
    """
    return beside(_header(path, series))


def stated_shape(path: Path) -> tuple[int, int, int] | None:
    """Height, width and channels of what :func:`read_image` gives, without decoding.

    Returns:
        None where only decoding tells.

    Raises:
        UserError: the file is missing, or its beginning is not that of an image.
    """
    if is_zarr(path) or is_vendor(path) or is_tiff(path):
        opened = open_windowed(path)
        if opened is None:
            return None
        height, width = opened.shape
        return height, width, opened.channels
    header = _header(path)
    return None if header.channels is None else (*header.size, header.channels)


def read_mask(path: str | Path) -> np.ndarray:
    """Read a label mask as (H, W) int32, int64 if an id needs it: 0 background, else an object.

    A palette's indices are the ids, and values are taken as they are stored where white is 0, but
    for masks of 1 bit, whose black is the background. Floats are accepted if every value is whole,
    RGB if its channels are equal.

    Raises:
        UserError: as :func:`read_image`; a lossy format (it invents ids), a value that is
            negative, not whole or 2^63 and more, or several channels that differ.
    """
    path = Path(path)
    _require_lossless(path)
    return as_mask(path, _read(path, True, None))


def open_windowed(
    path: str | Path, indices: bool = False, least: int = 0, series: Series = None
) -> WindowedImage | None:
    """Open an image for reading by windows; not a pixel is read.

    Args:
        path: an x.zarr folder, or a file in any format.
        indices: for masks: values are kept as they are stored, and a lossy coding is refused.
        least: pixels up to which an image is left alone.
        series: as for :func:`read_image`.

    Returns:
        None where windows would gain nothing: the image is that small, one that Pillow reads, or a
        TIFF that is compressed in one piece or in a way that is not read by tiles.

    Raises:
        UserError: as :func:`read_image`, but for what only decoding shows.
    """
    path = _existing(path)
    if indices:
        _require_lossless(path)
    if is_zarr(path):
        image: WindowedImage | None = open_zarr(path, indices, series)
    elif is_vendor(path):
        image = open_vendor(path, series)
    else:
        image = open_tiff(path, indices, least, series) if is_tiff(path) else None
    return None if image is None or math.prod(image.shape) <= least else picked(image, series)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir() and not is_zarr(path):
        raise UserError(f"{path} is a folder; give an image file")
    if not path.is_file() and not (is_zarr(path) and path.exists()):
        raise UserError(f"{path} does not exist; give an image file")
    return path


def _header(path: str | Path, series: Series = None) -> Header:
    path = _existing(path)
    if is_zarr(path):
        return zarr_header(path, series)
    if is_vendor(path):
        return vendor_header(path, series)
    return tiff_header(path, series) if is_tiff(path) else picture_header(path, series)


def _read(path: Path, indices: bool, series: Series) -> np.ndarray:
    """(H, W, C) without alpha; ``indices``: for masks, palette indices and no lossy coding."""
    path = _existing(path)
    if is_zarr(path):
        image = open_zarr(path, indices, series)
        if math.prod(image.shape) > MOST_PIXELS:
            raise too_large(path)
        array = image.whole()
    elif is_vendor(path):
        array = read_vendor(path, series)
    elif is_tiff(path):
        array = read_tiff(path, indices, series)
    else:
        array = read_picture(path, indices, series)
    require_pixels(path, array.shape, array.dtype)
    return which(series).channels_of(path, array)


def _read_stack(path: Path, indices: bool, series: Series) -> np.ndarray:
    """(Z, H, W, C) without alpha; ``indices`` as for `_read`."""
    path = _existing_stack(path)
    if is_zarr(path):
        stack = read_zarr_stack(path, indices, series)
    elif path.is_dir():
        return read_planes(path, partial(_read, indices=indices, series=series))
    elif is_vendor(path):
        stack = read_vendor_stack(path, series)
    else:
        stack = read_tiff_stack(path, indices, series)
    require_pixels(path, stack.shape[1:], stack.dtype)
    return which(series).channels_of(path, stack)


def _existing_stack(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir():
        return path
    if not is_vendor(_existing(path)) and not is_tiff(path):
        raise UserError(
            f"{path} is no TIFF, OME-Zarr, file of a microscope or folder of planes, as which "
            f"stacks are read; {AN_IMAGE if path.suffix.lower() in SUFFIXES else A_TIFF}"
        )
    return path


def _require_lossless(path: Path) -> None:
    if is_vendor(path):
        raise UserError(f"{path} is a microscope's file, no label mask; store masks as PNG or TIFF")
    if path.suffix.lower() in LOSSY:
        raise lossy(path)
