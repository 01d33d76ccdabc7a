"""Images and label masks from files: every format as (H, W, C) in its stored type.

Pillow reads everything but TIFF, which tifffile reads (and Pillow where tifffile lacks a codec),
and zarr (zarr_image.py).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from ..errors import UserError
from .png_sums import require_sums
from .zarr_image import SUFFIX as ZARR
from .zarr_image import is_zarr, open_zarr

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".jp2")
"""Suffixes taken as images, in lower case."""

LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp", ".jp2")
TIFF = (".tif", ".tiff")
_LOSSY_FORMATS = ("JPEG", "MPO", "WEBP", "JPEG2000")
LOSSY_TIFF = ("JPEG", "OJPEG", "JPEG_LOSSY", "JPEG2000", "APERIO_JP2000_RGB", "WEBP")
PILLOW_TIFF = ("PALETTE", "YCBCR", "SEPARATED", "CIELAB")
"""Colors of TIFFs that Pillow turns into RGB."""

_UNREADABLE = (
    OSError,
    SyntaxError,  # Pillow's for a broken PNG
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)
_RGB_16 = (2, 4, 6)  # PNG color types that Pillow cuts to 8 bits


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as (H, W, C) of its stored type (integer, float or bool).

    Grey images have C = 1. Alpha is dropped, palettes become RGB. TIFFs may have any number of
    channels, first or last; a stack in z or time is refused.

    Raises:
        UserError: the file is missing, truncated, not an image, or not a 2D image.
    """
    array = _read(Path(path), indices=False)
    return np.ascontiguousarray(array)


def pixels_of(path: str | Path) -> int:
    """How many pixels an image has in a plane, by its header alone.

    Raises:
        UserError: the file is missing, or not an image.
    """
    path = Path(path)
    with readable(path):
        if path.suffix.lower() in TIFF:
            with tifffile.TiffFile(path) as file:
                plane = file.series[0].keyframe
                return plane.imagewidth * plane.imagelength
        with Image.open(path) as image:
            return image.width * image.height


def read_mask(path: str | Path) -> np.ndarray:
    """Read a label mask as (H, W) int32, int64 if an id needs it: 0 background, else an object.

    A palette's indices are the ids. Floats are accepted if every value is whole, RGB if its
    channels are equal.

    Raises:
        UserError: as :func:`read_image`; a lossy format (it invents ids), a value that is
            negative or not whole, or several channels that differ.
    """
    path = Path(path)
    if path.suffix.lower() in LOSSY_SUFFIXES:
        raise UserError(lossy(path))
    return as_mask(path, _read(path, indices=True))


def as_mask(path: Path, array: np.ndarray) -> np.ndarray:
    """A label mask (H, W) of pixels (H, W, C) as stored, or of a window of them; see
    :func:`read_mask`.
    """
    mask = array[..., 0]
    if array.shape[2] > 1 and not (array == mask[..., None]).all():
        raise UserError(
            f"{path} has {array.shape[2]} channels that differ; a label mask has one channel with "
            "an integer per object"
        )
    if mask.dtype.kind == "f" and not (np.isfinite(mask).all() and (mask == np.rint(mask)).all()):
        raise UserError(f"{path} is not integer; store an integer per object, 0 for background")
    if mask.dtype.kind in "if" and mask.size and mask.min() < 0:
        raise UserError(f"{path} has negative ids; store an integer per object, 0 for background")
    small = mask.dtype.itemsize < 4 and mask.dtype.kind in "bui"
    large = not small and mask.size and mask.max() > np.iinfo(np.int32).max
    return np.ascontiguousarray(mask.astype(np.int64 if large else np.int32))


def image_names(folder: Path) -> list[str]:
    """Names in ``folder`` of image files and of folders of zarr, sorted, hidden ones left out."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:  # knows files from folders without asking for each
        return sorted(entry.name for entry in entries if _is_image(entry))


def _is_image(entry: os.DirEntry[str]) -> bool:
    ending = os.path.splitext(entry.name)[1].lower()
    if entry.name.startswith("."):
        return False
    return entry.is_file() if ending in SUFFIXES else ending == ZARR and entry.is_dir()


def _read(path: Path, indices: bool) -> np.ndarray:
    """(H, W, C) without alpha; ``indices``: for masks, palette indices and no lossy coding."""
    if is_zarr(path):
        return open_zarr(path).whole()
    if not path.is_file():
        raise UserError(f"{path} does not exist; give an image file")
    with readable(path):
        if path.suffix.lower() in TIFF:
            array = _read_tiff(path, indices)
        else:
            array = _read_pillow(path, indices)
    if 0 in array.shape or array.dtype.kind not in "buif":
        raise UserError(
            f"{path} holds {array.dtype} values in shape {array.shape}; an image is integer or "
            "float and not empty"
        )
    return array


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever goes wrong in decoding ``path`` as one sentence that names it."""
    try:
        yield
    except UserError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} is too large to be read at once; store it as OME-Zarr or as a tiled TIFF, "
            "which are read in parts (to predict, with --out labels.zarr)"
        ) from error
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} cannot be read as an image ({reason}); it may be truncated or of another "
            "format: replace it"
        ) from error


