"""Opening a data set whose validation images are held out of its training images by groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spatialembed.data.data_set import HOLDOUT, Crowds, FileDataSet, Problem, Split
from spatialembed.data.layouts.groups import grouped, held_groups
from spatialembed.data.mixture import own_names
from spatialembed.data.open import open_data, scan_data
from spatialembed.errors import UserError

MOST_TEXT = 2_000_000
"""Letters of the names of held-out images, which a model keeps, at most."""


def open_by_groups(
    path: str | Path,
    groups: str | Path,
    class_names: Sequence[str] | None = None,
    holdout: float = HOLDOUT,
    crowds: Crowds = "ignore",
    beside_val: bool = False,
    held: Collection[str] | None = None,
) -> tuple[FileDataSet, FileDataSet]:
    """Training images without some groups, and the images of these groups.

    Args:
        path: the data set's folder.
        groups: a csv or a pattern, see :func:`~spatialembed.data.layouts.groups.grouped`.
        class_names, crowds: as for :func:`~spatialembed.data.open.open_data`.
        holdout: share of the training images that is held out, as nearly as groups allow.
        beside_val: whether that is so where the data set has a val split of its own, too.
        held: names of the images that were held out before, by which groups then go.

    Raises:
        UserError: as ``open_data``; groups that do not fit the images; a val split of its own;
            nothing to be held out.
    """
    if not holdout:
        raise UserError("groups are held out by --holdout, which is 0; leave one of both away")
    whole = open_data(path, "train", class_names, 0.0, crowds)
    if not beside_val and has_val(path, whole.class_names, crowds):
        raise UserError(
            f"{path} has a val split of its own, which validation takes: leave --groups away, or "
            "train with --validation holdout to hold images out of the training split even so"
        )
    if held is not None:
        return _parted(whole, held)
    group_of, told = grouped(whole.names, groups)
    chosen = held_groups(group_of, holdout)
    names = [name for name, group in group_of.items() if group in chosen]
    if sum(map(len, names)) > MOST_TEXT:
        raise UserError(
            f"the names of {len(names)} held-out images are too much text for a model to keep; "
            "lower --holdout, or move these images into a val split"
        )
    if abs(len(names) / len(whole) - holdout) > holdout / 2:
        message = (
            f"has groups of which {len(names)} of {len(whole)} training images are held out, the "
            f"nearest to a holdout of {holdout:g} that whole groups give"
        )
        told = [*told, Problem(whole.root, message, warning=True)]
    return _parted(replace(whole, problems=(*whole.problems, *told)), names)


def open_as_trained(
    path: str | Path,
    split: Split,
    class_names: Sequence[str],
    training: Mapping[str, Any],
    crowds: Crowds = "ignore",
) -> FileDataSet:
    """A split with the very images that it had in a model's training.

    Args:
        path: the data set's folder; ``class_names`` and ``crowds`` as for ``open_data``.
        split: which part; a val split of the data set's own is taken as it is.
        training: notes of the model's training, of which "holdout" and "held_out" count.

    Raises:
        UserError: as ``open_data``; some, but not all, of the held-out images are not there.
    """
    held, holdout = training.get("held_out"), training.get("holdout", HOLDOUT)
    if not held or split == "test" or (split == "val" and has_val(path, class_names, crowds)):
        return open_data(path, split, class_names, holdout, crowds)
    whole = open_data(path, "train", class_names, 0.0, crowds)
    if set(whole.names).isdisjoint(held):  # as a model of several sets names them
        held = own_names(held, Path(path).resolve().name) or held
    if set(whole.names).isdisjoint(held):
        other = open_data(path, split, class_names, holdout, crowds)
        message = (
            f"holds none of the {len(held)} images that were held out by groups in the model's "
            "training, so it is taken for other data, and val for a share of it by name"
        )
        return replace(other, problems=(*other.problems, Problem(other.root, message, True)))
    train, val = _parted(whole, held)
    return val if split == "val" else train


def has_val(path: str | Path, class_names: Sequence[str], crowds: Crowds) -> bool:
    """Whether there is a val split on disk: without a holdout it is empty where there is none."""
    return len(scan_data(path, "val", class_names, 0.0, crowds)) > 0


def _parted(whole: FileDataSet, held: Collection[str]) -> tuple[FileDataSet, FileDataSet]:
    """The training images that are not, and those that are held out."""
    here = set(whole.names)
    if lost := [name for name in held if name not in here]:
        raise UserError(
            f"{whole.root} lacks {len(lost)} of the {len(held)} images that were held out of "
            f"training by groups, as {lost[0]}; restore them, or give other data a val split of "
            "its own"
        )
    return whole.only(here.difference(held)), replace(whole.only(held), split="val")
