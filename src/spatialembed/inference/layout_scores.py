"""The layout's own figures: Cityscapes AP by cityscapesScripts, COCO AP by faster-coco-eval."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spatialembed.data.layouts.cityscapes import Cityscapes
from spatialembed.data.layouts.coco import Coco
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.formats.results import coco_results, write_cityscapes_results
from spatialembed.formats.results_folder import COCO_FILES, cityscapes_ids
from spatialembed.metrics.coco_ap import MAX_FOUND

if TYPE_CHECKING:
    from spatialembed.data.data_set import FileDataSet
    from spatialembed.instances import Instances


TOOLS = {Cityscapes: "cityscapesscripts", Coco: "faster_coco_eval"}
"""Layouts that have an official score, and the module that gives it."""


def unscored(dataset: FileDataSet) -> list[str]:
    """A warning where the data set's layout has an official score whose tool is not installed."""
    tool = TOOLS.get(type(dataset))
    missing = tool is not None and find_spec(tool) is None
    return ["no official score: it needs pip install 'spatialembed[eval]'"] * missing


class Judge(Protocol):
    """Takes what was found in every image of a data set, then gives the official figures."""

    def add(self, i: int, find: Callable[[], Instances]) -> None:
        """Take what ``find`` gives for image ``i``; it is not called where nobody judges."""

    def score(self) -> dict[str, Any] | None: ...


@contextmanager
def official_score(
    dataset: FileDataSet,
    out: Path | None = None,
    min_region: int | None = None,
    max_found: int = MAX_FOUND,
) -> Iterator[Judge]:
    """The judge of a data set's layout; one that says None where no tool is or is installed.

    Args:
        dataset: what is scored.
        out: folder that keeps the results as the tool takes them; None keeps them nowhere.
        min_region: pixels below which Cityscapes' AP leaves true objects out; None its own rule.
        max_found: found objects of an image and class that COCO's AP looks at.

    Raises:
        UserError: ``min_region`` outside of Cityscapes; ``max_found`` outside of COCO.
    """
    if min_region is not None and not isinstance(dataset, Cityscapes):
        raise UserError(f"min_region is for Cityscapes' AP, and {dataset.root} is no Cityscapes")
    if max_found < 1 or (max_found != MAX_FOUND and not isinstance(dataset, Coco)):
        raise UserError(
            f"max_found is for COCO's AP and a number of objects above 0; {max_found} is given "
            f"for {dataset.root}"
        )
    if type(dataset) not in TOOLS or unscored(dataset):
        yield _NoJudge()
    elif isinstance(dataset, Coco):
        yield _CocoJudge(dataset, out, max_found)
    elif out is not None:
        yield _CityscapesJudge(dataset, out / "cityscapes", min_region)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield _CityscapesJudge(dataset, Path(folder), min_region)


class _NoJudge:
    def add(self, i: int, find: Callable[[], Instances]) -> None:
        pass

    def score(self) -> None:
        return None


class _CityscapesJudge:
    def __init__(self, dataset: FileDataSet, folder: Path, min_region: int | None) -> None:
        self.dataset, self.folder, self.min_region = dataset, folder, min_region
        self.ids = cityscapes_ids(dataset.class_names)

    def add(self, i: int, find: Callable[[], Instances]) -> None:
        write_cityscapes_results(self.folder, self.dataset.names[i], find(), self.ids)

    def score(self) -> dict[str, Any]:
        from spatialembed.metrics.cityscapes_ap import cityscapes_ap

        truths = {name: self.dataset.files(i)[1] for i, name in enumerate(self.dataset.names)}
        figures = cityscapes_ap(self.folder, truths, self.dataset.class_names, self.min_region)
        return {"by": "cityscapesScripts", **figures}


class _CocoJudge:
    """Scores by the objects that the data set has, so that both tables count the same.

    An annotation that is ignored there is a crowd here; one hidden by others is left out.
    """

    def __init__(self, dataset: Coco, out: Path | None, max_found: int) -> None:
        self.dataset, self.out, self.max_found = dataset, out, max_found
        self.ids = {name: k for k, name in enumerate(dataset.class_names)}
        self.rows: list[dict[str, Any]] = []

    def add(self, i: int, find: Callable[[], Instances]) -> None:
        self.rows += coco_results(find(), i, self.ids)

    def score(self) -> dict[str, Any]:
        from spatialembed.metrics.coco_ap import coco_ap

        self._write()
        figures = coco_ap(self.rows, self._truth(), max_found=self.max_found)
        return {"by": "faster-coco-eval", **figures}

    def _write(self) -> None:
        """Keep the results under the json's own ids; classes that it lacks have none there."""
        if self.out is None:
            return
        ids = self.dataset.image_ids
        kinds = {k: self.dataset.category_ids.get(name) for name, k in self.ids.items()}
        rows = [
            {**row, "image_id": ids[row["image_id"]], "category_id": kinds[row["category_id"]]}
            for row in self.rows
            if kinds[row["category_id"]] is not None
        ]
        with atomic_write(self.out / COCO_FILES[0]) as path:
            path.write_text(json.dumps(rows), encoding="utf-8")

    def _truth(self) -> dict[str, Any]:
        images = [
            {"id": i, "height": record.image.height, "width": record.image.width}
            for i, record in enumerate(self.dataset.records)
        ]
        return {
            "images": images,
            "categories": [{"id": k, "name": name} for name, k in self.ids.items()],
            "annotations": [row for i in range(len(self.dataset)) for row in self._annotations(i)],
        }

    def _annotations(self, i: int) -> Iterator[dict[str, Any]]:
        for drawn in self.dataset.drawing(i).drawn:
            kind = self.dataset.categories.get(drawn.annotation.category)
            if drawn.kind == "hidden":
                continue
            counts = drawn.mask["counts"].decode("ascii")
            row = {
                "image_id": i,
                "segmentation": {"size": drawn.mask["size"], "counts": counts},
                "iscrowd": int(drawn.kind != "object"),
                "area": drawn.annotation.area,
            }
            # one of no known class is ignored in all of them
            kinds = self.ids.values() if kind is None else [kind]
            yield from ({**row, "category_id": each} for each in kinds)
