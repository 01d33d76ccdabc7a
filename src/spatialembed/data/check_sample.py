"""One image with its truth, read whole or block by block, as a check sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .cityscapes import Cityscapes, foreign_ids
from .image_io import read_mask
from .label_folder import LabelFolder
from .large import LargeSample
from .mask_signs import Sign, Signs, rim_sign, signs_of
from .parts import Ints, joined, objects_in, parts_of
from .sample import FileDataSet
from .windowed import blocks


@dataclass(frozen=True, eq=False)
class Look:
    """What is seen of one image.

    Attributes:
        shape: height and width.
        channels: of the image.
        dtype: of its pixels as stored.
        objects: as :func:`~spatialembed.data.parts.objects_in` gives them.
        ignored: pixels that are.
        signs: of the mask.
    """

    shape: tuple[int, int]
    channels: int
    dtype: np.dtype[Any]
    objects: np.ndarray
    ignored: int
    signs: Signs


def look_at(dataset: FileDataSet, i: int) -> Look:
    """Read image ``i`` and its truth; raises UserError for whatever is wrong with them."""
    large = dataset.large(i)
    if large is not None:
        if dataset.split != "train":
            large.require_whole()
        return _blockwise(large)
    sample = dataset[i]
    table = parts_of(sample.label_mask, sample.class_map).table
    rims = None
    if isinstance(dataset, LabelFolder):
        rims = rim_sign(sample.label_mask)
    elif isinstance(dataset, Cityscapes) and foreign_ids(read_mask(dataset.items[i].truth)):
        rims = Sign.FOREIGN
    height, width, channels = sample.image.shape
    ignored = int(sample.ignore.sum())
    stored = isinstance(dataset, LabelFolder)
    return _look((height, width), channels, sample.image.dtype, table, ignored, rims, stored)


def _blockwise(large: LargeSample) -> Look:
    """Only label folders hold such images; what rims say is seen in any block."""
    parts, ignored, rims = [], 0, None
    for rows, columns in blocks(large.mask):
        part = large.read(rows, columns)
        parts.append(parts_of(part.label_mask, part.class_map, (rows.start, columns.start)))
        ignored += int(part.ignore.sum())
        rims = rims or rim_sign(part.label_mask)
    image = large.image
    return _look(image.shape, image.channels, image.dtype, joined(parts), ignored, rims, True)


def _look(
    shape: tuple[int, int],
    channels: int,
    dtype: np.dtype[Any],
    table: Ints,
    ignored: int,
    rims: Sign | None,
    stored: bool,
) -> Look:
    signs = signs_of(table, shape, rims, stored)
    return Look(shape, channels, dtype, objects_in(table), ignored, signs)
