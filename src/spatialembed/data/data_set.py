"""One split of a data set: samples of files that are matched by name, read when asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, Self

from spatialembed.data.images.reading import read_image, read_stack, stated_orientation
from spatialembed.data.large_sample import LargeSample
from spatialembed.data.sample import Sample, Truth, size
from spatialembed.data.sample_files import Items
from spatialembed.errors import UserError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

HOLDOUT = 0.15
"""Share of the training images that is "val" where a data set has no split of that name."""

Crowds = Literal["ignore", "objects"]
"""What COCO's annotations marked iscrowd are: regions that nobody knows, or objects."""


class DataSet(Protocol):
    """One split of a data set; samples are read when asked for, and in the order of ``names``."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def split(self) -> str: ...

    @property
    def names(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Sample: ...

    def files(self, i: int) -> tuple[Path, ...]: ...


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file; a warning does not keep the data set from being opened."""

    file: Path
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


@dataclass(frozen=True, eq=False)
class FileDataSet(ABC):
    """A :class:`DataSet` whose samples are pairs of files matched by name, sorted by name.

    ``problems`` lists what did not match; :func:`open_data` refuses a data set with any that is
    not a warning, :func:`~spatialembed.data.checks.check.check_data` prints them all.
    """

    root: Path
    split: str
    class_names: tuple[str, ...]
    items: Items
    problems: tuple[Problem, ...]

    @property
    def names(self) -> list[str]:
        return self.items.names

    @property
    def dims(self) -> int:
        """Spatial axes of the images: 2, or 3 of volumes."""
        return 2

    @property
    def things(self) -> str:
        """What it holds, in a word for a person."""
        return "images" if self.dims == 2 else "volumes"

    @property
    def reading(self) -> str:
        """What the truth depends on besides files and classes, in words."""
        return ""

    def __len__(self) -> int:
        return len(self.items)

    def remarks(self) -> list[Problem]:
        """What reading the truth of all samples finds, and is not raised by it."""
        return []

    def only(self, names: Collection[str]) -> Self:
        """The samples of these names, in their order."""
        return self._pick([i for i, name in enumerate(self.names) if name in names])

    def _pick(self, numbers: Sequence[int]) -> Self:
        return replace(self, items=self.items.pick(numbers))

    def files(self, i: int) -> tuple[Path, ...]:
        """The image's file, then the truth's, then that of what is ignored, if there is one."""
        _, image, truth, ignore = self.items[i]
        return (image, truth) if ignore is None else (image, truth, ignore)

    @abstractmethod
    def truth(self, i: int) -> Truth:
        """Truth of sample ``i`` alone, without decoding its image."""

    def large(self, i: int) -> LargeSample | None:
        """Sample ``i`` for reading by windows; None where it is read whole.

        Raises:
            UserError: a file that cannot be opened, or image and truth of different sizes.
        """
        return None

    def require_whole(self, i: int) -> None:
        """Raise a UserError if image ``i`` is too large to be read whole, as scoring does."""
        large = self.large(i)
        if large is not None:
            large.require_whole()

    def __getitem__(self, i: int) -> Sample:
        """Read sample ``i``.

        Raises:
            UserError: a file that cannot be read, image and truth of different sizes, or an image
                too large to be read whole.
        """
        self.require_whole(i)
        item = self.items[i]
        read = read_image if self.dims == 2 else read_stack
        image, truth = read(item.image), self.truth(i)
        if (shape := truth.label_mask.shape[-self.dims :]) != image.shape[:-1]:
            raise UserError(unequal(item.image, image.shape[:-1], item.truth, shape))
        return Sample(item.name, image, *truth)


def unequal(image: Path, one: Sequence[int], truth: Path, other: Sequence[int]) -> str:
    """That an image and its truth are of different (height, width), or (depth, height, width)."""
    turned = ""
    if len(one) == 2 and tuple(one) == tuple(other)[::-1] and stated_orientation(image) > 4:
        turned = (
            ": the image is turned as its orientation (EXIF) says, so its truth must be of the "
            "turned picture, or the orientation be removed from the file"
        )
    elif tuple(one[-2:]) == tuple(other[-2:])[::-1] and one[-1] != one[-2]:
        turned = " with width and height swapped"
    sizes = f"{image} is {size(one)}, its truth {truth} is {size(other)}"
    return f"{sizes}{turned}; make them one size"
