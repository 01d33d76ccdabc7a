"""Folders of images and label masks: images/ and masks/ with equal stems, or x beside x_masks.

One class; of images, or of volumes where masks are stacks. Where images/ holds folders
alone, each of the planes of one, these are the volumes. In the first form
``{train,val,test}/{images,masks}``, in Cellpose's ``x.png`` and
``x_masks.png`` in ``{train,val,test}/``; both also without a folder per split, which is "train".
Beside images/ and masks/ there may be ignore/ with images that are above 0 where nobody knows.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.kinds import LOSSY_SUFFIXES, is_zarr
from spatialembed.data.images.reading import (
    image_names,
    is_stack,
    read_mask,
    read_stack_mask,
)
from spatialembed.data.large_sample import LargeSample, open_parts
from spatialembed.data.layouts.other_layouts import other_layout
from spatialembed.data.layouts.splits import (
    beside,
    share_of,
    source_split,
    split_of,
    splits_in,
)
from spatialembed.data.layouts.unread_files import corrected_since, left_out_of
from spatialembed.data.sample import Sample, Truth, Window
from spatialembed.data.sample_files import Items, row
from spatialembed.errors import UserError
from spatialembed.files.names import composed, is_hidden, stem

_MASKS = "_masks"
_CELLPOSE_MASKS = "_cp_masks"  # as its window and its command write them
_OTHER = ("_flows", "_overlay")  # its outputs that are neither images nor masks
_PARTS = ("images", "masks", "ignore")


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
        return 3 if is_folder(image) or is_stack(truth) else 2

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


def is_folder(path: Path) -> bool:
    """Whether a sample's file is the folder of a volume's planes."""
    return path.is_dir() and not is_zarr(path)


def recognize(root: Path) -> bool:
    """Whether ``root`` is a label folder, with or without a folder per split."""
    return bool(splits_in(root)[0]) or _holds_pairs(root)


def scan(root: Path, split: str, class_names: Sequence[str] | None, holdout: float) -> LabelFolder:
    """List one split; see :func:`spatialembed.data.open.scan_data`.

    Of a single volume "val" is a slab.

    Raises:
        UserError: the split does not exist, its folder is empty, or more than one class is asked
            for.
    """
    names = tuple(class_names or ("object",))
    if len(names) > 1:
        raise UserError(
            f"{root} is a label folder and holds one class, but {len(names)} were asked for: "
            f"{', '.join(names)}; give one name, or use the Cityscapes or COCO layout"
        )
    named, told = splits_in(root)
    folders = {name: root / folder for name, folder in named.items()} or {"train": root}
    if named:
        told += _beside_splits(root)
    source = source_split(split, tuple(folders), root)
    rows, problems = _pairs(root, folders[source])
    data = LabelFolder(root, split, names, Items(root, rows), (*problems, *told))
    if len(rows) == 1 and "val" not in folders and split != "test" and holdout and data.dims == 3:
        return replace(data, slab=(1 - holdout, 1.0) if split == "val" else (0.0, 1 - holdout))
    return share_of(data, folders, holdout)


def _beside_splits(root: Path) -> Iterator[Problem]:
    """Images that lie in the data set's folder and in none of its splits."""
    remedy = "name it train, val or test, or put them there, if they are to be used"
    yield from beside(root, (), remedy)
    if names := image_names(root):
        message = f"holds {len(names)} images beside its splits, which are left out"
        yield Problem(root, message, warning=True)


def _holds_pairs(folder: Path) -> bool:
    return (folder / "masks").is_dir() or any(_ends(name, _MASKS) for name in image_names(folder))


def _pairs(root: Path, folder: Path) -> tuple[list[str], list[Problem]]:
    if (folder / "images").is_dir() or (folder / "masks").is_dir():
        masks = _Named(folder / "masks", _MASKS)
        images = _Named(folder / "images", "_img", kept=masks.by_stem)
        unknown = _Named(folder / "ignore", "_ignore")
        where = str(folder / "masks" / "{}.png (or .tif)")
        if taken := _add_folders((images, masks, unknown)):
            where = str(folder / "masks" / "{0}") + " (a folder of planes) or {0}.tif"
        left = [each for part in _PARTS for each in left_out_of(folder / part, taken=taken)]
        if taken:
            message = "holds folders, each taken for a volume and its files for the planes of it"
            left.append(Problem(images.folder, message, warning=True))
        if folder != root or not splits_in(root)[0]:
            left += beside(folder, _PARTS, f"put them into {folder / 'images'} and masks")
    else:
        names = image_names(folder)
        masks = _Named(folder, _MASKS, _masks_of(names))
        plain = [name for name in names if not _ends(name, _MASKS, *_OTHER)]
        images = _Named(folder, "_img", plain, kept=masks.by_stem)
        unknown = _Named(folder / "ignore", "_ignore", [])
        where = str(folder / ("{}" + _MASKS + ".png (or .tif)"))
        left = [*left_out_of(folder, ("_seg.npy",))]
        written = [name for name in names if _ends(name, _CELLPOSE_MASKS)]
        left += corrected_since(folder, written, root)
    complete = images.by_stem and masks.by_stem
    other = "" if complete or not (told := other_layout(root)) else f"; {told}"
    if not images.by_stem:
        other = other or "".join(f"; {problem}" for problem in left)
        raise UserError(f"{images.folder} has no image; put images with their masks there{other}")
    if not masks.by_stem:
        needed = where.format("NAME")
        raise UserError(f"{folder} has no mask; expected {needed} for every image{other}")
    rows, problems = _match(root, images, masks, unknown, where)
    return rows, [*problems, *left]


