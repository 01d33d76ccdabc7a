"""Where a data set in the COCO layout keeps its json and its images, as tools lay them out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

from spatialembed.data.data_set import Problem
from spatialembed.data.layouts.other_layouts import COCO, about_json, kind_of_json
from spatialembed.data.layouts.splits import ALIASES, by_split, split_of, splits_in, taken_as
from spatialembed.data.layouts.unread_files import images_left_out
from spatialembed.errors import UserError
from spatialembed.files.names import file_in_json, is_hidden, loosely

_OTHER_TASKS = ("captions", "person", "keypoints", "stuff", "panoptic", "image")
"""First words of files that COCO has beside those of instances."""

_TEXT_SPLIT = re.compile(r"[^a-zA-Z]+")

FEW = 20
"""Files of json in the folder of a split beyond which they are those of single images."""


def holds_coco(root: Path) -> bool:
    """Whether there are annotations in json files, in a place where tools put them."""
    if _jsons(root / "annotations"):
        return True
    folders = (root, *_split_folders(root).values())
    has_masks = any((folder / "masks").is_dir() for folder in folders)
    return not has_masks and bool(_coco_jsons(root) or _in_split_folders(root))


def annotation_files(root: Path) -> tuple[dict[str, Path], list[Problem]]:
    """The json of every split, and what is to be said of how they were found.

    ``annotations/instances_SPLIT*.json`` or ``SPLIT.json``; else a json of COCO instances in each
    split's folder (Roboflow), or those beside ``annotations/`` and in it, by the split that their
    names hold; a single one is train.

    Raises:
        UserError: several files for a split, several without one, or files of another layout.
    """
    named = _named(root / "annotations")
    if named:
        return named, _beside(root, named)
    found = _in_split_folders(root)
    if found:
        told = splits_in(root)[1]
        for split, folder in _split_folders(root).items():
            if split not in found:
                told += images_left_out(folder, "no COCO json lies with them")
        return found, told
    files = [*_coco_jsons(root / "annotations"), *_coco_jsons(root)]
    if not files:
        others = _jsons(root / "annotations")
        known = next((text for file in others if (text := about_json(file, root))), None)
        names = ", ".join(file.name for file in others[:3])
        raise UserError(
            known
            or f"{root / 'annotations'} has no COCO instances file ({names}); put "
            "instances_train.json there"
        )
    return _by_words(root, files)


def _named(folder: Path) -> dict[str, Path]:
    """By names as COCO's own: instances_train2017.json, instances_train.json, train.json."""
    words = {file: _split_word(file) for file in _jsons(folder)}
    found: dict[str, Path] = {}
    best, _ = by_split([word for word in words.values() if word])
    for split, word in best.items():
        files = [file for file, own in words.items() if own == word]
        found[split] = _the_one(folder, files, f"files for {split}")
        if told := about_json(found[split], folder.parent):
            raise UserError(told)
    return found


def _the_one(folder: Path, files: Sequence[Path], what: str) -> Path:
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UserError(f"{folder} has {len(files)} {what} ({names}); keep one")
    return files[0]


def _split_word(file: Path) -> str | None:
    match = re.fullmatch(r"(?:instances_)?([a-z]+)[^a-z]*", file.stem.lower())
    return match[1] if match and split_of(match[1]) else None


def _beside(root: Path, named: dict[str, Path]) -> list[Problem]:
    """What is to be said of json files of instances that are not taken, or by another name."""
    problems = taken_as({s: file for s, file in named.items() if _split_word(file) in ALIASES})
    for file in [*_jsons(root / "annotations"), *_jsons(root)]:
        first = _TEXT_SPLIT.split(file.stem.lower())[0]
        if file not in named.values() and first not in _OTHER_TASKS and kind_of_json(file) == COCO:
            message = "is left out: name it instances_train.json, instances_val.json or …_test.json"
            problems.append(Problem(file, message, warning=True))
    return problems


def _by_words(root: Path, files: Sequence[Path]) -> tuple[dict[str, Path], list[Problem]]:
    found: dict[str, Path] = {}
    for file in files:
        words = [split_of(word) for word in _TEXT_SPLIT.split(file.stem)]
        split = next((word for word in words if word), None)
        if len(files) == 1:
            split = split or "train"
        if split is None or split in found:
            names = ", ".join(str(file.relative_to(root)) for file in files)
            raise UserError(
                f"{root} has several COCO files ({names}); name them instances_train.json, "
                "instances_val.json and so on, in annotations/"
            )
        found[split] = file
    return found, taken_as(found)


def _in_split_folders(root: Path) -> dict[str, Path]:
    """A json of instances in the folder of each split, as Roboflow writes them."""
    held = ((split, each, _coco_jsons(each)) for split, each in _split_folders(root).items())
    return {s: _the_one(folder, files, "COCO files") for s, folder, files in held if files}


def _split_folders(root: Path) -> dict[str, Path]:
    return {split: root / name for split, name in splits_in(root)[0].items()}


def _jsons(folder: Path) -> list[Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [f for f in found if f.suffix.lower() == ".json" and not is_hidden(f.name)]


def _coco_jsons(folder: Path) -> list[Path]:
    files = _jsons(folder)
    return [f for f in files if kind_of_json(f) == COCO] if len(files) <= FEW else []


def image_finder(root: Path, file: Path, names: Sequence[str]) -> Callable[[str], Path]:
    """What gives the image file of each of the ``names`` that a json has.

    Windows' separators, composed or decomposed letters and the case of the suffix do not matter.
    Folders that a tool put before a name are left away where they are not there, unless two images
    would then be one. A file that is not there is named as it should be.
    """
    folders = _image_folders(root, file)
    last = Counter(loosely(file_in_json(name).rpartition("/")[2]) for name in names)

    def find(name: str) -> Path:
        inside, _, own = file_in_json(name).rpartition("/")
        places = [folder / inside for folder in folders]
        places += folders if inside and last[loosely(own)] == 1 else []
        exact = (path for place in places if is_file(path := place / own))
        loose = (alike for place in places if (alike := _loosely_in(place, own)))
        return next(chain(exact, loose), folders[0] / inside / own)

    return find


def _image_folders(root: Path, file: Path) -> list[Path]:
    """Where a split's images may be, as COCO itself and others lay them out."""
    split = file.stem.removeprefix("instances_")
    names = dict.fromkeys((split, re.sub(r"[^a-zA-Z]+$", "", split)))
    folders = [root / "images" / name for name in names] + [root / name for name in names]
    folders += [root / "images", file.parent, root]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def sample_name(name: str) -> str:
    """What the image of a json's file name is called: without suffix, folders joined by ``_``."""
    return os.path.splitext(file_in_json(name).replace("/", "_"))[0]


def is_file(path: Path) -> bool:
    """Whether there is such a file."""
    try:
        return path.is_file()
    except OSError:  # a name longer than a disk holds
        return False


def _loosely_in(folder: Path, name: str) -> Path | None:
    """The one file of a folder that has the name but for its letters' form and suffix's case."""
    if not folder.is_dir():
        return None
    found = _listed(folder, folder.stat().st_mtime_ns).get(loosely(name))
    return folder / found if found else None


@lru_cache(maxsize=8)
def _listed(folder: Path, _modified: int) -> dict[str, str]:
    """Names of a folder's files by what they are compared by; of two of one, neither."""
    names: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                key = loosely(entry.name)
                names[key] = "" if key in names else entry.name
    return names
