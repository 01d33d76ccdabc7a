"""The COCO layout: a json of instances for each split, and its images.

coco_files.py finds them; annotations/ reads the json and says what becomes of its annotations.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple, Self

import numpy as np

from spatialembed.data.annotations.annotation_problems import (
    at_sight,
    once_drawn,
    orphans,
    partly_covered,
    repeated,
    unplaced,
)
from spatialembed.data.annotations.coco_json import Annotation, Content, Image, key, load
from spatialembed.data.annotations.drawn import (
    Drawing,
    Drawn,
    Sorted,
    covered,
    draw,
    kind_at_sight,
)
from spatialembed.data.data_set import Crowds, FileDataSet, Problem, unequal
from spatialembed.data.images.kinds import image_names
from spatialembed.data.images.reading import image_size
from spatialembed.data.layouts.coco_files import (
    annotation_files,
    holds_coco,
    image_finder,
    is_file,
    sample_name,
)
from spatialembed.data.layouts.splits import share_of, source_split
from spatialembed.data.sample import Truth
from spatialembed.data.sample_files import Item, Items
from spatialembed.errors import UserError
from spatialembed.files.names import file_in_json, loosely


class _Record(NamedTuple):
    image: Image
    rows: tuple[Sorted, ...]


@dataclass(frozen=True, eq=False)
class Coco(FileDataSet):
    """One split of a data set in the COCO layout.

    Names are the images' file names without suffix, folders joined by ``_``. Ids of ``label_mask``
    are 1, 2, ... in the order of the image's annotations of the trained classes.

    Attributes:
        annotation_file: the json the split was read from.
        category_ids: the json's category id of every class name that it has, as written there.
        categories: the class index of every category, by its id as text.
        records: every item's image, annotations, and what these are.
        crowds: what annotations marked iscrowd are.
    """

    annotation_file: Path
    category_ids: Mapping[str, Any]
    categories: Mapping[str, int]
    records: tuple[_Record, ...]
    crowds: Crowds

    @property
    def reading(self) -> str:
        return f"crowds {self.crowds}"

    @property
    def image_ids(self) -> list[Any]:
        """The json's id of every image, in the order of ``names``."""
        return [record.image.id for record in self.records]

    def drawing(self, i: int) -> Drawing:
        """The annotations of one image as pixels, and what became of each.

        Raises:
            UserError: a segmentation that cannot be read.
        """
        image, rows = self.records[i]
        try:
            return draw(rows, image.height, image.width)
        except ValueError as error:
            raise UserError(f"{self.annotation_file}: {error}; correct it") from error

    def truth(self, i: int) -> Truth:
        """Draw the annotations of one image."""
        drawn, label_mask, ignore = self.drawing(i)
        classes = [-1, *(self.categories.get(each.annotation.category, -1) for each in drawn)]
        return Truth(label_mask, np.array(classes, np.int16)[label_mask], ignore)

    def remarks(self) -> list[Problem]:
        """What is seen of the annotations as pixels, and images of another size than the json's."""
        found: list[Problem] = []
        drawn: list[Drawn] = []
        beneath: list[Annotation] = []
        objects = 0
        for i in range(len(self)):
            try:
                drawing = self.drawing(i)
                drawn += (each for each in drawing.drawn if each.kind != "object")
                objects += sum(each.kind == "object" for each in drawing.drawn)
                beneath += covered(drawing)
            except UserError as error:
                message = str(error).removeprefix(f"{self.annotation_file}: ")
                found.append(Problem(self.annotation_file, message))
            found += self._of_another_size(i)
        found += partly_covered(self.annotation_file, beneath, objects)
        return found + once_drawn(self.annotation_file, drawn)

    def _of_another_size(self, i: int) -> list[Problem]:
        """By the header of the image's file, where that says it plainly."""
        path, image = self.items[i].image, self.records[i].image
        said = image.height, image.width
        try:
            stored = image_size(path)
        except UserError:  # reading it says what is wrong
            return []
        message = unequal(path, stored, self.annotation_file, said).removeprefix(f"{path} ")
        return [Problem(path, message)] if stored != said else []

    def _pick(self, numbers: Sequence[int]) -> Self:
        return replace(super()._pick(numbers), records=tuple(self.records[i] for i in numbers))


recognize = holds_coco


