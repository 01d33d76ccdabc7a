"""OME-Zarr as a browser can give it: its folder in one zip, which is what an .ozx is, too."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from spatialembed.data.images.kinds import ZARR
from spatialembed.data.images.reading_errors import told
from spatialembed.errors import UserError

SUFFIXES = (".zip", ".ozx")

MOST_UNPACKED = 2_000_000_000
"""Bytes of a zip's files together."""

_OF_ZARR = {"zarr.json", ".zgroup", ".zarray"}


@contextmanager
def unzipped(path: Path) -> Iterator[Path]:
    """The folder of the zarr in a zip, there for as long as the block; any other file as it is.

    Raises:
        UserError: no zip, one without a zarr or with several, or one that is too large.
    """
    if path.suffix.lower() not in SUFFIXES:
        yield path
        return
    with tempfile.TemporaryDirectory() as temporary:
        everything = Path(temporary, "all")
        folder = Path(temporary, path.stem.removesuffix(ZARR) + ZARR)
        with told(f"{path.name} cannot be unpacked", "zip one OME-Zarr folder, without a password"):
            with zipfile.ZipFile(path) as file:
                place = _place_of_zarr(path.name, file.infolist())
                file.extractall(everything)
            (everything / place).rename(folder)
        yield folder


def _place_of_zarr(name: str, files: list[zipfile.ZipInfo]) -> PurePosixPath:
    """The folder in a zip that all of its zarr's metadata lie in or below."""
    paths = [PurePosixPath(file.filename) for file in files]
    places = {path.parent for path in paths if path.name in _OF_ZARR}
    outer = [place for place in places if not places.intersection(place.parents)]
    if len(outer) != 1:
        raise UserError(
            f"{name} holds {'several zarrs' if outer else 'no zarr'}; zip one OME-Zarr folder, or "
            "give a TIFF"
        )
    if (unpacked := sum(file.file_size for file in files)) > MOST_UNPACKED:
        raise UserError(
            f"{name} holds {unpacked / 1e9:.1f} GB, this page takes up to {MOST_UNPACKED / 1e9:g}: "
            "cut it, or use spatialembed predict"
        )
    return outer[0]
