"""Images, copied as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

from spatialembed.convert.picture import Placed


def copy_image(each: Placed, folder: Path) -> Path:
    """Copy a picture's image to its place below a folder; a folder of zarr with all it holds."""
    path = folder / each.file
    path.parent.mkdir(parents=True, exist_ok=True)
    if each.picture.image.is_dir():
        shutil.copytree(each.picture.image, path)
    else:
        shutil.copyfile(each.picture.image, path)
    return path
