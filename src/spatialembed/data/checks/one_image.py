"""One image with its truth, read whole or block by block, as a check sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.checks.across_splits import Traces, traces_of
from spatialembed.data.checks.mask_signs import Sign, Signs, ignored_sign, rim_sign, signs_of
from spatialembed.data.checks.mask_warnings import Seen, mask_warnings
from spatialembed.data.checks.noise import is_noise, middle
from spatialembed.data.checks.turned_masks import gains
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.reading import read_mask
from spatialembed.data.images.spacing import PixelSize, Spacing, side_of
from spatialembed.data.images.windows import blocks
from spatialembed.data.large_sample import LargeSample
from spatialembed.data.layouts.cityscapes import Cityscapes, foreign_ids
from spatialembed.data.layouts.coco import Coco
from spatialembed.data.layouts.label_folder import LabelFolder
from spatialembed.data.parts import Ints, joined, objects_in, parts_of
from spatialembed.data.sample import Sample, Truth
from spatialembed.files.pixel_values import Values, merged, values_of

MASKS = 32
"""Masks that are looked at closely before work begins; `spatialembed check` does so with all."""


class Look(NamedTuple):
    """What is seen of one image."""

    shape: tuple[int, ...]
    """Height and width; of volumes depth first."""
    channels: int
    dtype: np.dtype[Any]
    """Of its pixels as stored."""
    objects: np.ndarray
    """As :func:`~spatialembed.data.parts.objects_in` gives them, or `objects_in_volume`."""
    ignored: int
    """Pixels that are."""
    mask: Seen
    values: Values
    traces: Traces
    spacing: Spacing | None = None
    """Of volumes, where their files state it."""
    pixel: PixelSize | None = None
    """Micrometres that a pixel of an image is high and wide, where its file states them."""
    noise: bool = False
    """Whether nothing can be seen in it, where that was looked at."""
    turned: NDArray[np.float64] | None = None
    """What turns of its mask gain, where that was looked at."""

    @property
    def side(self) -> float | None:
        """Micrometres that a pixel is wide; None of those that are no squares, too."""
        return None if self.pixel is None else side_of(self.pixel)


def look_at(dataset: FileDataSet, i: int) -> Look:
    """Read image ``i`` and its truth; raises UserError for whatever is wrong with them."""
    large = dataset.large(i)
    if large is not None:
        if dataset.split != "train":  # scored whole, where training cuts crops
            large.require_whole()
        return _blockwise(large, dataset.items[i].truth)
    sample = dataset[i]
    image, objects, mask = sample.image, *_mask_of(dataset, i, sample)
    ignored, values = int(sample.ignore.sum()), values_of([image])
    traces = traces_of(image)
    shape, channels = image.shape[:2], image.shape[2]
    window = middle(shape)
    noise = is_noise(image[window], sample.label_mask[window])
    known = shape, channels, image.dtype, objects, ignored, mask, values, traces
    return Look(*known, noise=noise, turned=gains(image, sample.label_mask))


def about_masks(dataset: FileDataSet) -> list[Problem]:
    """Whether some masks, evenly spaced, look like masks of something else than objects."""
    chosen = {round(i) for i in np.linspace(0, len(dataset) - 1, min(MASKS, len(dataset)))}
    whole = (i for i in sorted(chosen) if dataset.large(i) is None)
    return mask_warnings(_mask_of(dataset, i, dataset.truth(i))[1] for i in whole)


def _mask_of(dataset: FileDataSet, i: int, truth: Truth | Sample) -> tuple[np.ndarray, Seen]:
    """Objects of image ``i``, and what is seen of its mask."""
    table = parts_of(truth.label_mask, truth.class_map).table
    signs, objects = _signs(dataset, i, truth, table), objects_in(table)
    item = dataset.items[i]
    # One json holds the masks of all images: there the image says more.
    file = item.image if isinstance(dataset, Coco) else item.truth
    return objects, (file, signs, objects[:, 6])


def _signs(dataset: FileDataSet, i: int, truth: Truth | Sample, table: Ints) -> Signs:
    label_mask = truth.label_mask
    if isinstance(dataset, LabelFolder):
        sign = ignored_sign(label_mask, truth.ignore) or rim_sign(label_mask)
        return signs_of(table, label_mask.shape, sign)
    rims = None
    if isinstance(dataset, Cityscapes) and foreign_ids(read_mask(dataset.items[i].truth)):
        rims = Sign.FOREIGN
    return signs_of(table, label_mask.shape, rims, as_stored=False)


def _blockwise(large: LargeSample, file: Path) -> Look:
    """Only label folders hold such images; what rims say is seen in any block."""
    parts, values, ignored, rims = [], [], 0, None
    for rows, columns in blocks(large.mask):
        part = large.read(rows, columns)
        parts.append(parts_of(part.label_mask, part.class_map, (rows.start, columns.start)))
        ignored += int(part.ignore.sum())
        rims = rims or rim_sign(part.label_mask)
        values.append(values_of([part.image]))
    image, table = large.image, joined(parts)
    objects, signs = objects_in(table), signs_of(table, image.shape, rims)
    mask, traces, seen = (file, signs, objects[:, 6]), traces_of(image), merged(values)
    part = large.read(*middle(image.shape))
    noise = is_noise(part.image, part.label_mask)
    known = image.shape, image.channels, image.dtype, objects, ignored
    return Look(*known, mask, seen, traces, noise=noise)
