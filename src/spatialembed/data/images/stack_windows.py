"""Volumes that are read by windows, and where their voxels lie."""

from __future__ import annotations

from pathlib import Path

from spatialembed.data.images.kinds import is_vendor, is_zarr
from spatialembed.data.images.reading import stack_size, stack_spacing
from spatialembed.data.images.series import Series
from spatialembed.data.images.tiff_tiles import open_tiff_stack
from spatialembed.data.images.vendor_image import open_vendor_stack
from spatialembed.data.images.windows import WindowedImage, picked
from spatialembed.data.images.zarr_image import Grid, grid_of
from spatialembed.data.images.zarr_stack import open_zarr_stack


def open_windowed_stack(path: Path, series: Series = None) -> WindowedImage | None:
    """Open a volume for reading by windows (planes, rows, columns); not a voxel is read.

    Args:
        path, series: as for :func:`~spatialembed.data.images.reading.read_stack`.

    Returns:
        None for a folder of planes, and a TIFF that is compressed in a way that is not read by
        tiles.

    Raises:
        UserError: as :func:`~spatialembed.data.images.reading.read_stack`, but for what only
            decoding shows.
    """
    stack_size(path, series)  # which says what is wrong
    if is_zarr(path):
        stack: WindowedImage | None = open_zarr_stack(path, False, series)
    elif is_vendor(path):
        stack = open_vendor_stack(path, series)
    else:
        stack = None if path.is_dir() else open_tiff_stack(path, series)
    return None if stack is None else picked(stack, series)


def stack_grid(path: Path, series: Series = None) -> Grid:
    """Where the voxels of a volume lie, as OME-Zarr says it, or a TIFF its spacing.

    Raises:
        UserError: as :func:`open_windowed_stack`.
    """
    grid = grid_of(path, series, "zyx")
    spacing = None if is_zarr(path) else stack_spacing(path, series)
    if spacing is None:
        return grid
    axes = [axis | {"unit": "micrometer"} for axis in grid.axes]
    return grid._replace(axes=axes, size=list(spacing))
