"""What a data set holds, and everything that is wrong with it, file by file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ..errors import UserError
from . import cityscapes
from .label_folder import LabelFolder
from .objects import objects_of, united
from .sample import HOLDOUT, SPLITS, FileDataSet, Problem, Split, scan_data
from .windowed import WindowedImage, blocks

Progress = Callable[[str, int, int], None]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Quantiles of the objects' areas that a report gives."""

_SEMANTIC_PARTS = 3


@dataclass(frozen=True)
class SplitReport:
    """What one split holds, of the images that could be read.

    Attributes:
        split: "train", "val" or "test".
        images: readable images with readable truth.
        images_without_objects: how many of them have no object of the classes.
        objects: number of objects of every class.
        sizes, channels, dtypes: images by (width, height), by channels and by stored type.
        area_quantiles: pixels of the objects at :data:`QUANTILES`; empty without objects.
        median_diameter: pixels, of the disc of an object's area; None without objects.
        ignored: share of all pixels that is ignored, 0 to 1.
    """

    split: str
    images: int
    images_without_objects: int
    objects: dict[str, int]
    sizes: dict[tuple[int, int], int]
    channels: dict[int, int]
    dtypes: dict[str, int]
    area_quantiles: tuple[float, ...]
    median_diameter: float | None
    ignored: float

    def lines(self) -> Iterator[str]:
        """The report in words, a line each."""
        yield f"{self.split}: {_some(self.images, 'image')}, {_objects(self.objects)}"
        if not self.images:
            return
        widths, heights = zip(*self.sizes, strict=True)
        least, most = f"{min(widths)}x{min(heights)}", f"{max(widths)}x{max(heights)}"
        sizes = least if least == most else f"{least} to {most}"
        channels = ", ".join(f"{n} channels" if n > 1 else "1 channel" for n in self.channels)
        yield f"  {sizes} pixels, {channels}, {', '.join(self.dtypes)}"
        if self.median_diameter is not None:
            low, middle, high = (self.area_quantiles[QUANTILES.index(q)] for q in (0.05, 0.5, 0.95))
            yield (
                f"  objects of {middle:.0f} pixels (90 % between {low:.0f} and {high:.0f}), "
                f"median diameter {self.median_diameter:.1f} pixels"
            )
        if self.images_without_objects:
            yield f"  {_some(self.images_without_objects, 'image')} without an object"
        if self.ignored:
            yield f"  {self.ignored:.1%} of the pixels ignored"


@dataclass(frozen=True)
class Report:
    """What a data set holds and what is wrong with it.

    Attributes:
        path: the data set's folder.
        layout: "Cityscapes", "Coco" or "LabelFolder"; None where none was recognized.
        class_names: the classes looked at.
        splits: one report a split; a "val" held out of train is one too.
        problems: everything that is wrong, warnings included, in the order it was found.
    """

    path: Path
    layout: str | None
    class_names: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that keep the data set from being used."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems to look at that do not keep the data set from being used."""
        return tuple(problem for problem in self.problems if problem.warning)

    def lines(self) -> Iterator[str]:
        """The report in words, a line each; problems last."""
        for split in self.splits:
            yield from split.lines()
        for problem in self.problems:
            yield f"{'warning' if problem.warning else 'error'}: {problem}"
        if not self.problems:
            yield "no problem found"

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        splits = [asdict(split) for split in self.splits]
        for split in splits:
            split["sizes"] = {f"{w}x{h}": n for (w, h), n in split["sizes"].items()}
        problems = [
            {"file": str(p.file), "message": p.message, "warning": p.warning} for p in self.problems
        ]
        return {
            "path": str(self.path),
            "layout": self.layout,
            "class_names": list(self.class_names),
            "splits": splits,
            "problems": problems,
        }


def check_data(
    path: str | Path,
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    progress: Progress | None = None,
) -> Report:
    """Read every file of every split of a data set; nothing that is wrong stops it.

    Args:
        path: the data set's folder.
        class_names: classes to look at; None: all that the layout has.
        holdout: as for :func:`~spatialembed.data.sample.open_data`.
        progress: called with split, images read and images in all.
    """
    root = Path(path)
    if class_names is None and root.is_dir() and cityscapes.recognize(root):
        class_names = cityscapes.THINGS
    datasets, problems = _scan(root, class_names, holdout)
    reports = []
    for dataset in datasets:
        report, found = _check_split(dataset, progress)
        reports.append(report)
        problems += [problem for problem in found if problem not in problems]
    problems += _without_objects(root, reports)
    layout = type(datasets[0]).__name__ if datasets else None
    names = datasets[0].class_names if datasets else tuple(class_names or ())
    return Report(root, layout, names, tuple(reports), tuple(problems))


def _scan(
    root: Path, class_names: Sequence[str] | None, holdout: float
) -> tuple[list[FileDataSet], list[Problem]]:
    """The splits there are; an absent one is no problem unless all are."""
    datasets: list[FileDataSet] = []
    problems: list[Problem] = []
    refused: dict[Split, str] = {}
    for split in SPLITS:
        try:
            dataset = scan_data(root, split, class_names, holdout)
        except UserError as error:
            refused[split] = str(error)
            continue
        problems += [problem for problem in dataset.problems if problem not in problems]
        if dataset.items or dataset.problems:
            datasets.append(dataset)
    absent = {split for split in refused if f"has no {split} split" in refused[split]}
    for split, message in refused.items():
        if split in absent and len(absent) < len(SPLITS):
            continue
        problem = _as_problem(message, root)
        problems += [problem] if problem not in problems else []
    return datasets, problems


