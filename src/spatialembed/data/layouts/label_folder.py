"""Folders of images and label masks: images/ and masks/ with equal stems, or x beside x_masks.

One class; of images, or of volumes where masks are stacks. Where masks/ holds folders of masks,
each is a target (see :mod:`spatialembed.data.targets`). Where images/ holds folders
alone, each of the planes of one, these are the volumes. In the first form
``{train,val,test}/{images,masks}``, in Cellpose's ``x.png`` and
``x_masks.png`` in ``{train,val,test}/``; both also without a folder per split, which is "train".
Beside images/ and masks/ there may be ignore/ with images that are above 0 where nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.kinds import image_names, is_plane_folder
from spatialembed.data.images.reading import (
    image_size,
    is_stack,
    read_mask,
    read_stack_mask,
)
from spatialembed.data.large_sample import LargeSample, open_parts
from spatialembed.data.layouts.pairs import holds_pairs, pairs, require_ignore_of, target_names
from spatialembed.data.layouts.splits import (
    beside,
    share_of,
    source_split,
    splits_in,
)
from spatialembed.data.sample import Sample, Truth, Window
from spatialembed.data.sample_files import Items
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError


@dataclass(frozen=True, eq=False)
class LabelFolder(FileDataSet):
    """One split of a folder of images and label masks."""

    slab: tuple[float, float] | None = None
    """The share of the one volume that is this split: of its objects' voxels, in their order along
    the longer side of its planes."""

    @cached_property
    def dims(self) -> int:
        """3 where the first mask is a stack; an image of several planes may have channels."""
        if not self.items:
            return 2
        _, image, truth, _ = self.items[0]
        return 3 if is_plane_folder(image) or is_stack(truth) else 2

    @property
    def reading(self) -> str:
        return "" if self.slab is None else f"slab of objects {self.slab}"

    def truth(self, i: int) -> Truth:
        """Every id but 0 is an object of the one class."""
        whole = self._whole_truth(i)
        part = self._window(whole.label_mask)
        return Truth(*(array[part] for array in whole))

    def _whole_truth(self, i: int) -> Truth:
        _, _, truth, unknown = self.items[i]
        read = read_mask if self.dims == 2 else read_stack_mask
        mask = read(truth)
        if mask.dtype != np.int32:  # ids above 2^31: numbered anew, in their order
            ids, inverse = np.unique(mask, return_inverse=True)
            mask = (inverse.reshape(mask.shape) + (ids[0] != 0)).astype(np.int32)
        return _truth(mask, None if unknown is None else read(unknown))

    def __getitem__(self, i: int) -> Sample:
        """Read sample ``i``; raises as that of :class:`FileDataSet`."""
        if self.slab is None:
            return super().__getitem__(i)
        whole = replace(self, slab=None)[i]
        return whole.read(*self._window(whole.label_mask))

    def _window(self, label_mask: np.ndarray) -> Window:
        window = [slice(None)] * label_mask.ndim
        if self.slab is not None:
            axis = max(1, 2, key=lambda axis: label_mask.shape[axis])
            others = tuple(other for other in range(3) if other != axis)
            # By the objects' voxels, not by all: where few objects lie, a slab might hold none.
            before = np.cumsum([0, *np.count_nonzero(label_mask, axis=others)])
            first, last = self.slab
            cut = int(np.abs(before - (first if last == 1 else last) * before[-1]).argmin())
            cut = min(max(cut, 1), len(before) - 2)  # a line at least for each split
            window[axis] = slice(cut, None) if last == 1 else slice(0, cut)
        return tuple(window)

    def large(self, i: int) -> LargeSample | None:
        """Images in zarr and TIFFs in tiles or strips, where image and masks are so stored."""
        if self.dims == 3:
            return None
        name, *files = self.items[i]
        parts = open_parts(*(file for file in files if file is not None))
        if parts is None:
            return None
        image, mask, *unknown = parts
        return LargeSample(name, image, mask, unknown[0] if unknown else None, _truth)


def _truth(mask: np.ndarray, unknown: np.ndarray | None) -> Truth:
    """Truth of a label mask int32 of one class, and what is ignored where above 0."""
    class_map = (mask > 0).astype(np.int16) - np.int16(1)
    ignore = np.zeros(mask.shape, bool) if unknown is None else unknown > 0
    return Truth(mask, class_map, ignore)


def recognize(root: Path) -> bool:
    """Whether ``root`` is a label folder, with or without a folder per split."""
    return bool(splits_in(root)[0]) or holds_pairs(root)


def scan(root: Path, split: str, class_names: Sequence[str] | None, holdout: float) -> FileDataSet:
    """List one split; see :func:`spatialembed.data.open.scan_data`.

    Of a single volume "val" is a slab. Of several targets, which are classes here, one that is
    asked for alone is as a data set of its own.

    Raises:
        UserError: the split does not exist, its folder is empty, more than one class is asked
            for, or a target that there is not.
    """
    named, told = splits_in(root)
    folders = {name: root / folder for name, folder in named.items()} or {"train": root}
    if named:
        told += _beside_splits(root)
    source = source_split(split, tuple(folders), root)
    if known := sorted({name for folder in folders.values() for name in target_names(folder)}):
        if len(known) == 1:
            raise UserError(
                f"{root} has masks/{known[0]} as its only folder of masks: masks of one target go "
                "into masks/ itself, not into a folder in it"
            )
        require_ignore_of(known, folders[source])
        whole = _of_targets(root, split, known, folders[source], told)
        return _asked(share_of(whole, folders, holdout), class_names)
    names = tuple(class_names or ("object",))
    if len(names) > 1:
        raise UserError(
            f"{root} is a label folder and holds one class, but {len(names)} were asked for: "
            f"{', '.join(names)}; give one name, use the Cityscapes or COCO layout, or store the "
            "masks of each in a folder of its name in masks/"
        )
    rows, problems = pairs(root, folders[source])
    data = LabelFolder(root, split, names, Items(root, rows), (*problems, *told))
    if len(rows) == 1 and "val" not in folders and split != "test" and holdout and data.dims == 3:
        return replace(data, slab=(1 - holdout, 1.0) if split == "val" else (0.0, 1 - holdout))
    return share_of(data, folders, holdout)


def _of_targets(
    root: Path, split: str, names: Sequence[str], folder: Path, told: Sequence[Problem]
) -> Targets:
    """A split whose masks are in a folder a target; images that have none at all are problems.

    Test images may lack a target altogether, which is not scored then.
    """
    held = [name for name in names if image_names(folder / "masks" / name)]
    asked = held if held and split == "test" else names
    found = [pairs(root, folder, name) if name in asked else ([], []) for name in names]
    rows = {item.name: item for rows, _ in reversed(found) for item in Items(root, rows)}
    labelled = {item.image for item in rows.values()}
    each, problems = [], list(told)
    for name, (own, about) in zip(names, found, strict=True):
        kept = [problem for problem in about if problem.file not in labelled]
        each.append(LabelFolder(root, split, (name,), Items(root, own), (*kept, *told)))
        problems += kept
        if lacking := len(rows) - len(own):
            message = f"lacks masks of {lacking} of {len(rows)} images: {name} are unknown there"
            problems.append(Problem(folder / "masks" / name, message, warning=True))
    _require_one_kind(each)
    items = Items.of(root, [rows[name] for name in sorted(rows)])
    return Targets(root, split, tuple(names), items, tuple(dict.fromkeys(problems)), tuple(each))


def _require_one_kind(each: Sequence[FileDataSet]) -> None:
    first = {one.dims: one.items[0].truth for one in reversed(each) if one.items}
    if len(first) > 1:
        image_size(first[2])  # which says what is wrong with one that cannot be read
        raise UserError(
            f"{first[2]} is an image, {first[3]} a stack; masks of all targets have the planes of "
            "the image that they are of"
        )


def _asked(data: Targets, names: Sequence[str] | None) -> FileDataSet:
    """The targets of these names; one alone as a data set of its own."""
    for name in names or ():
        if name not in data.class_names:
            known = ", ".join(data.class_names)
            raise UserError(f"{data.root} has no target {name}; its masks are of {known}")
    return data.of(names or data.class_names)


def _beside_splits(root: Path) -> Iterator[Problem]:
    """Images that lie in the data set's folder and in none of its splits."""
    remedy = "name it train, val or test, or put them there, if they are to be used"
    yield from beside(root, (), remedy)
    if names := image_names(root):
        message = f"holds {len(names)} images beside its splits, which are left out"
        yield Problem(root, message, warning=True)
