"""What files say that a person should know of, though they are read: for the report of a check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from spatialembed.data.data_set import Problem
from spatialembed.data.images.orientation import turned_size
from spatialembed.data.images.reading import further_images, image_size, stated_orientation

_NO_IMAGE = ".json"
"""Suffix of a truth that is no image."""


def notes(files: Sequence[Path]) -> Iterator[Problem]:
    """Warnings about an image and the files of its truth.

    Raises:
        UserError: a file that cannot be read.
    """
    images = [file for file in files if file.suffix != _NO_IMAGE]
    for file in images:
        if further := further_images(file):
            yield Problem(file, further, warning=True)
    image, *masks = images
    orientation = stated_orientation(image)
    if orientation == 1 or any(stated_orientation(mask) != 1 for mask in masks):
        return
    size = image_size(image)
    if turned_size(size, orientation) == size:  # else truth of another size is refused
        message = (
            f"states orientation {orientation}, which is applied; its truth states none and must "
            "be of the turned picture, as viewers show it"
        )
        yield Problem(image, message, warning=True)