@dataclass
class _Tally:
    """What has been counted of a split so far."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    tables: list[np.ndarray] = field(default_factory=list)
    pixels: int = 0
    ignored: int = 0

    def add(self, image: WindowedImage | np.ndarray, table: np.ndarray, ignored: int) -> None:
        height, width = image.shape[:2]
        channels = image.shape[2] if isinstance(image, np.ndarray) else image.channels
        self.sizes[width, height] += 1
        self.channels[channels] += 1
        self.dtypes[str(image.dtype)] += 1
        self.tables.append(table)
        self.pixels += height * width
        self.ignored += ignored

    def report(self, dataset: FileDataSet) -> SplitReport:
        tables = self.tables or [np.zeros((0, 7), np.int32)]
        table = np.concatenate(tables)
        counts = np.bincount(table[:, 1], minlength=len(dataset.class_names))
        area = table[:, 6]
        return SplitReport(
            split=dataset.split,
            images=len(self.tables),
            images_without_objects=sum(not len(table) for table in self.tables),
            objects={name: int(n) for name, n in zip(dataset.class_names, counts, strict=True)},
            sizes=dict(self.sizes),
            channels=dict(self.channels),
            dtypes=dict(self.dtypes),
            area_quantiles=tuple(map(float, np.quantile(area, QUANTILES))) if len(area) else (),
            median_diameter=float(np.sqrt(np.median(area) * 4 / np.pi)) if len(area) else None,
            ignored=self.ignored / max(self.pixels, 1),
        )


def _check_split(
    dataset: FileDataSet, progress: Progress | None
) -> tuple[SplitReport, list[Problem]]:
    tally, problems = _Tally(), []
    channels: dict[Path, int] = {}
    for i in range(len(dataset)):
        try:
            image_channels, semantic = _count(dataset, i, tally)
        except UserError as error:
            problems.append(_as_problem(str(error), dataset.items[i].image))
        else:
            channels[dataset.items[i].image] = image_channels
            if semantic:
                message = "has one id in several parts; is it a mask of the class, not of objects?"
                problems.append(Problem(dataset.items[i].truth, message, warning=True))
        if progress is not None:
            progress(dataset.split, i + 1, len(dataset))
    if tally.channels:
        usual = tally.channels.most_common(1)[0][0]
        problems += [
            Problem(file, f"has {_some(n, 'channel')}, most images have {usual}; convert it")
            for file, n in channels.items()
            if n != usual
        ]
    return tally.report(dataset), problems


def _count(dataset: FileDataSet, i: int, tally: _Tally) -> tuple[int, bool]:
    """Read sample ``i`` into ``tally``; its channels, and whether it has a mask of the class."""
    large = dataset.large(i)
    if large is None:
        sample = dataset[i]
        table = objects_of(sample.label_mask, sample.class_map)
        tally.add(sample.image, table, int(sample.ignore.sum()))
        folder = isinstance(dataset, LabelFolder)
        return sample.image.shape[2], folder and _looks_semantic(sample.label_mask, table)
    if dataset.split != "train":
        large.require_whole()
    tables, ignored = [], 0
    for rows, columns in blocks(large.mask):
        part = large.read(rows, columns)
        tables.append(objects_of(part.label_mask, part.class_map, (rows.start, columns.start)))
        ignored += int(part.ignore.sum())
    tally.add(large.image, united(tables), ignored)
    return large.image.channels, False


def _without_objects(root: Path, reports: Sequence[SplitReport]) -> list[Problem]:
    """Splits without an object; only a warning for one where another split has some."""
    empty = [report for report in reports if report.images and not any(report.objects.values())]
    some = any(any(report.objects.values()) for report in reports)
    return [
        Problem(root, f"has no object in any of its {_some(r.images, f'{r.split} image')}", some)
        for r in empty
    ]


def _looks_semantic(label_mask: np.ndarray, table: np.ndarray) -> bool:
    if len(table) != 1:
        return False
    return bool(ndimage.label(label_mask, np.ones((3, 3)))[1] >= _SEMANTIC_PARTS)


def _as_problem(message: str, default: Path) -> Problem:
    """An error of reading as a problem: the message starts with the file at fault, if any."""
    if message.startswith(f"{default} "):
        return Problem(default, message.removeprefix(f"{default} "))
    words = message.split(" ")
    for n in range(len(words) - 1, 0, -1):  # paths may have spaces: the longest that exists
        file = " ".join(words[:n]).removesuffix(":")
        if os.path.isabs(file) == default.is_absolute() and os.path.exists(file):
            return Problem(Path(file), " ".join(words[n:]))
    return Problem(default, message)


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _objects(objects: Mapping[str, int]) -> str:
    if len(objects) == 1:
        name, count = next(iter(objects.items()))
        return _some(count, "object") + ("" if name == "object" else f" of class {name}")
    counts = ", ".join(f"{name} {count}" for name, count in objects.items())
    return f"{_some(sum(objects.values()), 'object')} ({counts})"
