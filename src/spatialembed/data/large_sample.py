"""Samples too large to be decoded for every few crops: read by windows, whatever their size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialembed.data.images.kinds import MOST_PIXELS
from spatialembed.data.images.label_values import as_mask
from spatialembed.data.images.reading import open_windowed
from spatialembed.data.images.windows import WindowedImage
from spatialembed.data.sample import Sample, Truth, size
from spatialembed.errors import UserError

LARGE_PIXELS = 2**22
"""Pixels of an image beyond which it is read by windows, if it is stored in parts."""


@dataclass(frozen=True, eq=False)
class LargeSample:
    """An image with its truth, of which windows are read.

    Attributes:
        name: as a :class:`~spatialembed.data.sample.Sample`'s.
        image, mask: stored in parts.
        unknown: above 0 where nobody knows; None without such an image.
        truth_of: the truth of a window of ``mask`` and ``unknown``, as their pixels are stored.

    Raises:
        UserError: image and truth of different sizes.
    """

    name: str
    image: WindowedImage
    mask: WindowedImage
    unknown: WindowedImage | None
    truth_of: Callable[[np.ndarray, np.ndarray | None], Truth]

    def __post_init__(self) -> None:
        for truth in (self.mask, self.unknown):
            if truth is not None and truth.shape != self.image.shape:
                raise UserError(
                    f"{self.image.path} is {size(self.image.shape)}, its truth {truth.path} is "
                    f"{size(truth.shape)}; make them one size"
                )

    def truth(self, rows: slice, columns: slice) -> Truth:
        """The truth of a window.

        Raises:
            UserError: a file that is damaged, or values that no label mask has.
        """
        mask = as_mask(self.mask.path, self.mask.read(rows, columns))
        if mask.dtype != np.int32:
            raise UserError(
                f"{self.mask.path} has ids above {np.iinfo(np.int32).max}; number its objects anew"
            )
        if self.unknown is None:
            return self.truth_of(mask, None)
        unknown = as_mask(self.unknown.path, self.unknown.read(rows, columns))
        return self.truth_of(mask, unknown)

    def read(self, rows: slice, columns: slice) -> Sample:
        """A window as a sample of its own; raises as :meth:`truth`."""
        return Sample(self.name, self.image.read(rows, columns), *self.truth(rows, columns))

    def require_whole(self) -> None:
        """Refuse an image that is wanted whole and would not fit in memory."""
        if math.prod(self.image.shape) > MOST_PIXELS:
            raise UserError(
                f"{self.image.path} is {size(self.image.shape)}, too large to be taken whole; cut "
                "it into smaller images, or keep it in train, whose images may be of any size"
            )


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether an image of this height and width is read by windows, if it can be."""
    return math.prod(shape) > LARGE_PIXELS


def open_parts(image: Path, *truths: Path) -> list[WindowedImage] | None:
    """An image and label masks of it, to be read by windows; None to read them whole.

    Raises:
        UserError: a file that cannot be opened, or an image too large to be read whole whose mask
            is not stored in parts.
    """
    opened = open_windowed(image, least=LARGE_PIXELS)
    if opened is None:
        return None
    found = [opened]
    for truth in truths:
        part = open_windowed(truth, indices=True)
        if part is None and math.prod(opened.shape) <= MOST_PIXELS:
            return None
        if part is None:
            raise UserError(
                f"{truth} is {size(opened.shape)} and not stored in parts; store it as tiled TIFF "
                "or as zarr"
            )
        found.append(part)
    return found
