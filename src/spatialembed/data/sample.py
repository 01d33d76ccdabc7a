"""What every layout gives: an image and its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from spatialembed.errors import UserError

Window: TypeAlias = tuple[slice, ...]
"""A part of an image or a volume: a slice of each spatial axis."""


class Truth(NamedTuple):
    """What is known of an image: one array each, all (H, W), or of a volume (Z, H, W).

    Of several targets (T, H, W) or (T, Z, H, W); a class is then the one of its target, 0.
    """

    label_mask: np.ndarray
    """int32, 0 background, any other id one object; ids may have gaps."""
    class_map: np.ndarray
    """int16, index into the data set's ``class_names`` on objects, -1 elsewhere."""
    ignore: np.ndarray
    """bool, True where nobody knows: the pixel takes part in no loss term and no score."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One image, or volume, with its truth; that of several targets has an axis of them first.

    Attributes:
        name: unique within its split; fit for the name of a file.
        image: (H, W, C), or (Z, H, W, C), as stored: any integer or float type, or bool.
        label_mask: (H, W) or (Z, H, W) int32, 0 background, any other id one object; ids may have
            gaps.
        class_map: of that shape, int16, class index on objects, -1 elsewhere.
        ignore: of that shape, bool.

    Raises:
        UserError: shapes that differ, a wrong dtype, negative ids, an object without a class.
    """

    name: str
    image: np.ndarray
    label_mask: np.ndarray
    class_map: np.ndarray
    ignore: np.ndarray

    def __post_init__(self) -> None:
        if self.image.ndim not in (3, 4) or 0 in self.image.shape:
            raise UserError(
                f"{self.name}: an image is (H, W, C) or (Z, H, W, C), not {self.image.shape}"
            )
        for field, dtype in (("label_mask", "int32"), ("class_map", "int16"), ("ignore", "bool")):
            array: np.ndarray = getattr(self, field)
            if array.dtype != dtype:
                raise UserError(f"{self.name}: {field} must be {dtype}, not {array.dtype}")
            if not self._fits(array.shape):
                raise UserError(
                    f"{self.name}: {field} is {size(array.shape)}, the image "
                    f"{size(self.image.shape[:-1])}; they must be of one size"
                )
        if self.label_mask.min() < 0:
            raise UserError(f"{self.name}: label_mask has negative ids; 0 is background")
        if not np.array_equal(self.label_mask > 0, self.class_map >= 0):
            raise UserError(f"{self.name}: class_map must be 0 or more on objects, -1 elsewhere")

    def _fits(self, shape: tuple[int, ...]) -> bool:
        targets = self.label_mask.shape[: self.label_mask.ndim - self.image.ndim + 1]
        return shape == (*targets, *self.image.shape[:-1]) and len(targets) <= 1

    def truth(self, *window: slice) -> Truth:
        """The truth of a window; views."""
        whole = (self.label_mask, self.class_map, self.ignore)
        part: Any = (..., *window)
        return Truth(*(array[part] for array in whole))

    def read(self, *window: slice) -> Sample:
        """A window as a sample of its own, of views."""
        return Sample(self.name, self.image[window], *self.truth(*window))


def size(shape: Sequence[int]) -> str:
    """A spatial shape (H, W) or (Z, H, W) as people write it, in the order x, y, z."""
    return "x".join(str(side) for side in shape[::-1])
