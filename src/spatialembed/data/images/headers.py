"""What an image's header says: a look at many thousand images without decoding them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from spatialembed.data.images.pillow_image import pillow_array
from spatialembed.data.images.reading import image_size, open_windowed
from spatialembed.data.images.reading_errors import readable
from spatialembed.data.images.tiff_file import is_tiff
from spatialembed.data.images.zarr_image import is_zarr


def header_of(path: Path) -> tuple[int, int, int] | None:
    """Height, width and channels as :func:`~.reading.read_image` gives them.

    Returns:
        None where only decoding tells.

    Raises:
        UserError: the file is missing, or its beginning is not that of an image.
    """
    if is_zarr(path) or is_tiff(path):
        opened = open_windowed(path)
        return None if opened is None else (*opened.shape, opened.channels)
    height, width = image_size(path)
    with readable(path), Image.open(path) as image:
        return height, width, pillow_array(Image.new(image.mode, (1, 1))).shape[2]
