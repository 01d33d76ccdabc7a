"""A look at all data before the first step: what would end a run hours later ends it now."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from spatialembed.console.output import console
from spatialembed.data.checks.report import some
from spatialembed.data.checks.sample_check import about_masks
from spatialembed.data.crops.cropper import empty_share
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.index import ObjectIndex, Progress, object_index, specks
from spatialembed.errors import UserError
from spatialembed.training.config import StageConfig, TrainConfig

SAY_EVERY = 10.0
"""Seconds between two lines about how many images were looked at."""


def look(
    config: TrainConfig, train: FileDataSet, val: FileDataSet
) -> tuple[ObjectIndex, ObjectIndex, list[Problem]]:
    """Look at every image, and say what is found.

    Validation images are decoded, and training images too unless there are very many, of which
    then only masks and headers are read. What was looked at once is remembered.

    Returns:
        Objects of ``train`` without stray pixels that have ids of their own, which crops are drawn
        around; objects of ``val``; and warnings.

    Raises:
        UserError: a file that cannot be read, image and mask of different sizes, images of
            different channels, no object in one of the two, a validation image that is too large.
    """
    judged = object_index(val, whole=True, progress=_progress())
    index = object_index(train, progress=_progress())
    _require_channels(config, (train, val), (index, judged))
    kept = index.without_specks()
    for sentence in _about_empty(kept, config.scheduled()):
        console.print(sentence, highlight=False, soft_wrap=True)
    told = [*_absent_classes(train, index), *_about_specks(index)]
    warnings = [Problem(config.data, sentence, warning=True) for sentence in told]
    return kept, judged, [*warnings, *about_masks(train)]


def _progress() -> Progress:
    last = time.monotonic()

    def progress(split: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > SAY_EVERY:
            last = time.monotonic()
            console.print(f"looked at {done} of {total} {split} images", highlight=False)

    return progress


def _require_channels(
    config: TrainConfig, datasets: Sequence[FileDataSet], indexes: Sequence[ObjectIndex]
) -> None:
    usual = int(np.bincount(indexes[0].channels).argmax())
    differing = [
        (dataset.items[number].image, int(index.channels[number]))
        for dataset, index in zip(datasets, indexes, strict=True)
        for number in np.flatnonzero(index.channels != usual).tolist()
    ]
    if differing:
        file, channels = differing[0]
        others = f" (and {len(differing) - 1} more such)" if len(differing) > 1 else ""
        raise UserError(
            f"{file} has {some(channels, 'channel')}, most training images have {usual}{others}; "
            f"convert it (`spatialembed check {config.data}` lists every such file)"
        )


def _absent_classes(train: FileDataSet, index: ObjectIndex) -> list[str]:
    found = np.bincount(index.class_index, minlength=len(train.class_names))
    absent = [name for name, n in zip(train.class_names, found, strict=True) if not n]
    if not absent:
        return []
    return [f"no training image has an object of {', '.join(absent)}: the model will find none"]


def _about_specks(index: ObjectIndex) -> list[str]:
    count = np.count_nonzero(specks(index.area))
    if not count:
        return []
    return [
        f"{count} of {len(index)} training objects are specks of a few pixels, which count neither "
        "for diameter and minimum size nor as what crops are drawn around; remove them"
    ]


def _about_empty(index: ObjectIndex, stages: Sequence[StageConfig]) -> list[str]:
    empty, images = len(index.empty), len(index.image_size)
    if not empty:
        return []
    asked = [stage.background_share for stage in stages]
    default = empty_share(empty, images)
    shares = [default if share is None else share * empty / images for share in asked]
    said = ", then ".join(f"{100 * share:.3g} %" for share in shares)
    return [
        f"{empty} of {images} training images have no object: {said} of the crops show them "
        "(background_share in a recipe's stages)"
    ]
