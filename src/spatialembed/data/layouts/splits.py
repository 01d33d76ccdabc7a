"""Folders and files of splits, by the names that people and tools give them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from spatialembed.data.data_set import SPLITS, FileDataSet, Problem, Split
from spatialembed.data.layouts.unread_files import holds_images, images_left_out
from spatialembed.errors import UserError
from spatialembed.files.names import is_hidden

FilesT = TypeVar("FilesT", bound=FileDataSet)

ALIASES: dict[str, Split] = {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "testing": "test",
}
"""What others call the splits."""


def split_of(name: str) -> Split | None:
    """The split that a folder or file of that name holds, if it names one."""
    name = name.lower()
    return ALIASES.get(name) or next((split for split in SPLITS if split == name), None)


def by_split(names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Of names that are splits the best for each, in the order of the splits, and the others."""
    by_rank: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in sorted(names, key=lambda name: (name not in SPLITS, name)):
        if split := split_of(name):
            by_rank[split].append(name)
    best = {split: found[0] for split, found in by_rank.items() if found}
    return best, [name for found in by_rank.values() for name in found[1:]]


def splits_in(root: Path) -> tuple[dict[str, str], list[Problem]]:
    """Names of the folders of a data set's splits, and what is to be said of them.

    A ``validation/`` is val, unless there is a ``val/``; folders of images that are no split are
    named.
    """
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name)]
    # A dev/ may hold anything: names that are not ours are splits where they hold images.
    names = [n for n in names if n in SPLITS or (split_of(n) and holds_images(root / n))]
    best, doubles = by_split(names)
    problems = taken_as({split: root / name for split, name in best.items() if name != split})
    for name in doubles:
        used = root / best[split_of(name) or "train"]
        problems += images_left_out(root / name, f"{used} is taken instead: put all into one")
    return best, problems


def taken_as(found: Mapping[str, Path]) -> list[Problem]:
    """That folders or files of other names are those of splits."""
    return [Problem(path, f"is taken as {split}", warning=True) for split, path in found.items()]


def beside(root: Path, known: Iterable[str], remedy: str) -> Iterator[Problem]:
    """Folders of images in ``root`` that are neither splits nor ``known``."""
    for name in sorted(os.listdir(root)):
        if not is_hidden(name) and split_of(name) is None and name not in known:
            yield from images_left_out(root / name, remedy)


def split_names(names: Sequence[str], split: str, holdout: float) -> list[str]:
    """Names of the "train" or "val" share of images that come without a val split, sorted.

    Names are ranked by their SHA-256, so the share is the same on every machine and stays when
    images are listed in another order. "val" gets ``round(holdout * n)`` of them, at least 1 and
    at most n - 1 (none if ``holdout`` is 0 or there is only one image).
    """
    n = len(names)
    count = min(max(round(holdout * n), 1), n - 1) if holdout > 0 and n > 1 else 0
    order = ranked(names)
    return sorted(order[:count] if split == "val" else order[count:])


def ranked(names: Iterable[str]) -> list[str]:
    """Names in the order of their SHA-256."""
    return sorted(names, key=lambda name: (hashlib.sha256(os.fsencode(name)).digest(), name))


def share_of(data: FilesT, available: Collection[str], holdout: float) -> FilesT:
    """A split as it is, or its share of the training images where no val is ``available``."""
    if "val" in available or data.split == "test":
        return data
    return data.only(set(split_names(data.names, data.split, holdout)))


def source_split(split: str, available: Sequence[str], root: Path) -> str:
    """The split on disk that ``split`` is read from: itself, or "train" for an absent "val".

    Raises:
        UserError: there is neither.
    """
    if split in available:
        return split
    if split == "val" and "train" in available:
        return "train"
    held = "" if "val" in available or "train" not in available else "; val is held out of it"
    found = (", ".join(available) or "none") + held
    raise UserError(f"{root} has no {split} split (found: {found}); choose another split")
