"""What a data set holds, and everything that is wrong with it, file by file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spatialembed.data.checks.file_notes import notes
from spatialembed.data.checks.mask_report import mask_problems, speck_problems
from spatialembed.data.checks.report import Report, SplitReport, some
from spatialembed.data.checks.sample_check import Look, look_at, mask_file
from spatialembed.data.checks.tally import Tally
from spatialembed.data.checks.values import value_problems
from spatialembed.data.data_set import HOLDOUT, SPLITS, FileDataSet, Problem, Split
from spatialembed.data.index import Progress
from spatialembed.data.layouts import cityscapes
from spatialembed.data.open import scan_data
from spatialembed.errors import UserError

if TYPE_CHECKING:
    from spatialembed.data.data_set import Crowds


def check_data(
    path: str | Path,
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    progress: Progress | None = None,
    crowds: Crowds = "ignore",
) -> Report:
    """Read every file of every split of a data set; nothing that is wrong stops it.

    Args:
        path: the data set's folder.
        class_names: classes to look at; None: all that the layout has.
        holdout: as for :func:`~spatialembed.data.open.open_data`.
        progress: called with split, images read and images in all.
        crowds: as for :func:`~spatialembed.data.open.open_data`.
    """
    root = Path(path)
    chosen = class_names is not None
    if class_names is None and root.is_dir() and cityscapes.recognize(root):
        class_names = cityscapes.THINGS
    datasets, problems = _scan(root, class_names, holdout, crowds)
    reports = []
    channels: dict[str, dict[Path, int]] = {}
    for dataset in datasets:
        report, looks, found = _check_split(dataset, progress)
        reports.append(report)
        channels[dataset.split] = {file: look.channels for file, look in looks.items()}
        problems += [problem for problem in found if problem not in problems]
    problems += [problem for problem in _channels(channels) if problem not in problems]
    problems += _without_objects(root, reports)
    problems += _without_validation(root, datasets)
    layout = type(datasets[0]).__name__ if datasets else None
    names = datasets[0].class_names if datasets else tuple(class_names or ())
    if chosen or layout != "Cityscapes":
        problems += _absent_classes(root, reports)
    return Report(root, layout, names, tuple(reports), tuple(problems))


def _scan(
    root: Path, class_names: Sequence[str] | None, holdout: float, crowds: Crowds
) -> tuple[list[FileDataSet], list[Problem]]:
    """The splits there are, all with the classes of the first; one may be absent, not all."""
    datasets: list[FileDataSet] = []
    problems: list[Problem] = []
    refused: dict[Split, str] = {}
    for split in SPLITS:
        try:
            dataset = scan_data(root, split, class_names, holdout, crowds)
        except UserError as error:
            refused[split] = str(error)
            continue
        class_names = dataset.class_names
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


def _check_split(
    dataset: FileDataSet, progress: Progress | None
) -> tuple[SplitReport, dict[Path, Look], list[Problem]]:
    """Counts of a split, what was seen of each of its images by their files, and problems."""
    tally, looks, seen = Tally(), {}, []
    problems: list[Problem] = []
    for i in range(len(dataset)):
        image = dataset.items[i].image
        try:
            look = look_at(dataset, i)
            problems += notes(dataset.files(i))
        except UserError as error:
            problems.append(_as_problem(str(error), image))
        else:
            tally.add(look)
            looks[image] = look
            seen.append((mask_file(dataset, i), look.signs, look.objects[:, 6]))
        if progress is not None:
            progress(dataset.split, i + 1, len(dataset))
    problems += [*mask_problems(seen), *speck_problems(seen)]
    problems += value_problems({file: look.values for file, look in looks.items()})
    problems += [remark for remark in dataset.remarks() if remark not in problems]
    return tally.report(dataset), looks, problems


def _channels(found: dict[str, dict[Path, int]]) -> list[Problem]:
    """Images with other channels than most: of the training images, where there are some."""
    channels = found.get("train") or next(iter(found.values()), {})
    counted = Counter(channels.values()).most_common(1)
    return [
        Problem(file, f"has {some(n, 'channel')}, most images have {usual}; convert it")
        for usual, _ in counted
        for files in found.values()
        for file, n in files.items()
        if n != usual
    ]


def _without_objects(root: Path, reports: Sequence[SplitReport]) -> list[Problem]:
    """Splits without an object: only a warning where training would not miss it."""
    filled = {report.split for report in reports if any(report.objects.values())}
    other = {"train": "val", "val": "train"}
    return [
        Problem(
            root,
            f"has no object in any of its {some(r.images, f'{r.split} image')}"
            + ("; training needs some there" if other.get(r.split) in filled else ""),
            warning=bool(filled) and other.get(r.split) not in filled,
        )
        for r in reports
        if r.images and r.split not in filled
    ]


def _without_validation(root: Path, datasets: Sequence[FileDataSet]) -> list[Problem]:
    splits = {dataset.split: len(dataset) for dataset in datasets}
    if splits.get("train") != 1 or splits.get("val"):
        return []
    message = "has one training image and none for validation; to be trained on it needs two"
    return [Problem(root, message, warning=True)]


def _absent_classes(root: Path, reports: Sequence[SplitReport]) -> list[Problem]:
    """Classes that no training image shows, where it shows others."""
    train = next((report.objects for report in reports if report.split == "train"), {})
    absent = [name for name, count in train.items() if not count]
    if not absent or len(absent) == len(train):
        return []
    message = f"has no training object of {', '.join(absent)}: a model will find none"
    return [Problem(root, message, warning=True)]


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
