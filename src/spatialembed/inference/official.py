"""The layout's own figures: Cityscapes AP by cityscapesScripts, COCO AP by faster-coco-eval."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spatialembed.data.cityscapes import Cityscapes
from spatialembed.data.coco import Coco
from spatialembed.errors import UserError, missing_extra
from spatialembed.inference.written import cityscapes_ids
from spatialembed.results import coco_results, write_cityscapes_results

if TYPE_CHECKING:
    from spatialembed.data.sample import FileDataSet
    from spatialembed.instances import Instances


TOOLS = {Cityscapes: "cityscapesscripts", Coco: "faster_coco_eval"}
"""Layouts that have an official score, and the module that gives it."""


def is_scored_officially(dataset: FileDataSet) -> bool:
    """Whether the data set's layout has an official score, installed or not."""
    return isinstance(dataset, tuple(TOOLS))


class Judge(Protocol):
    """Takes what was found in every image of a data set, then gives the official figures."""

    def add(self, i: int, find: Callable[[], Instances]) -> None:
        """Take what ``find`` gives for image ``i``; it is not called where nobody judges."""

    def score(self) -> dict[str, Any] | None: ...


@contextmanager
def official_score(
    dataset: FileDataSet,
    out: Path | None = None,
    official: bool | None = None,
    min_region: int | None = None,
) -> Iterator[Judge]:
    """The judge of a data set's layout; one that says None where the layout has no tool.

    Args:
        dataset: what is scored.
        out: folder that keeps the Cityscapes results; None keeps them nowhere.
        official: True demands the official figures, False does without, None takes them where
            the 'eval' extra is installed.
        min_region: pixels below which Cityscapes' AP leaves true objects out; None its own rule.

    Raises:
        UserError: figures were demanded of a layout without an official tool, or the 'eval' extra
            is missing; ``min_region`` outside of Cityscapes.
    """
    tool = next((name for kind, name in TOOLS.items() if isinstance(dataset, kind)), None)
    if official and tool is None:
        raise UserError(f"{dataset.root} is neither Cityscapes nor COCO: it has no official score")
    if min_region is not None and not isinstance(dataset, Cityscapes):
        raise UserError(f"min_region is for Cityscapes' AP, and {dataset.root} is no Cityscapes")
    installed = tool is not None and find_spec(tool) is not None
    if official and not installed:
        raise missing_extra("the official score", "eval")
    if official is False or not installed:
        yield _NoJudge()
    elif isinstance(dataset, Coco):
        yield _CocoJudge(dataset)
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
        from spatialembed.metrics.cityscapes import cityscapes_ap

        truths = {name: self.dataset.files(i)[1] for i, name in enumerate(self.dataset.names)}
        figures = cityscapes_ap(self.folder, truths, self.dataset.class_names, self.min_region)
        return {"by": "cityscapesScripts", **figures}


class _CocoJudge:
    def __init__(self, dataset: Coco) -> None:
        self.dataset = dataset
        self.rows: list[dict[str, Any]] = []

    def add(self, i: int, find: Callable[[], Instances]) -> None:
        ids = self.dataset.category_ids
        self.rows += coco_results(find(), self.dataset.image_ids[i], ids)

    def score(self) -> dict[str, Any]:
        from spatialembed.metrics.coco import coco_ap

        return {"by": "faster-coco-eval", **coco_ap(self.rows, self._truth())}

    def _truth(self) -> dict[str, Any]:
        """The annotations of this split's images and classes: a held-out val is part of a file."""
        content = json.loads(self.dataset.annotation_file.read_text(encoding="utf-8"))
        images, kinds = set(self.dataset.image_ids), set(self.dataset.category_ids.values())
        return {
            "images": [row for row in content["images"] if row["id"] in images],
            "categories": [row for row in content["categories"] if row["id"] in kinds],
            "annotations": [
                row
                for row in content["annotations"]
                if row["image_id"] in images and row["category_id"] in kinds
            ],
        }
