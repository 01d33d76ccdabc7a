"""Which kind of file an image is in, and how large it may be: what all the readers share."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from spatialembed.data.images.reading_errors import readable
from spatialembed.errors import UserError
from spatialembed.files.names import is_hidden

TIFFS = (".tif", ".tiff")
SLIDES = (".svs", ".ndpi", ".scn", ".bif")
"""Scanners' whole slides that are TIFFs, of Aperio, Hamamatsu, Leica and Ventana."""
VENDOR = (".czi", ".lif", ".nd2")
"""Files of microscopes' own formats, of Zeiss, Leica and Nikon."""
ZARR = ".zarr"

SUFFIXES = (".png", *TIFFS, *SLIDES, *VENDOR, ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".jp2")
"""Suffixes of files taken as images, in lower case."""

LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp", ".jp2")

MOST_PIXELS = 2**28
"""Pixels of an image that are read at once: as many as prediction takes."""
MOST_VOXELS = 2**31
"""Of a stack that is read at once."""

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Both byte orders, of TIFF and of BigTIFF."""


def is_tiff(path: Path) -> bool:
    """Whether ``path`` is a TIFF by its first bytes; by its name where it has no such."""
    # Not by the name alone: a TIFF may be called x.png, and a PNG x.tif.
    with readable(path), path.open("rb") as file:
        start = file.read(4)
    return start in _TIFF_STARTS or (len(start) < 4 and path.suffix.lower() in (*TIFFS, *SLIDES))


def is_vendor(path: Path) -> bool:
    """Whether ``path`` is named as a file of a microscope's own format."""
    return path.suffix.lower() in VENDOR


def is_zarr(path: Path) -> bool:
    """Whether ``path`` is named as a folder of zarr, such as x.zarr or x.ome.zarr."""
    return path.suffix.lower() == ZARR


def is_plane_folder(path: Path) -> bool:
    """Whether ``path`` is a folder and none of zarr: as an image, that of a stack's planes."""
    return path.is_dir() and not is_zarr(path)


def require_few_voxels(path: Path, shape: Sequence[int]) -> None:
    """Refuse a stack that is not read at once, by the shape of its array."""
    if math.prod(shape) > MOST_VOXELS:
        raise UserError(
            f"{path} has {math.prod(shape):,} voxels, more than are taken at once "
            f"({MOST_VOXELS:,}); cut it into parts"
        )


def image_names(folder: Path) -> list[str]:
    """Names in ``folder`` of image files and of folders of zarr, sorted, hidden ones left out."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:  # knows files from folders without asking for each
        return sorted(entry.name for entry in entries if _is_image(entry))


def _is_image(entry: os.DirEntry[str]) -> bool:
    ending = os.path.splitext(entry.name)[1].lower()
    if is_hidden(entry.name):
        return False
    return entry.is_file() if ending in SUFFIXES else ending == ZARR and entry.is_dir()
