"""The layout's own figures: Cityscapes AP by cityscapesScripts, COCO AP by faster-coco-eval."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spatialembed.data.layouts.cityscapes import Cityscapes
from spatialembed.data.layouts.coco import Coco
from spatialembed.errors import UserError, require_number
from spatialembed.files.writing import write_json
from spatialembed.formats.cityscapes_results import cityscapes_ids, write_cityscapes_results
from spatialembed.formats.coco_results import coco_results
from spatialembed.formats.kinds import COCO_FILES
from spatialembed.metrics.coco_ap import MAX_FOUND

if TYPE_CHECKING:
    from spatialembed.data.data_set import FileDataSet
    from spatialembed.instances import Instances


TOOLS = {Cityscapes: "cityscapesscripts", Coco: "faster_coco_eval"}
"""Layouts that have an official score, and the module that gives it."""


def unscored(dataset: FileDataSet) -> list[str]:
    """A warning where the data set's layout has an official score whose tool does not import."""
    tool = TOOLS.get(type(dataset))
    try:
        if tool is not None:
            import_module(tool)  # looked for by its name alone, a broken one would fail at the end
    except ImportError as error:
        return [f"no official score ({error}): it needs pip install 'spatialembed[eval]'"]
    return []


class OfficialScore(NamedTuple):
    """Takes what was found in every image of a data set, then gives the official figures."""

    add: Callable[[int, Callable[[], Instances]], object]
    """Take what a function gives for image ``i``; it is not called where there is no tool."""
    figures: Callable[[], dict[str, Any] | None]


@contextmanager
def official_score(
    dataset: FileDataSet,
    out: Path | None = None,
    min_region: int | None = None,
    max_found: int = MAX_FOUND,
) -> Iterator[OfficialScore]:
    """The official score of a data set's layout; its figures are None where there is no tool.

    Args:
        dataset: what is scored.
        out: folder that keeps the results as the tool takes them; None keeps them nowhere.
        min_region: pixels below which Cityscapes' AP leaves true objects out; None its own rule.
        max_found: found objects of an image and class that COCO's AP looks at.

    Raises:
        UserError: ``min_region`` outside of Cityscapes or below 0; ``max_found`` outside of COCO.
    """
    if min_region is not None and not isinstance(dataset, Cityscapes):
        raise UserError(
            f"min_region is for Cityscapes' AP, and {dataset.root} is no Cityscapes; leave it out"
        )
    if min_region is not None and min_region < 0:
        raise UserError(f"min_region is a number of pixels, not {min_region}")
    max_found = int(require_number(max_found, "max_found", whole=True))
    if max_found < 1 or (max_found != MAX_FOUND and not isinstance(dataset, Coco)):
        raise UserError(
            f"max_found is for COCO's AP and a number of objects above 0; {max_found} is given "
            f"for {dataset.root}: leave it out"
        )
    if type(dataset) not in TOOLS or unscored(dataset):
        yield OfficialScore(lambda i, find: None, lambda: None)
    elif isinstance(dataset, Coco):
        yield _coco_score(dataset, out, max_found)
    elif out is not None:
        yield _cityscapes_score(dataset, out / "cityscapes", min_region)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield _cityscapes_score(dataset, Path(folder), min_region)


def _cityscapes_score(dataset: FileDataSet, folder: Path, min_region: int | None) -> OfficialScore:
    ids = cityscapes_ids(dataset.class_names)

    def add(i: int, find: Callable[[], Instances]) -> None:
        write_cityscapes_results(folder, dataset.names[i], find(), ids)

    def figures() -> dict[str, Any]:
        from spatialembed.metrics.cityscapes_ap import cityscapes_ap

        truths = {name: dataset.files(i)[1] for i, name in enumerate(dataset.names)}
        found = cityscapes_ap(folder, truths, dataset.class_names, min_region)
        return {"by": "cityscapesScripts", **found}

    return OfficialScore(add, figures)


def _coco_score(dataset: Coco, out: Path | None, max_found: int) -> OfficialScore:
    """By the objects that the data set has, so that both tables count the same.

    An annotation that is ignored there is a crowd here; one hidden by others is left out.
    """
    ids = {name: k for k, name in enumerate(dataset.class_names)}
    rows: list[dict[str, Any]] = []

    def add(i: int, find: Callable[[], Instances]) -> None:
        rows.extend(coco_results(find(), i, ids))

    def figures() -> dict[str, Any]:
        from spatialembed.metrics.coco_ap import coco_ap

        if out is not None:
            write_json(out / COCO_FILES[0], _under_its_ids(rows, dataset))
        return {"by": "faster-coco-eval", **coco_ap(rows, _truth(dataset), max_found=max_found)}

    return OfficialScore(add, figures)


def _under_its_ids(rows: list[dict[str, Any]], dataset: Coco) -> list[dict[str, Any]]:
    """Results under the json's own ids; classes that it lacks have none there."""
    kinds = [dataset.category_ids.get(name) for name in dataset.class_names]
    images = dataset.image_ids
    return [
        {**row, "image_id": images[row["image_id"]], "category_id": kinds[row["category_id"]]}
        for row in rows
        if kinds[row["category_id"]] is not None
    ]


def _truth(dataset: Coco) -> dict[str, Any]:
    images = [
        {"id": i, "height": record.image.height, "width": record.image.width}
        for i, record in enumerate(dataset.records)
    ]
    return {
        "images": images,
        "categories": [{"id": k, "name": name} for k, name in enumerate(dataset.class_names)],
        "annotations": [row for i in range(len(dataset)) for row in _annotations(dataset, i)],
    }


def _annotations(dataset: Coco, i: int) -> Iterator[dict[str, Any]]:
    for drawn in dataset.drawing(i).drawn:
        if drawn.kind == "hidden":
            continue
        row = {
            "image_id": i,
            "segmentation": {**drawn.mask, "counts": drawn.mask["counts"].decode("ascii")},
            "iscrowd": int(drawn.kind != "object"),
            "area": drawn.annotation.area,
        }
        kind = dataset.categories.get(drawn.annotation.category)
        # One of no known class is ignored in all of them: COCO ignores within a class.
        kinds = range(len(dataset.class_names)) if kind is None else [kind]
        yield from ({**row, "category_id": each} for each in kinds)
