"""The Cityscapes layout: leftImg8bit/SPLIT/CITY/X_leftImg8bit.png and gtFine/SPLIT/CITY/X_gtFine_*.

A pixel of an instanceIds file is ``1000 * label + n`` on the n-th object of a label, else the
label: then of no object, or on a *group* of a label that has objects which could not be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.images.kinds import image_names
from spatialembed.data.images.reading import read_mask
from spatialembed.data.layouts.other_layouts import other_layout
from spatialembed.data.layouts.splits import beside, share_of, source_split, splits_in
from spatialembed.data.layouts.unread_files import left_out_of
from spatialembed.data.sample import Truth
from spatialembed.data.sample_files import Item, Items
from spatialembed.errors import UserError
from spatialembed.files.names import composed, is_hidden

THINGS = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
"""The eight classes that Cityscapes scores by instance."""

_LABELS = (
    "unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, road, "
    "sidewalk, parking, rail track, building, wall, fence, guard rail, bridge, tunnel, pole, "
    "polegroup, traffic light, traffic sign, vegetation, terrain, sky, person, rider, car, truck, "
    "bus, caravan, trailer, train, motorcycle, bicycle"
)
LABEL_IDS = {name: label for label, name in enumerate(_LABELS.split(", "))}
"""Cityscapes' label ids by name."""

VOID = (0, 1, 2, 3, 4, 5, 6)
"""Label ids of the void category, which are ignored, as are caravans and trailers (unscored)."""

_UNSCORED = (LABEL_IDS["caravan"], LABEL_IDS["trailer"])
_IDS = 1 << 16  # as many as the files' 16 bits hold
_IMAGES = (".png", ".jpg", ".jpeg")
IMAGE_ENDING, TRUTH_ENDING = "_leftImg8bit", "_gtFine_instanceIds.png"


@dataclass(frozen=True, eq=False)
class Cityscapes(FileDataSet):
    """One split of a data set in the Cityscapes layout; names are like aachen_000000_000019.

    Ids of ``label_mask`` are those of the instanceIds files, such as 26001 for a car.
    """

    def truth(self, i: int) -> Truth:
        """Objects of the trained classes; void and groups of these classes are ignored."""
        path = self.items[i].truth
        ids = read_mask(path)
        if ids.max() >= _IDS:
            raise UserError(
                f"{path} has ids above {_IDS - 1}; it is no instanceIds file, which is wanted there"
            )
        table = _table(self.class_names)
        return Truth(*(column[ids] for column in table))


def foreign_ids(ids: np.ndarray) -> bool:
    """Whether instance ids (H, W) hold some of no label, or of objects of a label without any."""
    found = np.unique(ids)
    last = LABEL_IDS["bicycle"]
    known = (found <= last) | ((found >= 1000 * LABEL_IDS["person"]) & (found < 1000 * (last + 1)))
    return not bool(known.all())


def recognize(root: Path) -> bool:
    """Whether ``root`` has a Cityscapes folder of images or of truth."""
    return (root / "leftImg8bit").is_dir() or (root / "gtFine").is_dir()


def scan(root: Path, split: str, class_names: Sequence[str] | None, holdout: float) -> Cityscapes:
    """List one split; see :func:`spatialembed.data.open.scan_data`.

    Raises:
        UserError: the split or a class does not exist, or there is no image.
    """
    names = tuple(class_names or ("car",))
    unknown = [name for name in names if name not in THINGS]
    if unknown:
        raise UserError(
            f"{root} has no class {', '.join(map(repr, unknown))}; Cityscapes' classes with "
            f"instances are {', '.join(THINGS)}"
        )
    images = root / "leftImg8bit"
    available, told = splits_in(images) if images.is_dir() else ({}, [])
    if not available and (other := other_layout(root)):
        raise UserError(other)
    source = source_split(split, tuple(available), images)
    items, problems = _pairs(root, available[source])
    problems += [*told, *_left_out(images, available[source])]
    if not items and not problems:
        raise UserError(
            f"{images / source} has no image; expected CITY/X{IMAGE_ENDING}.png or .jpg"
        )
    data = Cityscapes(root, split, names, Items.of(root, items), tuple(problems))
    return share_of(data, available, holdout)


def _left_out(images: Path, split: str) -> Iterator[Problem]:
    """Images that are in no split, in no city, or in other formats."""
    yield from beside(images, (), "name it train, val or test, if they are to be used")
    if names := image_names(images / split):
        message = f"has {len(names)} images in no city's folder, which are left out; move them"
        yield Problem(images / split, message, warning=True)
    for city in sorted((images / split).iterdir()):
        if city.is_dir() and not is_hidden(city.name):
            yield from left_out_of(city)
            others = [n for n in image_names(city) if not n.lower().endswith(_IMAGES)]
            if others:
                message = f"has {len(others)} images that are neither PNG nor JPEG, as {others[0]}"
                yield Problem(city, f"{message}, which are left out", warning=True)


def _pairs(root: Path, split: str) -> tuple[list[Item], list[Problem]]:
    truths = {
        composed(path.name.removesuffix(TRUTH_ENDING)): path
        for path in _files(root / "gtFine" / split)
        if path.name.endswith(TRUTH_ENDING)
    }
    items: dict[str, Item] = {}
    problems = []
    for image in _files(root / "leftImg8bit" / split):
        if image.suffix.lower() not in _IMAGES:
            continue
        name = composed(image.stem.removesuffix(IMAGE_ENDING))
        expected = root / "gtFine" / split / image.parent.name / (name + TRUTH_ENDING)
        if not image.stem.endswith(IMAGE_ENDING):
            problems.append(Problem(image, f"is not named X{IMAGE_ENDING}{image.suffix}"))
        elif name in items:
            message = f"has the name of {items[name].image}; remove one of them"
            problems.append(Problem(image, message))
        elif name not in truths:
            problems.append(Problem(image, f"has no mask; expected {expected}"))
        else:
            items[name] = Item(name, image, truths.pop(name))
    # Truth of an image that was complained of is no second slip.
    named = {problem.file.stem.removesuffix(IMAGE_ENDING) for problem in problems}
    problems += [
        Problem(path, "is a mask without an image; is it misnamed?", warning=True)
        for name, path in sorted(truths.items())
        if name not in named
    ]
    return [items[name] for name in sorted(items)], problems


def _files(folder: Path) -> Iterator[Path]:
    """Files of every city of a split, in order."""
    found = sorted(folder.glob("*/*"))
    return (f for f in found if not is_hidden(f.name) and not is_hidden(f.parent.name))


@lru_cache(maxsize=8)
def _table(class_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label mask, class and ignore by instance id, so that a mask is read in one pass each."""
    ids = np.arange(_IDS)
    is_object = ids >= 1000
    labels = np.where(is_object, ids // 1000, ids)
    classes = np.full(_IDS, -1, np.int16)
    ignore = np.isin(labels, _UNSCORED) | np.isin(ids, VOID)
    for index, name in enumerate(class_names):
        of_class = labels == LABEL_IDS[name]
        classes[of_class & is_object] = index
        ignore |= of_class & ~is_object
    return np.where(classes >= 0, ids, 0).astype(np.int32), classes, ignore
