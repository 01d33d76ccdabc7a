"""What a data set holds, and everything that is wrong with it, file by file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import UserError
from ..pixel_values import Values, merged, values_of
from . import cityscapes
from .check_report import QUANTILES, Report, SplitReport, some
from .check_values import value_problems
from .label_folder import LabelFolder
from .objects import objects_of, united
from .sample import HOLDOUT, SPLITS, FileDataSet, Problem, Split, scan_data
from .windowed import WindowedImage, blocks

Progress = Callable[[str, int, int], None]

_SEMANTIC_PARTS = 3


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
    values: dict[Path, Values] = field(default_factory=dict)

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
        problems += value_problems(tally.values)
        problems += [
            Problem(file, f"has {some(n, 'channel')}, most images have {usual}; convert it")
            for file, n in channels.items()
            if n != usual
        ]
    return tally.report(dataset), problems


def _count(dataset: FileDataSet, i: int, tally: _Tally) -> tuple[int, bool]:
    """Read sample ``i`` into ``tally``; its channels, and whether it has a mask of the class."""
    large = dataset.large(i)
    if large is None:
        sample = dataset[i]
        tally.values[dataset.items[i].image] = values_of([sample.image])
        table = objects_of(sample.label_mask, sample.class_map)
        tally.add(sample.image, table, int(sample.ignore.sum()))
        folder = isinstance(dataset, LabelFolder)
        return sample.image.shape[2], folder and _looks_semantic(sample.label_mask, table)
    if dataset.split != "train":
        large.require_whole()
    tables, values, ignored = [], [], 0
    for rows, columns in blocks(large.mask):
        part = large.read(rows, columns)
        tables.append(objects_of(part.label_mask, part.class_map, (rows.start, columns.start)))
        ignored += int(part.ignore.sum())
        values.append(values_of([part.image]))
    tally.values[dataset.items[i].image] = merged(values)
    tally.add(large.image, united(tables), ignored)
    return large.image.channels, False


def _without_objects(root: Path, reports: Sequence[SplitReport]) -> list[Problem]:
    """Splits without an object; only a warning for one where another split has some."""
    empty = [report for report in reports if report.images and not any(report.objects.values())]
    elsewhere = any(any(report.objects.values()) for report in reports)
    return [
        Problem(
            root, f"has no object in any of its {some(r.images, f'{r.split} image')}", elsewhere
        )
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
