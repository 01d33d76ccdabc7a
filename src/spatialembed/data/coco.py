"""The COCO layout: annotations/instances_SPLIT*.json (or SPLIT.json) and images/SPLIT/ or images/.

Of objects that overlap, the one of smaller area is seen; crowds are ignored where no object is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from ..errors import UserError
from .coco_files import annotation_files, holds_coco, image_finder, sample_name
from .items import Item, Items
from .rle import decode_counts, polygon_to_mask, runs_to_mask
from .sample import FileDataSet, Problem, Truth, source_split, split_names

Annotation = dict[str, Any]

WHOLE = {("images", "height"), ("images", "width"), ("categories", "id")}
"""Fields of a json that must be whole numbers."""


class _Record(NamedTuple):
    image_id: int
    height: int
    width: int
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, eq=False)
class Coco(FileDataSet):
    """One split of a data set in the COCO layout.

    Names are the images' file names without suffix, folders joined by ``_``. Ids of ``label_mask``
    are 1, 2, ... in the order of the image's annotations of the trained classes.

    Attributes:
        annotation_file: the json the split was read from.
        category_ids: the json's category id of every class name.
        records: image id, size and annotations of every item.
    """

    annotation_file: Path
    category_ids: Mapping[str, int]
    records: tuple[_Record, ...]

    @property
    def image_ids(self) -> list[int]:
        """The json's id of every image, in the order of ``names``."""
        return [record.image_id for record in self.records]

    def truth(self, i: int) -> Truth:
        """Rasterize the annotations of one image."""
        image_id, height, width, annotations = self.records[i]
        index = {self.category_ids[name]: k for k, name in enumerate(self.class_names)}
        label_mask = np.zeros((height, width), np.int32)
        class_map = np.full((height, width), -1, np.int16)
        ignore = np.zeros((height, width), bool)
        drawn: list[tuple[int, int, np.ndarray, int]] = []
        for number, annotation in enumerate(annotations, start=1):
            mask = self._mask(annotation, image_id, height, width)
            if not _is_object(annotation):
                ignore |= mask
            else:
                drawn.append((-int(mask.sum()), number, mask, index[annotation["category_id"]]))
        for _, number, mask, class_index in sorted(drawn, key=lambda entry: entry[:2]):
            label_mask[mask] = number
            class_map[mask] = class_index
        return Truth(label_mask, class_map, ignore & (label_mask == 0))

    def _pick(self, numbers: Sequence[int]) -> Self:
        return replace(super()._pick(numbers), records=tuple(self.records[i] for i in numbers))

    def _mask(self, annotation: Annotation, image_id: int, height: int, width: int) -> np.ndarray:
        try:
            return annotation_mask(annotation, height, width)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.annotation_file}: annotation {annotation.get('id')} of image {image_id} "
                f"has a segmentation that cannot be read ({error}); correct it"
            ) from error


