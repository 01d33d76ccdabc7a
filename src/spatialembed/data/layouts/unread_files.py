"""What lies among the images and is not read, so that nothing is left out without a word."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from shlex import quote

from spatialembed.data.data_set import Problem
from spatialembed.data.images.kinds import SUFFIXES, ZARR, image_names
from spatialembed.errors import UserError
from spatialembed.files.described import read_json
from spatialembed.files.names import HIDDEN, SETTINGS_FILE, is_hidden, is_settings
from spatialembed.files.sources import found_in

DOCUMENTS = (
    *("", ".txt", ".md", ".rst", ".pdf", ".doc", ".docx", ".rtf", ".html", ".xml", ".json"),
    *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".log", ".csv", ".tsv", ".xls", ".xlsx", ".db"),
    *(".py", ".ipynb", ".sh", ".ijm", ".groovy", ".geojson", ".lock", ".sqlite"),
)
"""Suffixes of what is no image, in lower case."""

STORES = (ZARR, ".n5")
"""Suffixes of folders that are one image, in lower case."""

MOST = 10_000
"""Files below a folder that is left out that are counted."""


def walk(
    folder: Path, skip: Path | None = None, suffixes: Sequence[str] = SUFFIXES
) -> tuple[list[Path], Counter[str]]:
    """Images below a folder, sorted, and how many files there are of each other suffix.

    Args:
        folder: hidden files and folders in it are no data.
        skip: a folder, resolved, whose content does not count.
        suffixes: of images, in lower case.
    """
    images: list[Path] = []
    others: Counter[str] = Counter()
    for path in _below(folder, skip):
        suffix = path.suffix.lower()
        if suffix in suffixes:
            images.append(path)
        elif suffix not in DOCUMENTS:
            others[suffix] += 1
    return sorted(images), others


def in_results(root: Path) -> Callable[[Path], bool]:
    """What tells folders below ``root`` in which ``predict`` or ``track`` keep results, or that lie
    in one."""

    @cache
    def told(folder: Path) -> bool:
        return folder != root and (_holds_results(folder) or told(folder.parent))

    return told


def refuse_results(images: Iterable[Path]) -> None:
    """Refuse files, and folders of planes, that are what ``predict`` found in an image.

    Raises:
        UserError: one lies where results do, and is a result of an image.
    """
    is_result = cache(lambda folder: in_results(Path(folder.anchor))(folder))
    place = cache(Path.resolve)  # of folders: of each of a million files it would take minutes
    for path in images:
        first = path / next(iter(image_names(path)), "")
        if is_result(place(first.parent)) and (of := found_in(first)):
            raise UserError(
                f"{first} holds what predict found in {of}, and is no image: give the images "
                "themselves, or a folder without results"
            )


def _holds_results(folder: Path) -> bool:
    if (folder / "tracks.csv").is_file() and (folder / "tracks.geff").is_dir():
        return True
    file = folder / SETTINGS_FILE
    if not file.is_file():
        return False
    try:
        return is_settings(read_json(file, ""))
    except UserError:  # of another program
        return False


def _below(folder: Path, skip: Path | None = None) -> Iterator[Path]:
    """Files and folders of chunks below a folder."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        if skip is not None and Path(place).resolve() == skip:
            folders.clear()
            continue
        stores = [name for name in folders if os.path.splitext(name)[1].lower() in STORES]
        folders[:] = [name for name in folders if name not in stores]
        yield from (Path(place, name) for name in (*files, *stores) if not is_hidden(name))


def is_visible(path: Path) -> bool:
    """Whether a file that a pattern matches is data: not hidden, nor a chunk of an image."""
    folders = [part.lower() for part in path.parts[:-1]]
    inside = any(part in HIDDEN or part.endswith(STORES) for part in folders)
    return not inside and not is_hidden(path.name)


def in_words(others: Mapping[str, int]) -> str:
    """Counts by suffix as a sentence; empty without any."""
    if not others:
        return ""
    counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
    count = sum(others.values())
    verb = "file of another format is" if count == 1 else "files of other formats are"
    alone = "; a .zarr is predicted by itself, with --out NAME.zarr" if ZARR in others else ""
    return f"{count} {verb} left out ({counts}); save as TIFF or PNG what is to be read{alone}"


def left_out_of(
    folder: Path, ours: tuple[str, ...] = (), taken: Collection[str] = ()
) -> Iterator[Problem]:
    """Files of other formats and folders of images in a folder whose images are read.

    Args:
        folder: of images.
        ours: how names end that are no images and yet known.
        taken: names of the folders that are read.
    """
    if not folder.is_dir():
        return
    others: Counter[str] = Counter()
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        suffix = os.path.splitext(entry.name)[1].lower()
        if is_hidden(entry.name) or suffix == ZARR or entry.name in taken:
            continue
        if entry.is_dir():
            yield from images_left_out(Path(entry.path), f"move them into {folder}")
        elif suffix not in (*SUFFIXES, *DOCUMENTS) and not entry.name.endswith(ours):
            others[suffix] += 1
    if others:
        yield Problem(folder, in_words(others), warning=True)


def corrected_since(folder: Path, masks: Sequence[str], root: Path) -> Iterator[Problem]:
    """That Cellpose's window saved masks after those that are read.

    Args:
        folder: of the masks.
        masks: names that begin as the window's x_seg.npy.
        root: of the data set.
    """
    pairs = [(folder / name, folder / f"{name.rpartition('_cp_')[0]}_seg.npy") for name in masks]
    newer = [s for m, s in pairs if s.is_file() and s.stat().st_mtime > m.stat().st_mtime]
    if newer:
        more = f" (so were {len(newer) - 1} more)" if len(newer) > 1 else ""
        message = (
            f"was saved after the masks beside it, which are read{more}; "
            f"`spatialembed convert {quote(str(root))} OUT` takes what is in them"
        )
        yield Problem(newer[0], message, warning=True)


def images_left_out(folder: Path, remedy: str) -> list[Problem]:
    """That a folder's images are left out, if it has some."""
    if not folder.is_dir() or folder.suffix.lower() in STORES:
        return []
    found = islice(_below(folder), MOST)
    count = sum(path.suffix.lower() not in DOCUMENTS for path in found)
    if not count:
        return []
    message = f"is a folder of {count} file{'s' * (count > 1)} that are left out; {remedy}"
    return [Problem(folder, message, warning=True)]


def holds_images(folder: Path) -> bool:
    """Whether there is an image below a folder."""
    return any(path.suffix.lower() in (*SUFFIXES, ZARR) for path in islice(_below(folder), MOST))
