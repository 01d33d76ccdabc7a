"""The training and validation images of a run: of one data set, or of several together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from spatialembed.data.data_set import HOLDOUT, FileDataSet, Problem
from spatialembed.data.held_out import has_val, open_by_groups
from spatialembed.data.layouts.splits import split_names
from spatialembed.data.mixture import mixed, own_names, set_names
from spatialembed.data.open import open_data, scan_data
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError
from spatialembed.models.spec import ModelSpec
from spatialembed.training.config import TrainConfig


def open_sets(config: TrainConfig, spec: ModelSpec | None) -> tuple[FileDataSet, FileDataSet]:
    """Training and validation images; a run that is resumed has the ``spec`` of its model.

    Raises:
        UserError: no usable data, sets of different classes, or nothing to be held out.
    """
    paths = [config.data, *(config.also or ())]
    folders = [path.resolve() for path in paths]
    for path, folder in zip(paths, folders, strict=True):
        if folders.count(folder) > 1:
            raise UserError(f"{path} is named twice among the data; name each folder once")
    held = None if spec is None else spec.training.get("held_out")
    if len(paths) == 1:
        return _opened(config, config.data, held)
    opened = [
        _opened(config, path, held and own_names(held, name))
        for path, name in zip(paths, set_names(paths), strict=True)
    ]
    if several := [train.root for train, _ in opened if isinstance(train, Targets)]:
        raise UserError(
            f"{several[0]} has masks of several targets: leave --also away, or choose one of them "
            "by --classes"
        )
    train, val = zip(*opened, strict=True)
    return mixed([_untold(config, data) for data in train]), mixed(val)


def open_whole(config: TrainConfig) -> tuple[FileDataSet, FileDataSet]:
    """All training images, and those of a val split; where there is none, the same again."""
    train = open_data(config.data, "train", config.classes, 0, config.crowds)
    if config.validation == "val":
        val = scan_data(config.data, "val", train.class_names, 0, config.crowds)
        if val.items:
            return train, val
    return train, train


def _opened(
    config: TrainConfig, path: Path, held: Collection[str] | None
) -> tuple[FileDataSet, FileDataSet]:
    if config.groups is not None:
        how = (config.groups, config.classes, config.holdout, config.crowds)
        return open_by_groups(path, *how, config.validation == "holdout", held)
    train = open_data(path, "train", config.classes, config.holdout, config.crowds)
    if config.validation == "val":
        # by name: another file may number or order the same classes otherwise
        names = train.class_names
        val = open_data(path, "val", names, config.holdout, config.crowds)
        return train, replace(val, problems=(*val.problems, *_unused(config, path, val)))
    chosen = set(split_names(train.names, "val", config.holdout))
    if not chosen or len(chosen) == len(train):
        raise UserError(f"{path} has too few training images to hold out {config.holdout}")
    return train.only(set(train.names) - chosen), train.only(chosen)


UNASKED = (HOLDOUT, 0.2)
"""Shares to hold out that nobody asked for: the default, and that of the recipe for volumes."""


def unused_holdout(config: TrainConfig, path: Path, why: str) -> list[Problem]:
    """A warning where a share to hold out was given that nothing goes by."""
    if config.holdout in UNASKED:
        return []
    return [Problem(path, f"{why}: --holdout {config.holdout:g} has no effect", warning=True)]


def _unused(config: TrainConfig, path: Path, val: FileDataSet) -> list[Problem]:
    if config.holdout in UNASKED or not has_val(path, val.class_names, config.crowds):
        return []
    why = (
        "has a val split of its own, which validation takes unless --validation holdout holds "
        "images out of the training split even so"
    )
    return unused_holdout(config, path, why)


def _untold(config: TrainConfig, data: FileDataSet) -> FileDataSet:
    """Without what is said of a table of groups: it may name the images of all sets."""
    told = tuple(problem for problem in data.problems if str(problem.file) != config.groups)
    return replace(data, problems=told)
