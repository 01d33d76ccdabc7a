"""Whether a large image is still the one that a run was begun with.

To read all of its bytes would take about as long as the run, so that sizes and times of files
stand for them: whatever writes a file changes its time. A copy that keeps the time of another file
of equal size goes unnoticed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from spatialembed.errors import UserError


def stamp_of(image: Path, *results: Path) -> dict[str, int]:
    """Bytes of an image's file or folder, and a checksum of names, sizes and times of its files.

    Args:
        image: a file, or a folder such as a zarr.
        results: files and folders that do not count where they lie in the image's.

    Raises:
        UserError: a file is gone or cannot be looked at.
    """
    total, checksum = 0, 0
    try:
        for path in _files(image, results):
            stat = os.stat(path)
            total += stat.st_size
            # microseconds: of less some file servers know nothing
            said = f"{os.path.relpath(path, image)}\n{stat.st_size}\n{stat.st_mtime_ns // 1000}\n"
            checksum = zlib.crc32(said.encode(errors="surrogateescape"), checksum)
    except OSError as error:
        raise UserError(f"{image} cannot be read ({error.strerror}); restore it") from error
    return {"bytes": total, "times": checksum}


def _files(image: Path, results: tuple[Path, ...]) -> Iterator[str]:
    if image.is_file():
        yield str(image)
    for place, folders, names in os.walk(image):
        # others' labels, too: OME-Zarr keeps them in the image
        kept = (name for name in folders if name != "labels" and Path(place, name) not in results)
        folders[:] = sorted(kept)
        paths = (Path(place, name) for name in sorted(names))
        yield from (str(path) for path in paths if path not in results)


def changed_image(image: Path, part: Path) -> UserError:
    """What is said of an image whose :func:`stamp_of` is not that from before."""
    return UserError(
        f"{image} changed since the run in {part} began, which holds parts of what it was; "
        "restore the image to go on, or add --overwrite to begin anew"
    )
