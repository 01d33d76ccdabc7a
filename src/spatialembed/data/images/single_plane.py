"""Whether a file is an image, and no stack: what is said to those who give one for the other."""

from __future__ import annotations

from pathlib import Path

from spatialembed.data.images.reading import image_size
from spatialembed.data.images.series import Series
from spatialembed.errors import UserError


def is_image(path: Path, series: Series = None) -> bool:
    """Whether a file is what :func:`~spatialembed.data.images.reading.read_image` reads.

    By the header alone; False too for what cannot be read, as its reader says.
    """
    try:
        image_size(path, series)
    except UserError:
        return False
    return True
