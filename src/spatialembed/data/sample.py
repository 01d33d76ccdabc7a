"""What every layout gives: samples of an image and its truth, and how a data set is opened."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self, cast

import numpy as np

from ..errors import UserError
from .image_io import read_image, stated_orientation
from .items import Items
from .refusal import refuse

if TYPE_CHECKING:
    from .coco_reading import Crowds
    from .large import LargeSample

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

HOLDOUT = 0.15
"""Share of the training images that is "val" where a data set has no split of that name."""


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
                    f"{self.name}: {field} is {size(array)}, the image {size(self.image)}; "
                    "they must be of one size"
                )
        if self.label_mask.min() < 0:
            raise UserError(f"{self.name}: label_mask has negative ids; 0 is background")
        if not np.array_equal(self.label_mask > 0, self.class_map >= 0):
            raise UserError(f"{self.name}: class_map must be 0 or more on objects, -1 elsewhere")


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
    not a warning, :func:`~spatialembed.data.check.check_data` prints them all.
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
        image, truth = read_image(item.image), self.truth(i)
        if (shape := truth.label_mask.shape) != image.shape[:2]:
            raise UserError(unequal(item.image, image.shape[:2], item.truth, shape))
        return Sample(item.name, image, *truth)


def open_data(
    path: str | Path,
    split: Split = "train",
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    crowds: Crowds = "ignore",
) -> FileDataSet:
    """Open one split of a data set in a Cityscapes, COCO or label folder layout.

    Args:
        path: the data set's folder; the layout is recognised by what is in it.
        split: which part. Where there is no "val", a share of "train" is held out by name.
        class_names: classes to take, in this order; the others are background. None: the
            layout's default (Cityscapes: car; COCO: every category; label folders: "object").
        holdout: share of the training images held out where there is no "val"; 0 for none.
        crowds: what COCO's annotations marked iscrowd are: "ignore" them, or "objects".

    Raises:
        UserError: no such folder, an unknown layout, a split or class that does not exist, an
            image without its truth.
    """
    data = scan_data(path, split, class_names, holdout, crowds)
    refuse(data.problems, path)
    if not data.items:
        held = "; held out of train, it needs two images there and a holdout above 0"
        raise UserError(f"{path} has no image in its {split} split{held * (split == 'val')}")
    return data


def scan_data(
    path: str | Path,
    split: Split = "train",
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    crowds: Crowds = "ignore",
) -> FileDataSet:
    """As :func:`open_data`, but unmatched files are left in ``problems`` and nothing more."""
    from . import cityscapes, coco, label_folder
    from .unrecognized import unrecognized

    root = Path(path)
    if split not in SPLITS:
        raise UserError(f"a split is one of {', '.join(SPLITS)}, not {split!r}")
    if not 0 <= holdout < 1:
        raise UserError(f"holdout is a share from 0 up to but not including 1, not {holdout}")
    if class_names is not None and (not class_names or len(set(class_names)) < len(class_names)):
        raise UserError(f"class_names must be one or more different names, not {class_names!r}")
    if not root.exists():
        raise UserError(f"{root} does not exist; give the folder of a data set")
    if not root.is_dir():
        raise UserError(f"{root} is a file; give the folder of the data set it belongs to")
    for layout in (cityscapes, coco, label_folder):
        if layout.recognize(root):
            if layout is coco:
                return coco.scan(root, split, class_names, holdout, crowds)
            if crowds != "ignore":
                raise UserError(f"crowds are of COCO data, and {root} is none; leave them out")
            return cast(FileDataSet, layout.scan(root, split, class_names, holdout))
    raise UserError(unrecognized(root))


def split_names(names: Sequence[str], split: str, holdout: float) -> list[str]:
    """Names of the "train" or "val" share of images that come without a val split, sorted.

    Names are ranked by their SHA-256, so the share is the same on every machine and stays when
    images are listed in another order. "val" gets ``round(holdout * n)`` of them, at least 1 and
    at most n - 1 (none if ``holdout`` is 0 or there is only one image).
    """
    n = len(names)
    count = min(max(round(holdout * n), 1), n - 1) if holdout > 0 and n > 1 else 0
    ranked = sorted(names, key=lambda name: (hashlib.sha256(name.encode()).digest(), name))
    return sorted(ranked[:count] if split == "val" else ranked[count:])


def source_split(split: str, available: Sequence[str], root: Path) -> str:
    """The split on disk that ``split`` is read from: itself, or "train" for an absent "val".

    Raises:
        UserError: there is neither.
    """
    if split in available:
        return split
    if split == "val" and "train" in available:
        return "train"
    held = "" if "val" in available or "train" not in available else "; val is held out of it"
    found = (", ".join(available) or "none") + held
    raise UserError(f"{root} has no {split} split (found: {found}); choose another split")


def size(array: np.ndarray) -> str:
    """Width and height of an (H, W, ...) array as people write it."""
    return f"{array.shape[1]}x{array.shape[0]}"


def unequal(image: Path, one: Sequence[int], truth: Path, other: Sequence[int]) -> str:
    """That an image and its truth are of different (height, width)."""
    turned = ""
    if tuple(one) == tuple(other)[::-1] and stated_orientation(image) > 4:
        turned = (
            ": the image is turned as its orientation (EXIF) says, so its truth must be of the "
            "turned picture, or the orientation be removed from the file"
        )
    elif tuple(one) == tuple(other)[::-1]:
        turned = " with width and height swapped"
    sizes = f"{image} is {one[1]}x{one[0]}, its truth {truth} is {other[1]}x{other[0]}"
    return f"{sizes}{turned}; make them one size"
