"""How large an image's pixels are, by what its file states."""

from __future__ import annotations

from pathlib import Path

from spatialembed.data.images.kinds import is_plane_folder, is_tiff, is_vendor, is_zarr
from spatialembed.data.images.plane_folder import planes_of
from spatialembed.data.images.reading import image_size, stack_size
from spatialembed.data.images.series import Series, which
from spatialembed.data.images.spacing import PixelSize
from spatialembed.data.images.tiff_spacing import tiff_spacing
from spatialembed.data.images.vendor_image import vendor_steps
from spatialembed.data.images.zarr_image import zarr_pixel_size
from spatialembed.data.images.zarr_stack import zarr_spacing
from spatialembed.errors import UserError


def pixel_size(path: str | Path, series: Series = None) -> PixelSize | None:
    """Micrometres that a pixel is high and wide; None where the file does not state both.

    Stated is what ImageJ's and OME's TIFFs, OME-Zarr, Aperio's slides and files of microscopes
    say with a unit of length, and what other TIFFs say in their tags of resolution where that
    is finer than paper: pixels below 20 µm, so not 72 to 1,200 an inch. 1 µm by 1 µm, at the
    full resolution, is not stated: so programs write that were told nothing. Nor is what
    :func:`~spatialembed.data.images.reading.stack_spacing` leaves out.

    Args:
        path: the file, or the folder of a zarr.
        series: which of the images it holds, from 0; None for the only one.

    Raises:
        UserError: as :func:`~spatialembed.data.images.reading.read_image`, but for what only
            decoding shows.
    """
    path = Path(path)
    if not (is_zarr(path) or path.is_file()):
        image_size(path, series)  # which says what is wrong
    return _of(path, series, stack=False)


def plane_pixel_size(path: str | Path, series: Series = None) -> PixelSize | None:
    """:func:`pixel_size` of the planes of a stack, which may be stated where their distance is
    not; of a folder of planes that of its first.

    Args:
        path, series: as for :func:`~spatialembed.data.images.reading.read_stack`.

    Raises:
        UserError: as :func:`~spatialembed.data.images.reading.read_stack`, but for what only
            decoding shows.
    """
    path = Path(path)
    if is_plane_folder(path):
        return pixel_size(planes_of(path)[0], series)
    stack_size(path, series)  # which says what is wrong
    return _of(path, series, stack=True)


def _of(path: Path, series: Series, stack: bool) -> PixelSize | None:
    asked = which(series)
    full = _stated(path, asked._replace(level=0), stack)
    if full is None or set(full) == {1.0}:
        return None
    found = _stated(path, series, stack) if asked.level else full
    return None if found is None else (found[0], found[1])


def _stated(path: Path, series: Series, stack: bool) -> tuple[float, ...] | None:
    if is_zarr(path):
        return zarr_spacing(path, series, "yx") if stack else zarr_pixel_size(path, series)
    if is_vendor(path):
        return vendor_steps(path, series, "yx", stack)
    return tiff_spacing(path, series, "YX", stack) if is_tiff(path) else None


def known_pixel_size(path: str | Path) -> PixelSize | None:
    """:func:`pixel_size`; None, too, of a file that does not state it so that it can be read."""
    try:
        return pixel_size(path)
    except UserError:
        return None
