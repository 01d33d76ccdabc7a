"""The folder that is converted: its files, where its images are, and which split they are of."""

from __future__ import annotations

import codecs
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from spatialembed.convert.picture import Notes
from spatialembed.data.data_set import Crowds, Split, unequal
from spatialembed.data.images.kinds import SUFFIXES
from spatialembed.data.images.reading import image_size
from spatialembed.data.layouts.other_layouts import kind_of_json
from spatialembed.data.layouts.splits import split_of
from spatialembed.errors import UserError
from spatialembed.files.names import composed, file_in_json, is_hidden, loosely

_WORDS = re.compile(r"[^a-zA-Z]+")

_PREFIX = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that is sent to it."""


@dataclass(frozen=True)
class Source:
    """A folder of another tool's.

    Attributes:
        root: the folder.
        scratch: a folder for images that lie within other files; what is there goes at the end.
        notes: what is lost.
        crowds: what COCO's annotations marked iscrowd are.
    """

    root: Path
    scratch: Path
    notes: Notes = field(default_factory=Notes)
    crowds: Crowds = "ignore"

    @cached_property
    def files(self) -> list[Path]:
        """All files below it but hidden ones, sorted."""
        return sorted(_below(self.root))

    def ending(self, *ends: str) -> list[Path]:
        """The files whose names end so, in lower case."""
        return [file for file in self.files if file.name.lower().endswith(ends)]

    def jsons(self, kind: str) -> list[Path]:
        """The jsons that a tool wrote, by its name in ``other_layouts``."""
        return [file for file in self.ending(".json") if kind_of_json(file) == kind]

    @cached_property
    def images(self) -> list[Path]:
        """The files that are named as images."""
        return self.ending(*SUFFIXES)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found = defaultdict(list)
        for file in self.images:
            found[loosely(file.name)].append(file)
        return found

    def image(self, name: Any, told: Path) -> Path:
        """The image file that another file names, wherever below the root it lies.

        Of several of one name the one whose folders are as named, or that lies beside.

        Raises:
            UserError: there is none, or it cannot be told from others.
        """
        if not isinstance(name, str) or not Path(file_in_json(name)).name:
            raise UserError(f"{told} has an annotation that names no image; correct it")
        parts = file_in_json(name).split("/")
        found = self._by_name.get(loosely(parts[-1]), [])
        found = found or self._by_name.get(loosely(_PREFIX.sub("", parts[-1], count=1)), [])
        if not found:
            raise UserError(
                f"{told} names the image {name[:200]}, which is not below {self.root}; put it "
                "there, or delete it in the tool"
            )
        best = _best(found, parts, told)
        if len(best) > 1:
            raise UserError(
                f"{told} names the image {name[:200]}, which may be {best[0]} or {best[1]}; "
                "rename one of them there and in the file"
            )
        return best[0]

    @cached_property
    def _by_place(self) -> dict[str, Path]:
        return {os.path.normpath(file): file for file in self.images}

    def at(self, name: Any, told: Path) -> Path | None:
        """The image at a path relative to the file that names it, if there is one."""
        inside = file_in_json(name) if isinstance(name, str) else ""
        return self._by_place.get(os.path.normpath(told.parent / inside))

    @cached_property
    def _by_stem(self) -> dict[Path, Path]:
        return {file.with_suffix(""): file for file in reversed(self.images)}

    def beside(self, file: Path, name: str) -> Path | None:
        """The image of that stem in the folder of a file, if there is one."""
        return self._by_stem.get(file.parent / name)

    def size(self, image: Path, told: Path, height: Any = None, width: Any = None) -> Any:
        """Height and width of an image.

        Raises:
            UserError: it cannot be read, or ``told`` says another size.
        """
        size = image_size(image)
        stated = (height, width)
        if None not in stated and stated != size:
            if not all(isinstance(side, int | float) for side in stated):
                raise UserError(f"{told} gives no size of {image} in numbers; correct it")
            raise UserError(unequal(image, size, told, (round(height), round(width))))
        return size

    def split(self, *files: Path, said: Any = None) -> Split:
        """What is said, or the split that a folder above one of the files is called by; else train.

        Of a json or xml a word of its name says it, too.
        """
        words = [said] if isinstance(said, str) else []
        for file in files:
            inside = file.is_relative_to(self.root)
            folders = file.relative_to(self.root).parts[:-1] if inside else ()
            words += _WORDS.split(file.stem) if file.suffix in (".json", ".xml") else []
            words += reversed(folders)
        return next(filter(None, map(split_of, words)), "train")

    def name(self, image: Path) -> str:
        """An image's path below the root, without its suffix."""
        inside = image.is_relative_to(self.root)
        path = image.relative_to(self.root) if inside else Path(image.name)
        return path.with_suffix("").as_posix()


def _best(found: list[Path], parts: list[str], told: Path) -> list[Path]:
    def likeness(file: Path) -> tuple[int, bool]:
        there = [composed(part) for part in file.parts[::-1]]
        same = 1
        while same < min(len(parts), len(there)) and there[same] == parts[-1 - same]:
            same += 1
        return same, file.parent == told.parent

    best = max(map(likeness, found))
    return [file for file in found if likeness(file) == best]


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (Path(place, name) for name in files if not is_hidden(name))


def read_text(file: Path) -> str:
    """A text without the mark that Windows' editors put before it.

    Raises:
        UserError: it is UTF-16.
    """
    content = file.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{file} is a text in UTF-16; save it in UTF-8")
    return content.decode("utf-8-sig", errors="replace")
