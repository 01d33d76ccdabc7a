"""Several targets in one data set, such as nuclei and their cells: a mask an image for each.

Objects of one target may overlap those of another. An image may lack the mask of a target, but not
of all: there nobody knows of it, and it is ignored everywhere for that target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from spatialembed.data.data_set import FileDataSet
from spatialembed.data.sample import Truth
from spatialembed.errors import UserError


@dataclass(frozen=True, eq=False)
class Targets(FileDataSet):
    """One split of a data set of several targets, whose names are those of its classes.

    Truth is stacked along a first axis, one target after the other: (T, *S). Each target's own
    images and masks are a data set in ``each``, of one class; masks are scored by these.

    Attributes:
        each: of every target the images that have its mask; of test images there may be none.
    """

    each: tuple[FileDataSet, ...] = ()

    @property
    def dims(self) -> int:
        return next((one.dims for one in self.each if one.items), 2)

    @cached_property
    def numbers(self) -> list[dict[str, int]]:
        """Of each target the number in its data set of an image of some name."""
        return [{name: i for i, name in enumerate(one.names)} for one in self.each]

    def of(self, names: Sequence[str]) -> FileDataSet:
        """The targets of these names, in their order; one alone as it is in ``each``."""
        each = tuple(self.each[self.class_names.index(name)] for name in names)
        if len(each) == 1:
            return each[0]
        kept = {name for one in each for name in one.names}
        return replace(self, class_names=tuple(names), each=each).only(kept)

    def _pick(self, numbers: Sequence[int]) -> Self:
        items = self.items.pick(numbers)
        return replace(self, items=items, each=tuple(one.only(items.names) for one in self.each))

    def _places(self, i: int) -> list[tuple[FileDataSet, int | None]]:
        """Of each target its data set, and the number of image ``i`` there."""
        name = self.items[i].name
        return [(one, of.get(name)) for one, of in zip(self.each, self.numbers, strict=True)]

    def files(self, i: int) -> tuple[Path, ...]:
        """The image's file, then those of each target's truth and of what is ignored."""
        own = [one.files(k)[1:] for one, k in self._places(i) if k is not None]
        return (self.items[i].image, *(file for files in own for file in files))

    def truth(self, i: int) -> Truth:
        """Truth (T, *S) of sample ``i``.

        Raises:
            UserError: a file that cannot be read, or masks of different sizes.
        """
        known = [None if k is None else one.truth(k) for one, k in self._places(i)]
        first, *others = {truth.label_mask.shape for truth in known if truth is not None}
        if others:
            raise UserError(
                f"the masks of {self.items[i].image} differ in size; make them one size"
            )
        blank = (np.zeros(first, np.int32), np.full(first, -1, np.int16), np.ones(first, bool))
        return Truth(*map(np.stack, zip(*(truth or blank for truth in known), strict=True)))

    def require_whole(self, i: int) -> None:
        """As that of :class:`FileDataSet`; several targets are never read by windows."""
        for one, k in self._places(i):
            if k is not None:
                one.require_whole(k)


def each_of(data: FileDataSet) -> tuple[FileDataSet, ...]:
    """The data sets of one target each that a data set is made of; of another itself."""
    return data.each if isinstance(data, Targets) else (data,)
