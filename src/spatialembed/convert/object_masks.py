"""A folder an image and a mask an object, as DSB2018 came: ID/images/ID.png, ID/masks/*.png."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spatialembed.convert.canvas import Canvas
from spatialembed.convert.picture import OBJECT, Picture
from spatialembed.convert.source import Source
from spatialembed.data.data_set import unequal
from spatialembed.data.images.kinds import image_names
from spatialembed.data.images.reading import read_mask
from spatialembed.data.layouts.splits import split_of
from spatialembed.errors import UserError


def recognize(source: Source) -> bool:
    """Whether folders of one image and its masks lie here, or in folders of splits."""
    return next(_folders(source), None) is not None


def _folders(source: Source) -> Iterator[Path]:
    """Folders of one image; in a split's folder a folder of many is another layout."""
    for folder in sorted({image.parent.parent for image in source.images}):
        is_set = folder == source.root or split_of(folder.name)
        if not is_set and (folder / "masks").is_dir() and len(_images(folder)) == 1:
            yield folder


def _images(folder: Path) -> list[str]:
    return image_names(folder / "images")


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all folders.

    Raises:
        UserError: an image or a mask cannot be read, or they are of different sizes.
    """
    for folder in _folders(source):
        image = folder / "images" / _images(folder)[0]
        size = source.size(image, image)
        canvas = Canvas(folder / "masks", size, source.notes)
        for name in image_names(folder / "masks"):
            file = folder / "masks" / name
            mask = read_mask(file)
            if mask.shape != size:
                raise UserError(unequal(image, size, file, mask.shape))
            if len(np.unique(mask)) > 2:
                raise UserError(
                    f"{file} has several ids, where a mask of one object is wanted; put such "
                    "masks in train/masks and their images in train/images"
                )
            canvas.bitmap(OBJECT, mask, 0, 0)
        split = source.split(image)
        yield Picture(image, source.name(folder / "x"), split, size, canvas.objects(), [])