def _add_folders(parts: Sequence[_Named]) -> set[str]:
    """Where folders are volumes add them to images, masks and ignore, and give their names.

    They are where images/ holds no image but folders, one of which, and its mask, is a stack; a
    folder of a split's name is none. That of plates may look the same, so that it is told.
    """
    images, masks, _ = parts
    inside = [_folders_in(part.folder) for part in parts]
    if images.by_stem or not any(
        is_stack(images.folder / folder)
        and (name in masks.by_stem or is_stack(masks.folder / inside[1].get(name, name)))
        for name, folder in inside[0].items()
        if split_of(name) is None
    ):
        return set()
    for part, folders in zip(parts, inside, strict=True):
        part.add((folder, name) for name, folder in folders.items())
    return {folder for folders in inside for folder in folders.values()}


def _folders_in(folder: Path) -> dict[str, str]:
    """Names of folders by these, composed."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    kept = (name for name in names if not is_hidden(name) and not is_zarr(Path(name)))
    return {composed(name): name for name in kept}


def _masks_of(names: Sequence[str]) -> list[str]:
    """Names of masks beside images; those that Cellpose wrote where there are no others."""
    own = [name for name in names if _ends(name, _MASKS) and not _ends(name, _CELLPOSE_MASKS)]
    held = {stem(name, _MASKS) for name in own}
    written = (name for name in names if _ends(name, _CELLPOSE_MASKS))
    return [*own, *(name for name in written if stem(name, _CELLPOSE_MASKS) not in held)]


class _Named:
    """Files of one folder by stem without ``ending``, or whole where it is one of ``kept``.

    Of two of one stem, either may be meant.
    """

    def __init__(
        self, folder: Path, ending: str, names: list[str] | None = None, kept: Container[str] = ()
    ) -> None:
        self.folder = folder
        self.by_stem: dict[str, str] = {}
        self.problems: list[Problem] = []
        found = image_names(folder) if names is None else names
        for name in found:
            whole = stem(name)
            plain = whole if whole in kept else stem(name, _CELLPOSE_MASKS, ending)
            self.add([(name, plain)])

    def add(self, named: Iterable[tuple[str, str]]) -> None:
        """Add files of such stems."""
        for name, plain in named:
            if (other := self.by_stem.setdefault(plain, name)) is not name:
                message = f"has the stem of {self.folder / other}; remove one of them"
                self.problems.append(Problem(self.folder / name, message))


def _match(
    root: Path, images: _Named, masks: _Named, unknown: _Named, where: str
) -> tuple[list[str], list[Problem]]:
    problems = [*images.problems, *masks.problems, *unknown.problems]
    # Joined as text: of a million files, paths take some fifteen times as long to make.
    starts = [os.path.join(*n.folder.relative_to(root).parts, "") for n in (images, masks, unknown)]
    rows = []
    for name, image in sorted(images.by_stem.items()):
        mask = masks.by_stem.get(name)
        if mask is None:
            message = f"has no mask; expected {where.format(name)}"
            problems.append(Problem(images.folder / image, message))
        elif mask.lower().endswith(LOSSY_SUFFIXES):
            message = "is in a lossy format, which changes ids; use PNG or TIFF"
            problems.append(Problem(masks.folder / mask, message))
        else:
            files = [image, mask, *filter(None, [unknown.by_stem.get(name)])]
            rows.append(row(name, *map("".join, zip(starts, files, strict=False))))
    for named in (masks, unknown):
        message = "is a mask without an image; is it misnamed?"
        problems += [
            Problem(named.folder / named.by_stem[name], message, warning=True)
            for name in sorted(set(named.by_stem) - set(images.by_stem))
        ]
    return rows, problems


def _ends(name: str, *endings: str) -> bool:
    return stem(name).endswith(endings)
