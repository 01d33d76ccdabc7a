"""One image with its truth, read whole or block by block, as a check sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.data.checks.mask_report import Seen, mask_problems
from spatialembed.data.checks.mask_signs import Sign, Signs, rim_sign, signs_of
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.reading import read_mask
from spatialembed.data.images.windows import blocks
from spatialembed.data.large_sample import LargeSample
from spatialembed.data.layouts.cityscapes import Cityscapes, foreign_ids
from spatialembed.data.layouts.coco import Coco
from spatialembed.data.layouts.label_folder import LabelFolder
from spatialembed.data.parts import Ints, joined, objects_in, parts_of
from spatialembed.files.pixel_values import Values, merged, values_of

MASKS = 32
"""Masks that are looked at closely before work begins; `spatialembed check` does so with all."""


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
        values: of the image.
    """

    shape: tuple[int, int]
    channels: int
    dtype: np.dtype[Any]
    objects: np.ndarray
    ignored: int
    signs: Signs
    values: Values


def look_at(dataset: FileDataSet, i: int) -> Look:
    """Read image ``i`` and its truth; raises UserError for whatever is wrong with them."""
    large = dataset.large(i)
    if large is not None:
        if dataset.split != "train":
            large.require_whole()
        return _blockwise(large)
    sample = dataset[i]
    image = sample.image
    table = parts_of(sample.label_mask, sample.class_map).table
    signs = _signs(dataset, i, sample.label_mask, table)
    ignored = int(sample.ignore.sum())
    shape = sample.label_mask.shape
    values = values_of([image])
    return Look(shape, image.shape[2], image.dtype, objects_in(table), ignored, signs, values)


def mask_seen(dataset: FileDataSet, i: int) -> Seen:
    """Read the truth of image ``i`` alone, whatever its size."""
    truth = dataset.truth(i)
    table = parts_of(truth.label_mask, truth.class_map).table
    signs = _signs(dataset, i, truth.label_mask, table)
    return mask_file(dataset, i), signs, objects_in(table)[:, 6]


def about_masks(dataset: FileDataSet) -> list[Problem]:
    """Whether some masks, evenly spaced, look like masks of something else than objects."""
    chosen = {round(i) for i in np.linspace(0, len(dataset) - 1, min(MASKS, len(dataset)))}
    return mask_problems(mask_seen(dataset, i) for i in sorted(chosen) if dataset.large(i) is None)


def mask_file(dataset: FileDataSet, i: int) -> Path:
    """Where to look for the mask of image ``i``: of all that one json holds, in the image."""
    item = dataset.items[i]
    return item.image if isinstance(dataset, Coco) else item.truth


def _signs(dataset: FileDataSet, i: int, label_mask: np.ndarray, table: Ints) -> Signs:
    if isinstance(dataset, LabelFolder):
        return signs_of(table, label_mask.shape, rim_sign(label_mask))
    rims = None
    if isinstance(dataset, Cityscapes) and foreign_ids(read_mask(dataset.items[i].truth)):
        rims = Sign.FOREIGN
    return signs_of(table, label_mask.shape, rims, as_stored=False)


def _blockwise(large: LargeSample) -> Look:
    """Only label folders hold such images; what rims say is seen in any block."""
    parts, values, ignored, rims = [], [], 0, None
    for rows, columns in blocks(large.mask):
        part = large.read(rows, columns)
        parts.append(parts_of(part.label_mask, part.class_map, (rows.start, columns.start)))
        ignored += int(part.ignore.sum())
        rims = rims or rim_sign(part.label_mask)
        values.append(values_of([part.image]))
    image, table = large.image, joined(parts)
    signs = signs_of(table, image.shape, rims)
    return Look(
        image.shape, image.channels, image.dtype, objects_in(table), ignored, signs, merged(values)
    )
