"""A look at all data before the first step: what would end a run hours later ends it now."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from spatialembed.console.output import console
from spatialembed.data.checks.across_splits import across_splits, traces_in
from spatialembed.data.checks.mask_files import mask_file_warnings
from spatialembed.data.checks.one_image import about_masks
from spatialembed.data.crops.cropper import empty_share
from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.index import ObjectIndex, Progress, object_index, specks
from spatialembed.data.layouts.label_folder import LabelFolder
from spatialembed.data.mixture import set_numbers, sets_of
from spatialembed.data.targets import each_of
from spatialembed.errors import UserError
from spatialembed.files.described import some
from spatialembed.files.pixel_values import Values, values_of
from spatialembed.models.input_warnings import range_noticed
from spatialembed.models.normalization import Normalization, parts_of, sampled
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import TrainConfig
from spatialembed.training.stage_config import StageConfig

OTHER_SIZE = 0.25
"""Share by which objects may be wider or narrower than a model saw them, without a word."""

SAY_EVERY = 10.0
"""Seconds between two lines about how many images were looked at."""

COMPARED = 2**26
"""Pixels of images that are decoded to compare validation with training images."""

LOOKED_AT = 64
"""Images, evenly spaced, whose values are looked at first; all are where these leave a doubt."""


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
    unjudged = () if val is train else _about_unjudged(judged)  # few images have no split of theirs
    for sentence in (*_about_empty(kept, config.scheduled()), *unjudged):
        console.print(sentence, highlight=False, soft_wrap=True)
    told = [*_about_classes(train, index)]
    if not isinstance(train, LabelFolder) or train.slab is None:  # whose border cuts some off
        told += _about_specks(index)
    warnings = [Problem(config.data, sentence, warning=True) for sentence in told]
    masks = [about for one in each_of(train) if train.dims == 2 for about in about_masks(one)]
    files = [about for one in (*each_of(train), *each_of(val)) for about in mask_file_warnings(one)]
    return kept, judged, [*warnings, *masks, *files]


def look_across(train: FileDataSet, val: FileDataSet, sizes: np.ndarray) -> list[Problem]:
    """Warnings of validation images that equal or adjoin training images.

    Args:
        train: images, all of which are decoded, as are those of ``val``.
        sizes: (M, 2) of all images; where they have more than :data:`COMPARED` pixels, none is
            looked at: ``spatialembed check`` does so. Nor are volumes.
    """
    if train.dims == 3 or np.prod(sizes, axis=1, dtype=np.int64).sum() > COMPARED:
        return []
    return list(across_splits({"train": traces_in(train), "val": traces_in(val)}))


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
    numbers = [set_numbers(dataset) for dataset in datasets]
    usual = [
        int(np.bincount(indexes[0].channels[numbers[0] == k]).argmax())
        for k in range(len(sets_of(datasets[0])))
    ]
    differing = [
        (dataset.items[i].image, int(index.channels[i]), usual[of[i]])
        for dataset, index, of in zip(datasets, indexes, numbers, strict=True)
        for i in np.flatnonzero(index.channels != np.take(usual, of)).tolist()
    ]
    if len(set(usual)) > 1 and not {1, 3}.issuperset(usual):
        told = ", ".join(
            f"{data.root} has {some(n, 'channel')}"
            for data, n in zip(sets_of(datasets[0]), usual, strict=True)
        )
        raise UserError(f"{told}; only images of 1 and of 3 channels can be trained on together")
    if differing:
        file, channels, usually = differing[0]
        others = f" (and {len(differing) - 1} more such)" if len(differing) > 1 else ""
        raise UserError(
            f"{file} has {some(channels, 'channel')}, most training images have {usually}{others}; "
            f"convert it (`spatialembed check {config.data}` lists every such file)"
        )


def _about_classes(train: FileDataSet, index: ObjectIndex) -> Iterable[str]:
    found = np.bincount(index.class_index, minlength=len(train.class_names))
    if absent := [name for name, n in zip(train.class_names, found, strict=True) if not n]:
        yield f"no training image has an object of {', '.join(absent)}: the model will find none"


def _about_specks(index: ObjectIndex) -> Iterable[str]:
    if count := np.count_nonzero(specks(index.area)):
        yield (
            f"{count} of {len(index)} training objects are specks of a few pixels, which count "
            "neither for diameter and minimum size nor as what crops are drawn around; remove them"
        )


def _about_empty(index: ObjectIndex, stages: Sequence[StageConfig]) -> Iterable[str]:
    if empty := len(index.empty):
        images, asked = len(index.image_size), [stage.background_share for stage in stages]
        default = empty_share(empty, images)
        shares = [default if share is None else share * empty / images for share in asked]
        said = ", then ".join(each for each, _ in groupby(f"{100 * one:.3g} %" for one in shares))
        yield (
            f"{empty} of {images} training images have no object: {said} of the crops show them "
            "(background_share in a recipe's stages)"
        )


def _about_unjudged(judged: ObjectIndex) -> Iterable[str]:
    if empty := len(judged.empty):
        yield (
            f"{empty} of {len(judged.image_size)} validation images have no object: each counts 0 "
            "in the validation AP, whatever is found in it; calibration of thresholds adds "
            "1 / (1 + found objects) for each"
        )


def look_at_values(
    normalization: Normalization, data: FileDataSet
) -> tuple[Normalization, list[str]]:
    """A normalisation that knows what is white in the training images, and what to tell of them.

    Args:
        normalization: "range" and "none" depend on the images' range; others are returned as
            they are, and no image is read.
        data: the training images.

    Returns:
        The normalisation, its ``white`` set where it was not, and sentences for a person.
    """
    if normalization.kind not in ("range", "none"):
        return normalization, []
    values = _values(data)
    if normalization.white is None:
        normalization = replace(normalization, white=max(v.white for v in values))
    return normalization, list(_about_values(normalization, values))


def _values(data: FileDataSet) -> list[Values]:
    first = {round(i) for i in np.linspace(0, len(data) - 1, min(LOOKED_AT, len(data)))}
    values = {i: _values_of(data, i) for i in sorted(first)}
    if not all(v.fills_type for v in values.values()):
        values |= {i: _values_of(data, i) for i in range(len(data)) if i not in first}
    return list(values.values())


def _values_of(data: FileDataSet, i: int) -> Values:
    large = data.large(i)
    if large is None:
        return values_of(parts_of(data[i].image))
    return values_of([large.image.read(*window) for window in sampled(large.image.shape)])


def _about_values(normalization: Normalization, values: list[Values]) -> Iterable[str]:
    kinds = Counter((str(v.dtype), v.white) for v in values)
    if len(kinds) > 1:
        found = ", ".join(f"{n} of {dtype} up to {white:g}" for (dtype, white), n in kinds.items())
        yield f"the images have several ranges: {found}"
    guessed = [v for v in values if not v.fills_type]
    if guessed and normalization.kind == "range":
        brightest = max(guessed, key=lambda v: v.high)
        yield (
            f"{len(guessed)} of {len(values)} images do not fill their type ({brightest.words}, "
            f"for one): {normalization.white_of(brightest):g} is taken as white, also of images "
            "to come; --normalization percentile goes by each image's own values"
        )
    unlike = [note for v in values if (note := range_noticed(normalization, v)) is not None]
    if unlike and not guessed:
        yield f"{unlike[0]} ({len(unlike)} of {len(values)} images)"
    if lost := [v.not_finite for v in values if v.not_finite]:
        yield (
            f"{len(lost)} images have pixels that are NaN or infinite ({sum(lost)} in all), which "
            "become 0; `spatialembed check` names them"
        )


def other_size(config: TrainConfig, start: ModelSpec) -> list[Problem]:
    """That objects are shown at another size than the model that the run starts from saw them."""
    shown = start.object_diameter and start.object_diameter * start.zoom
    if not shown or config.diameter is None or abs(config.diameter / shown - 1) <= OTHER_SIZE:
        return []
    text = (
        f"objects are shown {config.diameter:g} pixels wide, and {config.init} saw them "
        f"{shown:.0f} wide: --diameter {shown:.0f} starts from what it knows"
    )
    return [Problem(config.data, text, warning=True)]
