"""What a check says of images that are read nevertheless: of their files, and of their values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spatialembed.data.data_set import Problem
from spatialembed.data.images.orientation import turned_size
from spatialembed.data.images.reading import further_images, image_size, stated_orientation
from spatialembed.files.pixel_values import Values


def file_warnings(files: Sequence[Path]) -> Iterator[Problem]:
    """Warnings about an image's file and those of its truth, which may be a json.

    Raises:
        UserError: a file that cannot be read.
    """
    image, *masks = (file for file in files if file.suffix != ".json")
    for file in (image, *masks):
        if further := further_images(file):
            yield Problem(file, further, warning=True)
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


def value_warnings(values: Mapping[Path, Values]) -> Iterator[Problem]:
    """Warnings about the images of one split, whose values are given by file.

    Not that images do not fill their type: that matters by the normalization "range" alone, and
    training by it says so (training/look_at_data.py).
    """
    for file, found in values.items():
        if found.not_finite:
            share = found.not_finite / found.pixels
            message = (
                f"has {found.not_finite} pixels ({share:.2%} of all) that are NaN or infinite, "
                "which become 0; replace them"
            )
            yield Problem(file, message, warning=True)
    kinds = defaultdict(list)
    for file, found in values.items():
        kinds[str(found.dtype), found.white].append(file)
    usual = max(kinds, key=lambda kind: len(kinds[kind]), default=None)
    for kind, files in kinds.items():
        found = values[files[0]]
        of = f" ({len(files)} such images)" if len(files) > 1 else ""
        if kind != usual and usual is not None:
            message = (
                f"is {found.words}, most images are {usual[0]} up to {usual[1]:g}{of}; with "
                "--normalization range convert it to theirs, percentile goes by each image's own"
            )
            yield Problem(files[0], message, warning=True)
