"""What a check says of images that are read nevertheless: of their files, and of their values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from spatialembed.data.checks.one_image import Look
from spatialembed.data.data_set import Problem
from spatialembed.data.images.orientation import turned_size
from spatialembed.data.images.reading import further_images, image_size, stated_orientation
from spatialembed.data.images.spacing import ALIKE, MOST, PixelSize, side_of
from spatialembed.files.described import such
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


def pixel_size_warnings(looks: Mapping[str, Mapping[Path, Look]]) -> Iterator[Problem]:
    """What is to be said of the pixel sizes of images, by split; nothing where none states it."""
    for seen in looks.values():
        yield from oblong_warnings({file: look.pixel for file, look in seen.items()})
    sides = {split: {file: look.side for file, look in of.items()} for split, of in looks.items()}
    known = [side for side in next(iter(sides.values()), {}).values() if side is not None]
    if not known:
        return
    usual = float(np.median(known))
    for split, of in sides.items():
        silent = [file for file in of if looks[split][file].pixel is None]
        ratios = {file: side / usual for file, side in of.items() if side}
        far = [file for file, ratio in ratios.items() if not 1 / MOST <= ratio <= MOST]
        other = [f for f, ratio in ratios.items() if abs(ratio - 1) > ALIKE and f not in far]
        if silent:
            then = "a model will know none" if split == "train" else "it is shown as it is"
            message = f"does not state the size of its pixels, others do{such(silent)}: {then}"
            yield Problem(silent[0], f"{message}, without --pixel_size", warning=True)
        if far:
            message = (
                f"has pixels of {of[far[0]]:.3g} µm, the median image of {usual:.3g}{such(far)}: "
                "training refuses it; resample it, or give one --pixel_size if that is wrong"
            )
            yield Problem(far[0], message)
        if other:
            message = (
                f"has pixels of {of[other[0]]:.3g} µm, the median image of {usual:.3g}"
                f"{such(other)}: training shows each as large as with such; where a file is "
                "wrong, correct it or give one --pixel_size for all"
            )
            yield Problem(other[0], message, warning=True)


def oblong_warnings(sizes: Mapping[Path, PixelSize | None]) -> Iterator[Problem]:
    """A warning where images, by file, have pixels that are no squares, which nothing goes by."""
    oblong = {file: size for file, size in sizes.items() if size and side_of(size) is None}
    for file, (y, x) in list(oblong.items())[:1]:
        message = (
            f"has pixels of {y:.3g} x {x:.3g} µm (high, wide), no squares{such(oblong)}: "
            "their size is taken for unknown, and objects look flatter or longer; resample it to "
            "squares, or give --pixel_size where its file is wrong"
        )
        yield Problem(file, message, warning=True)


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
        of = such(files)
        if kind != usual and usual is not None:
            message = (
                f"is {found.words}, most images are {usual[0]} up to {usual[1]:g}{of}; with "
                "--normalization range convert it to theirs, percentile goes by each image's own"
            )
            yield Problem(files[0], message, warning=True)
