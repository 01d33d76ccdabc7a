"""What every layout gives: an image and its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spatialembed.errors import UserError


class Truth(NamedTuple):
    """What is known of an image: one array each, all (H, W)."""

    label_mask: np.ndarray
    """int32, 0 background, any other id one object; ids may have gaps."""
    class_map: np.ndarray
    """int16, index into the data set's ``class_names`` on objects, -1 elsewhere."""
    ignore: np.ndarray
    """bool, True where nobody knows: the pixel takes part in no loss term and no score."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its truth.

    Attributes:
        name: unique within its split; fit for the name of a file.
        image: (H, W, C) as stored: any integer or float type, or bool.
        label_mask: (H, W) int32, 0 background, any other id one object; ids may have gaps.
        class_map: (H, W) int16, class index on objects, -1 elsewhere.
        ignore: (H, W) bool.

    Raises:
        UserError: shapes that differ, a wrong dtype, negative ids, an object without a class.
    """

    name: str
    image: np.ndarray
    label_mask: np.ndarray
    class_map: np.ndarray
    ignore: np.ndarray

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or 0 in self.image.shape:
            raise UserError(f"{self.name}: an image is (H, W, C), not {self.image.shape}")
        for field, dtype in (("label_mask", "int32"), ("class_map", "int16"), ("ignore", "bool")):
            array: np.ndarray = getattr(self, field)
            if array.dtype != dtype:
                raise UserError(f"{self.name}: {field} must be {dtype}, not {array.dtype}")
            if array.shape != self.image.shape[:2]:
                raise UserError(
                    f"{self.name}: {field} is {size(array.shape)}, the image "
                    f"{size(self.image.shape)}; they must be of one size"
                )
        if self.label_mask.min() < 0:
            raise UserError(f"{self.name}: label_mask has negative ids; 0 is background")
        if not np.array_equal(self.label_mask > 0, self.class_map >= 0):
            raise UserError(f"{self.name}: class_map must be 0 or more on objects, -1 elsewhere")

    def truth(self, rows: slice, columns: slice) -> Truth:
        """The truth of a window; views."""
        whole = (self.label_mask, self.class_map, self.ignore)
        return Truth(*(array[rows, columns] for array in whole))

    def read(self, rows: slice, columns: slice) -> Sample:
        """A window as a sample of its own, of views."""
        return Sample(self.name, self.image[rows, columns], *self.truth(rows, columns))


def size(shape: Sequence[int]) -> str:
    """Width and height of an (H, W, ...) array of this shape as people write them."""
    return f"{shape[1]}x{shape[0]}"