def scan(
    root: Path,
    split: str,
    class_names: Sequence[str] | None,
    holdout: float,
    crowds: Crowds = "ignore",
) -> Coco:
    """List one split; see :func:`spatialembed.data.open.scan_data`.

    Raises:
        UserError: the split or a class does not exist, or the json is not one of COCO instances.
    """
    files, told = annotation_files(root)
    file = files[source_split(split, tuple(files), root)]
    content = load(file)
    names = tuple(class_names or content.categories)
    problems = _lacking(file, content, names, files.get("train", file))
    categories = {content.categories[n]: k for k, n in enumerate(names) if n in content.categories}
    rows, sorted_out = _sorted_rows(file, content, categories, crowds)
    found, missing = _match(root, file, content, rows)
    data = Coco(
        root,
        split,
        names,
        Items.of(root, (item for item, _ in found)),
        (*told, *problems, *sorted_out, *missing, *_unlisted(found, files)),
        file,
        {name: each for name, each in content.category_ids.items() if name in names},
        categories,
        tuple(record for _, record in found),
        crowds,
    )
    return share_of(data, files, holdout)


def _lacking(file: Path, content: Content, names: Sequence[str], train: Path) -> list[Problem]:
    """Classes that the json lacks: one that train has may have no object here."""
    unknown = [name for name in names if name not in content.categories]
    if not unknown:
        return []
    told, have = ", ".join(map(repr, unknown)), ", ".join(content.categories)
    if not set(unknown) <= load(train).categories.keys():
        raise UserError(
            f"{file} has no category {told}; it has {have}: choose among these, or, where they "
            "are other names of the same, rename them there"
        )
    message = f"has no category {told}, which {train.name} has, so no object of it; it has {have}"
    return [Problem(file, message, warning=True)]


def _sorted_rows(
    file: Path, content: Content, categories: Mapping[str, int], crowds: Crowds
) -> tuple[dict[str, list[Sorted]], list[Problem]]:
    """Annotations of every image that is listed, by its id, and what is to be said of them."""
    listed = {key(image.id) for image in content.images}
    known = set(content.categories.values())
    # Of classes that are not trained nothing is said; of unknown ones, they may be of any class.
    taken = [
        (each, kind_at_sight(each, each.category in known, crowds))
        for each in content.annotations
        if each.category in categories or each.category not in known
    ]
    problems = repeated(file, content.images, content.annotations)
    problems += orphans(file, [each for each, _ in taken if each.image not in listed])
    taken = [each for each in taken if each[0].image in listed]
    problems += at_sight(file, taken)
    found = defaultdict(list)
    for each in taken:
        if not unplaced(each):
            found[each[0].image].append(each)
    return found, problems


def _match(
    root: Path, file: Path, content: Content, rows: Mapping[str, Sequence[Sorted]]
) -> tuple[list[tuple[Item, _Record]], list[Problem]]:
    """Images of the json with their files and annotations, sorted by name, and what is wrong."""
    find = image_finder(root, file, [image.file_name for image in content.images])
    found: dict[str, tuple[Item, _Record]] = {}
    problems = []
    for image in content.images:
        path, name = find(image.file_name), sample_name(image.file_name)
        if name in found:
            (_, other, *_), record = found[name]
            ids = f"{record.image.id} and {image.id}"
            message = f"has the name of {other}; rename one of them"
            same = f"is listed twice, as images {ids}; list it once, with all its annotations"
            problems.append(Problem(path, same if other == path else message))
        elif not is_file(path):
            message = (
                f"does not exist, though {file} names it; where it lies in another folder, "
                f"`spatialembed convert {quote(str(root))} OUT` finds it"
            )
            problems.append(Problem(path, message))
        else:
            record = _Record(image, tuple(rows.get(str(key(image.id)), ())))
            found[name] = Item(name, path, file), record
    return [found[name] for name in sorted(found)], problems


def _unlisted(found: Sequence[tuple[Item, _Record]], files: Mapping[str, Path]) -> list[Problem]:
    """Images beside a split's that no split lists: they are not read, with or without objects."""
    taken = {os.path.realpath(item.image) for item, _ in found}
    folders = sorted({item.image.parent for item, _ in found})
    there = {f / name: os.path.realpath(f / name) for f in folders for name in image_names(f)}
    if taken.issuperset(there.values()):
        return []  # else other splits are asked: one that shares its folder lists some of it alone
    try:
        names = [image.file_name for file in files.values() for image in load(file).images]
    except UserError:  # of another split, which is said where that is opened
        return []
    listed = {loosely(file_in_json(name).rpartition("/")[2]) for name in names}
    taken |= {place for path, place in there.items() if loosely(path.name) in listed}
    left = [path for path, place in there.items() if place not in taken]  # links are what they are
    if not left:
        return []
    others = f" (so are {len(left) - 1} more)" if len(left) > 1 else ""
    message = (
        f"is listed by no json, and left out{others}; add it to the images of one, without "
        "annotations where it has no object"
    )
    return [Problem(left[0], message, warning=True)]
