"""What a data set holds, and everything that is wrong with it, file by file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from spatialembed.data.checks.across_splits import MOST, across_splits, compared
from spatialembed.data.checks.image_warnings import (
    file_warnings,
    pixel_size_warnings,
    value_warnings,
)
from spatialembed.data.checks.mask_files import mask_file_warnings
from spatialembed.data.checks.mask_warnings import mask_warnings, speck_warnings
from spatialembed.data.checks.noise import noise_warnings
from spatialembed.data.checks.one_image import Look, look_at
from spatialembed.data.checks.one_volume import look_at_volume
from spatialembed.data.checks.report import (
    Report,
    SplitReport,
    one_after_another,
    split_report,
)
from spatialembed.data.checks.turned_masks import turned_warnings
from spatialembed.data.checks.volume_warnings import (
    of_another_kind,
    other_dims,
    spacing_warnings,
)
from spatialembed.data.data_set import HOLDOUT, SPLITS, Crowds, FileDataSet, Problem, Split
from spatialembed.data.held_out import open_by_groups
from spatialembed.data.images.pixel_size import known_pixel_size
from spatialembed.data.images.vendor_image import vendor_remark
from spatialembed.data.index import Progress
from spatialembed.data.layouts import cityscapes
from spatialembed.data.open import scan_data
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError
from spatialembed.files.described import some


def check_data(
    path: str | Path,
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    progress: Progress | None = None,
    crowds: Crowds = "ignore",
    groups: str | Path | None = None,
) -> Report:
    """Read every file of every split of a data set; nothing that is wrong stops it.

    Args:
        path: the data set's folder.
        class_names: classes to look at; None: all that the layout has.
        holdout: as for :func:`~spatialembed.data.open.open_data`.
        progress: called with split, images read and images in all.
        crowds: as for :func:`~spatialembed.data.open.open_data`.
        groups: as for :func:`~spatialembed.data.held_out.open_by_groups`, which then says what val
            is.
    """
    root = Path(path)
    chosen = class_names is not None
    if class_names is None and root.is_dir() and cityscapes.recognize(root):
        class_names = cityscapes.THINGS
    datasets, problems = _scan(root, class_names, holdout, crowds)
    if several := next((dataset for dataset in datasets if isinstance(dataset, Targets)), None):
        given = (holdout, progress, crowds, groups)
        each = [check_data(root, (name,), *given) for name in several.class_names]
        return one_after_another(each, [*problems, *_without_masks(datasets)])
    if groups is not None and all(problem.warning for problem in problems):
        try:
            parted = open_by_groups(root, groups, datasets[0].class_names, holdout, crowds)
        except UserError as error:
            problems.append(_as_problem(str(error), root))
        else:
            problems += parted[0].problems
            datasets = [*parted, *(dataset for dataset in datasets if dataset.split == "test")]
    looks: dict[str, dict[Path, Look]] = {}
    for dataset in datasets:
        looks[dataset.split], found = _look_through(dataset, progress)
        problems += found
    problems += _about_masks(looks)
    reports = [split_report(dataset, list(looks[dataset.split].values())) for dataset in datasets]
    problems += [*_other_channels(looks), *other_dims(datasets), *spacing_warnings(looks)]
    problems += pixel_size_warnings(looks)
    traces = {s: {file: look.traces for file, look in found.items()} for s, found in looks.items()}
    problems += across_splits(traces)
    problems += _without_objects(root, reports)
    problems += _short_of_images(root, datasets)
    layout = type(datasets[0]).__name__ if datasets else None
    names = datasets[0].class_names if datasets else tuple(class_names or ())
    if chosen or layout != "Cityscapes":  # all eight of which are looked at unasked
        problems += _absent_classes(root, reports)
    # Splits of one folder or json find the same: each is said once, where it was found first.
    seen = tuple(dict.fromkeys(problems))
    return Report(root, layout, names, tuple(reports), seen, tuple(compared(traces)))


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
        problems += dataset.problems
        if dataset.items or dataset.problems:
            datasets.append(dataset)
    absent = [split for split, told in refused.items() if f"has no {split} split" in told]
    if len(absent) < len(SPLITS):
        refused = {split: told for split, told in refused.items() if split not in absent}
    return datasets, problems + [_as_problem(told, root) for told in refused.values()]


def _look_through(
    dataset: FileDataSet, progress: Progress | None
) -> tuple[dict[Path, Look], list[Problem]]:
    """What is seen of each image of a split, by its file, and problems."""
    looks: dict[Path, Look] = {}
    problems: list[Problem] = []
    for i in range(len(dataset)):
        try:
            look = (look_at if dataset.dims == 2 else look_at_volume)(dataset, i)
            image = dataset.items[i].image
            if remark := vendor_remark(image):
                problems.append(Problem(image, remark, warning=True))
            if dataset.dims == 2:
                look = look._replace(pixel=known_pixel_size(image))
                problems += file_warnings(dataset.files(i))
        except UserError as error:
            told = of_another_kind(dataset, i) or str(error)
            problems.append(_as_problem(told, dataset.files(i)[0]))
        else:
            if len(looks) >= MOST:  # of which no more than digests are needed
                look = look._replace(traces=look.traces._replace(borders=None))
            looks[dataset.files(i)[0]] = look
        if progress is not None:
            progress(dataset.split, i + 1, len(dataset))
    problems += value_warnings({file: look.values for file, look in looks.items()})
    objects = sum(len(look.objects) for look in looks.values())
    problems += turned_warnings({file: look.turned for file, look in looks.items()}, objects)
    problems += noise_warnings({file: look.noise for file, look in looks.items()})
    return looks, [*problems, *mask_file_warnings(dataset), *dataset.remarks()]


def _about_masks(looks: Mapping[str, Mapping[Path, Look]]) -> list[Problem]:
    """Warnings about the masks of each split."""
    masks = {split: [look.mask for look in found.values()] for split, found in looks.items()}
    problems: list[Problem] = []
    for split, own in masks.items():
        others = [mask for other, held in masks.items() if other != split for mask in held]
        problems += [*mask_warnings(own, others), *speck_warnings(own)]
    return problems


def _other_channels(looks: Mapping[str, Mapping[Path, Look]]) -> list[Problem]:
    """Images with other channels than most: of the training images, where there are some."""
    judged = looks.get("train") or next(iter(looks.values()), {})
    counted = Counter(look.channels for look in judged.values()).most_common(1)
    return [
        Problem(file, f"has {some(look.channels, 'channel')}, most images have {usual}; convert it")
        for usual, _ in counted
        for split in looks.values()
        for file, look in split.items()
        if look.channels != usual
    ]


def _kind(report: SplitReport) -> str:
    """The one class, such as a target, whose objects a report counts, if it has a name."""
    [name, *others] = report.objects
    return "" if others or name == "object" else f" of {name}"


def _without_objects(root: Path, reports: Sequence[SplitReport]) -> list[Problem]:
    """Splits without an object: only a warning where training would not miss it."""
    filled = {report.split for report in reports if any(report.objects.values())}
    other = {"train": "val", "val": "train"}
    return [
        Problem(
            root,
            f"has no object{_kind(r)} in its {some(r.images, f'{r.split} {r.noun}')}"
            + ("; training needs some there" if other.get(r.split) in filled else ""),
            warning=bool(filled) and other.get(r.split) not in filled,
        )
        for r in reports
        if r.images and r.split not in filled
    ]


def _without_masks(datasets: Sequence[FileDataSet]) -> list[Problem]:
    """Targets of which no validation image has a mask, so that nothing could judge them."""
    return [
        Problem(
            data.root,
            f"has no mask of {name} for any of its {len(data)} val {data.things}; training needs "
            "some there: hold out more images (--holdout), or put some with such masks into val",
        )
        for data in datasets
        if isinstance(data, Targets) and data.split == "val"
        for name, own in zip(data.class_names, data.each, strict=True)
        if not len(own)
    ]


def _short_of_images(root: Path, datasets: Sequence[FileDataSet]) -> list[Problem]:
    splits = {dataset.split: len(dataset) for dataset in datasets}
    if splits and "train" not in splits:
        message = (
            "has no training image: it can be scored (`spatialembed evaluate`), not trained on"
        )
    elif splits.get("train") == 1 and not splits.get("val"):
        message = (
            "has one training image and none for validation: a recipe needs two; from a trained "
            "model one is enough (`spatialembed train DATA --init nuclei`)"
        )
    else:
        return []
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