def annotation_mask(annotation: Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """(height, width) bool of an annotation's polygons or run lengths; its box if it has neither.

    Raises:
        ValueError, KeyError, TypeError: the segmentation is malformed.
    """
    shape = annotation.get("segmentation")
    if not shape:
        x, y, w, h = annotation["bbox"]
        shape = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    if isinstance(shape, dict):
        if tuple(shape["size"]) != (height, width):
            raise ValueError(f"run lengths of size {shape['size']}, image {[height, width]}")
        counts = shape["counts"]
        runs = decode_counts(counts) if isinstance(counts, str | bytes) else counts
        return runs_to_mask(runs, height, width)
    mask = np.zeros((height, width), bool)
    for polygon in shape:
        mask |= polygon_to_mask(polygon, height, width)
    return mask


def recognize(root: Path) -> bool:
    """Whether ``root`` has annotations in json files."""
    return holds_coco(root)


def scan(root: Path, split: str, class_names: Sequence[str] | None, holdout: float) -> Coco:
    """List one split; see :func:`spatialembed.data.sample.scan_data`.

    Raises:
        UserError: the split or a class does not exist, or the json is not one of COCO instances.
    """
    files, told = annotation_files(root)
    file = files[source_split(split, tuple(files), root)]
    content = _load(file, file.stat().st_mtime_ns)
    category_ids = _categories(file, content["categories"])
    names = tuple(class_names or category_ids)
    unknown = [name for name in names if name not in category_ids]
    if unknown:
        raise UserError(
            f"{file} has no category {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(category_ids)}"
        )
    chosen = {name: category_ids[name] for name in names}
    found, problems = _match(root, file, content, set(chosen.values()))
    items = Items.of(root, (item for item, _ in found))
    records = tuple(record for _, record in found)
    problems = [*told, *problems]
    data = Coco(root, split, names, items, tuple(problems), file, chosen, records)
    if "val" in files or split == "test":
        return data
    return data.only(set(split_names(data.names, split, holdout)))


def _is_object(annotation: Annotation) -> bool:
    """Not a crowd, not to be ignored, and outlined: a bare box says where, but not which pixels."""
    flagged = annotation.get("iscrowd", 0) or annotation.get("ignore", 0)
    return not flagged and bool(annotation.get("segmentation"))


@lru_cache(maxsize=1)
def _load(file: Path, _modified: int) -> dict[str, Any]:
    """Contents of a json of COCO instances; the last is kept, as train and val may share it."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read as json ({error}); it may be truncated") from error
    needed = {
        "images": ("id", "file_name", "height", "width"),
        "annotations": ("image_id", "category_id"),
        "categories": ("id", "name"),
    }
    for name, keys in needed.items():
        rows = content.get(name) if isinstance(content, dict) else None
        if not isinstance(rows, list):
            raise UserError(f"{file} has no list of {name}; it is no COCO instances file")
        for row in rows:
            missing = [key for key in keys if not isinstance(row, dict) or key not in row]
            if missing:
                raise UserError(f"{file} has an entry of {name} without {missing[0]}; add it")
            wrong = [key for key in keys if (name, key) in WHOLE and type(row[key]) is not int]
            if wrong:
                raise UserError(
                    f"{file} has an entry of {name} whose {wrong[0]} is {row[wrong[0]]!r}; "
                    "it must be a whole number"
                )
    return dict(content)


def _categories(file: Path, rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: int(row["id"])):
        if row["name"] in found:
            raise UserError(f"{file} has two categories named {row['name']!r}; rename one")
        found[row["name"]] = row["id"]
    if not found:
        raise UserError(f"{file} has no categories; it is no COCO instances file")
    return found


def _match(
    root: Path, file: Path, content: Mapping[str, Any], category_ids: set[int]
) -> tuple[list[tuple[Item, _Record]], list[Problem]]:
    """Images of the json with their files and annotations, sorted by name, and what is wrong."""
    known = {row["id"] for row in content["images"]}
    annotations, problems = _by_image(file, content["annotations"], category_ids, known)
    find = image_finder(root, file, [row["file_name"] for row in content["images"]])
    found: dict[str, tuple[Item, _Record]] = {}
    for row in content["images"]:
        image = find(row["file_name"])
        name = sample_name(row["file_name"])
        if name in found:
            other = found[name][0].image
            problems.append(Problem(image, f"has the name of {other}; rename one of them"))
        elif not image.is_file():
            problems.append(Problem(image, f"does not exist, though {file} names it"))
        else:
            rows = tuple(annotations.get(row["id"], ()))
            record = _Record(row["id"], int(row["height"]), int(row["width"]), rows)
            found[name] = Item(name, image, file), record
    return [found[name] for name in sorted(found)], problems


def _by_image(
    file: Path, rows: Iterable[Annotation], category_ids: set[int], known: set[int]
) -> tuple[dict[int, list[Annotation]], list[Problem]]:
    found = defaultdict(list)
    problems = []
    for row in rows:
        if row["image_id"] not in known:
            message = (
                f"annotation {row.get('id')} is of image {row['image_id']}, which is not there"
            )
            problems.append(Problem(file, message))
        elif row["category_id"] not in category_ids:
            continue
        elif not row.get("segmentation") and "bbox" not in row:
            problems.append(Problem(file, f"annotation {row.get('id')} has no segmentation"))
        else:
            if not row.get("segmentation"):
                message = f"annotation {row.get('id')} is only a box, which is ignored"
                problems.append(Problem(file, message, warning=True))
            found[row["image_id"]].append(row)
    return found, problems
