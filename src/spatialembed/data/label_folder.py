"""Folders of images and label masks: images/ and masks/ with equal stems, or x beside x_masks.

One class. In the first form ``{train,val,test}/{images,masks}``, in Cellpose's ``x.png`` and
``x_masks.png`` in ``{train,val,test}/``; both also without a folder per split, which is "train".
Beside images/ and masks/ there may be ignore/ with images that are above 0 where nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from .image_io import LOSSY_SUFFIXES, image_files, read_mask
from .sample import SPLITS, FileDataSet, Item, Problem, Truth, source_split, split_names

_MASKS = "_masks"
_OTHER = ("_flows", "_cp_masks", "_overlay")  # Cellpose's outputs, which are no images


@dataclass(frozen=True, eq=False)
class LabelFolder(FileDataSet):
    """One split of a folder of images and label masks."""

    def truth(self, i: int) -> Truth:
        """Every id but 0 is an object of the one class."""
        _, _, truth, unknown = self.items[i]
        mask = read_mask(truth)
        if mask.dtype != np.int32:  # ids above 2^31: numbered anew, in their order
            ids, inverse = np.unique(mask, return_inverse=True)
            mask = (inverse.reshape(mask.shape) + (ids[0] != 0)).astype(np.int32)
        class_map = (mask > 0).astype(np.int16) - np.int16(1)
        ignore = np.zeros(mask.shape, bool) if unknown is None else read_mask(unknown) > 0
        return Truth(mask, class_map, ignore)


def recognize(root: Path) -> bool:
    """Whether ``root`` is a label folder, with or without a folder per split."""
    return any((root / split).is_dir() for split in SPLITS) or _holds_pairs(root)


def scan(root: Path, split: str, class_names: Sequence[str] | None, holdout: float) -> LabelFolder:
    """List one split; see :func:`spatialembed.data.sample.scan_data`.

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
    folders: dict[str, Path] = {name: root / name for name in SPLITS if (root / name).is_dir()}
    folders = folders or {"train": root}
    source = source_split(split, tuple(folders), root)
    items, problems = _pairs(folders[source])
    if "val" not in folders and split != "test":
        chosen = set(split_names([item.name for item in items], split, holdout))
        items = [item for item in items if item.name in chosen]
    return LabelFolder(root, split, names, tuple(items), tuple(problems))


def _holds_pairs(folder: Path) -> bool:
    return (folder / "masks").is_dir() or any(
        file.stem.endswith(_MASKS) for file in image_files(folder)
    )


def _pairs(folder: Path) -> tuple[list[Item], list[Problem]]:
    if (folder / "images").is_dir() or (folder / "masks").is_dir():
        images, masks = image_files(folder / "images"), image_files(folder / "masks")
        where = str(folder / "masks" / "{}.png (or .tif)")
        unknown = image_files(folder / "ignore")
        empty = folder / "images"
    else:
        files = image_files(folder)
        masks = [file for file in files if file.stem.endswith(_MASKS)]
        images = [file for file in files if not file.stem.endswith((_MASKS, *_OTHER))]
        unknown = []
        where = str(folder / ("{}" + _MASKS + ".png (or .tif)"))
        empty = folder
    if not images:
        raise UserError(f"{empty} has no image; put images with their masks there")
    if not masks:
        raise UserError(f"{folder} has no mask; expected {where.format('NAME')} for every image")
    return _match(images, masks, unknown, where)


def _match(
    images: Iterable[Path], masks: Iterable[Path], unknown: Iterable[Path], where: str
) -> tuple[list[Item], list[Problem]]:
    image_of, problems = _by_stem(images, "_img")
    mask_of, doubled = _by_stem(masks, _MASKS)
    ignore_of, also_doubled = _by_stem(unknown, "_ignore")
    problems += doubled + also_doubled
    items = []
    for name, image in sorted(image_of.items()):
        if name not in mask_of:
            problems.append(Problem(image, f"has no mask; expected {where.format(name)}"))
        elif mask_of[name].suffix.lower() in LOSSY_SUFFIXES:
            problems.append(
                Problem(mask_of[name], "is in a lossy format, which changes ids; use PNG or TIFF")
            )
        else:
            items.append(Item(name, image, mask_of[name], ignore_of.get(name)))
    held = sorted([*mask_of.items(), *ignore_of.items()])
    unused = [mask for name, mask in held if name not in image_of]
    problems += [
        Problem(mask, "is a mask without an image; is it misnamed?", warning=True)
        for mask in unused
    ]
    return items, problems


def _by_stem(files: Iterable[Path], ending: str) -> tuple[dict[str, Path], list[Problem]]:
    """Files by stem without ``ending``; two of one stem are a problem, since either may be it."""
    found: dict[str, Path] = {}
    problems = []
    for file in files:
        stem = file.stem.removesuffix(ending)
        if stem in found:
            problems.append(Problem(file, f"has the stem of {found[stem]}; remove one of them"))
        else:
            found[stem] = file
    return found, problems