def _read_pillow(path: Path, indices: bool) -> np.ndarray:
    with Image.open(path) as image:
        if indices and image.format in _LOSSY_FORMATS:
            raise UserError(lossy(path))
        if image.format == "PNG":
            require_sums(path)
        if image.format == "PNG" and _is_color_16(path):
            raise UserError(
                f"{path} is a PNG of 16 bits in color, which is read in 8; store it as TIFF"
            )
        return pillow_array(image, indices)


def pillow_array(image: Image.Image, indices: bool = False) -> np.ndarray:
    """Pixels (H, W, C) of a PIL image in their stored dtype, alpha dropped.

    Args:
        image: of any mode.
        indices: keep a palette's indices instead of its colors.
    """
    if image.mode == "P" and indices:
        return np.asarray(image)[..., None]
    modes = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB", "P": "RGB", "PA": "RGB"}
    modes |= {mode: "RGB" for mode in ("RGBX", "CMYK", "YCbCr", "LAB", "HSV")}
    if image.mode in modes:
        image.load()
        # convert() of a mode with alpha to one without keeps the colors as they are
        image = image.convert(modes[image.mode])
    array = np.asarray(image)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array if array.ndim == 3 else array[..., None]


def _is_color_16(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(26)
    return len(header) == 26 and header[24] == 16 and header[25] in _RGB_16


def _read_tiff(path: Path, indices: bool) -> np.ndarray:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        page = series.keyframe
        if indices and tag_name(page.compression) in LOSSY_TIFF:
            raise UserError(lossy(path))
        if path.stat().st_size < _last_byte(file):
            raise UserError(f"{path} is truncated: it ends before its pixels do; replace it")
        axes, shape, photometric = series.axes, series.shape, tag_name(page.photometric)
        alpha = any(int(kind) in (1, 2) for kind in page.extrasamples)
        pillow = photometric in PILLOW_TIFF
        try:
            array = None if pillow else series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            array = None
    if array is None:
        array = _tiff_by_pillow(path, shape, indices)
        return array
    array = channels_last(path, array, axes)
    if alpha and "S" in axes and array.shape[2] in (2, 4):
        array = array[..., :-1]
    if photometric == "MINISWHITE" and not indices and array.dtype.kind == "u":
        array = np.iinfo(array.dtype).max - array
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def tag_name(tag: object) -> str:
    """Name of a TIFF tag's value; one that tifffile does not know is a plain number."""
    return str(getattr(tag, "name", tag))


def _last_byte(file: tifffile.TiffFile) -> int:
    """End of the last segment of pixels; tifffile fills what is missing with zeros in silence."""
    return max(
        offset + count
        for page in file.series[0].pages
        if page is not None
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
    )


def _tiff_by_pillow(path: Path, shape: tuple[int, ...], indices: bool) -> np.ndarray:
    """TIFFs whose coding tifffile leaves to imagecodecs (LZW, for one) or whose colors it keeps."""
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) == 1:
                return pillow_array(image, indices)
    except UnidentifiedImageError:
        pass
    raise UserError(
        f"{path} is a TIFF of shape {shape} compressed in a way that is not read; store it "
        "uncompressed or with zlib (deflate), or pip install imagecodecs"
    )


def channels_last(path: Path, array: np.ndarray, axes: str) -> np.ndarray:
    """Move the channels of a TIFF last: by its axes, else the shorter of first and last axis."""
    keep = [i for i, n in enumerate(array.shape) if n > 1 or axes[i] in "YX"]
    array, axes = array.reshape([array.shape[i] for i in keep]), "".join(axes[i] for i in keep)
    if array.ndim == 2:
        return array[..., None]
    if array.ndim != 3 or (set(axes) & set("ZT")):
        raise UserError(
            f"{path} is a stack of shape {array.shape} (axes {axes}), not a 2D image; store its "
            "planes as separate files"
        )
    if axes[2] == "S" or (axes[0] not in "CS" and array.shape[2] < array.shape[0]):
        return array
    return np.moveaxis(array, 0, 2)


def lossy(path: Path) -> str:
    return f"{path} is in a lossy format, which changes ids; store label masks as PNG or TIFF"
