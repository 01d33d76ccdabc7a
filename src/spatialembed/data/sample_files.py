"""The files of a data set's samples, kept small: those of a million samples take about 0.15 GB."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_BETWEEN = "\0"  # no name of a file has it, and it sorts before all else


class Item(NamedTuple):
    """The files of one sample."""

    name: str
    image: Path
    truth: Path
    ignore: Path | None = None
    """What is ignored, where a layout keeps that in files of its own."""


class Items:
    """Items of one data set: a line of text each, made into paths when one is asked for.

    Args:
        root: folder of the data set.
        rows: as :func:`row` makes them.
    """

    def __init__(self, root: Path, rows: Iterable[str]) -> None:
        self.root = root
        self._rows = list(rows)

    @classmethod
    def of(cls, root: Path, items: Iterable[Item]) -> Items:
        """Items whose paths are made already."""
        start = f"{root}{os.sep}"
        below = ((name, *(str(f).removeprefix(start) for f in fs if f)) for name, *fs in items)
        return cls(root, (row(*texts) for texts in below))

    @property
    def names(self) -> list[str]:
        return [row.partition(_BETWEEN)[0] for row in self._rows]

    def files(self) -> Iterator[list[str]]:
        """Of every item: its files as text, relative to ``root`` where they lie below it."""
        return (row.split(_BETWEEN)[1:] for row in self._rows)

    def pick(self, numbers: Iterable[int]) -> Items:
        """Some of the items."""
        return Items(self.root, (self._rows[number] for number in numbers))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Item]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, number: int) -> Item:
        name, *files = self._rows[number].split(_BETWEEN)
        return Item(name, *(self.root / file for file in files))


def row(name: str, *files: str) -> str:
    """One item as text: its name, image, truth and perhaps what is ignored."""
    return _BETWEEN.join((name, *files))
