"""COCO instances of any tool, wherever their images lie; written with run lengths.

Ids begin at 1, as evaluators differ in what they make of an annotation 0.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pycocotools import mask as coco

from spatialembed.convert.images import copy_image
from spatialembed.convert.picture import OBJECT, Picture, class_names, placed
from spatialembed.convert.source import Source
from spatialembed.data.annotations.annotation_problems import WORDS, orphans, repeated, unplaced
from spatialembed.data.annotations.coco_json import key, load
from spatialembed.data.annotations.drawn import Sorted, draw, kind_at_sight
from spatialembed.data.annotations.masks import Rle, area
from spatialembed.data.data_set import Split
from spatialembed.data.layouts.other_layouts import COCO
from spatialembed.errors import UserError


def recognize(source: Source) -> bool:
    """Whether there are jsons of COCO instances."""
    return bool(source.jsons(COCO))


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all jsons.

    Raises:
        UserError: a json cannot be read, an image is missing or of another size, an annotation
            cannot be drawn or is of no image.
    """
    for file in source.jsons(COCO):
        content = load(file)
        rows, names = _rows(source, file), {one: name for name, one in content.categories.items()}
        for image in content.images:
            path = source.image(image.file_name, file)
            size = source.size(path, file, image.height, image.width)
            try:
                drawn = draw(rows.get(str(key(image.id)), []), *size).drawn
            except ValueError as error:
                raise UserError(f"{file}: {error}; correct it") from error
            objects: list[tuple[str, Rle]] = []
            ignored: list[tuple[str, Rle]] = []
            for each in drawn:
                name = names.get(each.annotation.category, OBJECT)
                if each.kind in ("object", "hidden"):
                    objects.append((name, each.mask))
                    continue
                source.notes.add(
                    f"annotations {WORDS[each.kind]}", f"{file}, {each.annotation.name}"
                )
                if area(each.mask):
                    ignored.append((name, each.mask))
            split = source.split(file, path)
            yield Picture(path, source.name(path), split, size, objects, ignored)


def _rows(source: Source, file: Path) -> dict[str, list[Sorted]]:
    """The annotations of every image, by its id."""
    content = load(file)
    known, listed = set(content.categories.values()), {key(image.id) for image in content.images}
    problems = repeated(file, content.images, content.annotations)
    problems += orphans(file, [each for each in content.annotations if each.image not in listed])
    for problem in problems:
        if not problem.warning:
            raise UserError(str(problem))
    found = defaultdict(list)
    for each in content.annotations:
        row = each, kind_at_sight(each, each.category in known, source.crowds)
        if unplaced(row):
            source.notes.add("annotations without a place: left out", f"{file}, {each.name}")
        else:
            found[each.image].append(row)
    return found


def write(out: Path, pictures: Sequence[Picture], source: Source) -> str:
    """annotations/instances_SPLIT.json and images/SPLIT; what is ignored is marked iscrowd.

    Returns:
        What to do with it.
    """
    names = class_names(pictures)
    content: dict[Split, dict[str, list[dict[str, Any]]]] = {}
    for each in placed(pictures):
        copy_image(each, out / "images")
        picture = each.picture
        held = content.setdefault(picture.split, {"images": [], "annotations": []})
        number, (height, width) = len(held["images"]) + 1, picture.size
        facts = {"id": number, "file_name": f"{each.name}{each.suffix}"}
        held["images"].append({**facts, "height": height, "width": width})
        rows = [(row, 0) for row in picture.objects] + [(row, 1) for row in picture.ignored]
        for (name, mask), crowd in rows:
            mine = {"id": len(held["annotations"]) + 1, "image_id": number, "iscrowd": crowd}
            mine["category_id"] = names.index(name) + 1
            held["annotations"].append({**mine, **_pixels(mask)})
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    (out / "annotations").mkdir(parents=True)
    for split, held in content.items():
        text = json.dumps({**held, "categories": categories})
        (out / "annotations" / f"instances_{split}.json").write_text(text, encoding="utf-8")
    return "upload images/ and the json where COCO is taken (CVAT: COCO 1.0)"


def _pixels(mask: Rle) -> dict[str, Any]:
    counts = mask["counts"]
    text = counts if isinstance(counts, str) else counts.decode("ascii")
    box = [float(side) for side in coco.toBbox(mask)]
    segmentation = {"size": [int(side) for side in mask["size"]], "counts": text}
    return {"segmentation": segmentation, "area": area(mask), "bbox": box}
