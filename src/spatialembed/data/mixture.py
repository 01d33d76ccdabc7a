"""Several data sets as one, such as kinds of image that one model is to know."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.data_set import FileDataSet, Problem
from spatialembed.data.large_sample import LargeSample
from spatialembed.data.sample import Sample, Truth
from spatialembed.data.sample_files import Items
from spatialembed.errors import UserError


@dataclass(frozen=True, eq=False)
class Mixture(FileDataSet):
    """The samples of several sets, one set after the other; names begin with their set's.

    Attributes:
        sets: of one split, and of the same classes.
    """

    sets: tuple[FileDataSet, ...] = ()

    @cached_property
    def firsts(self) -> list[int]:
        """Number of the first sample of each set, and at last how many samples there are."""
        return list(accumulate(map(len, self.sets), initial=0))

    @property
    def dims(self) -> int:
        return self.sets[0].dims if self.sets else 2

    @property
    def reading(self) -> str:
        return " ".join(data.reading for data in self.sets)

    def remarks(self) -> list[Problem]:
        return [remark for data in self.sets for remark in data.remarks()]

    def _pick(self, numbers: Sequence[int]) -> Self:
        kept = [data._pick([]) for data in self.sets]
        for k, data in enumerate(self.sets):
            kept[k] = data._pick([at for of, at in map(self._place, numbers) if of == k])
        return replace(self, items=self.items.pick(numbers), sets=tuple(kept))

    def _place(self, i: int) -> tuple[int, int]:
        of = bisect(self.firsts, i) - 1
        return of, i - self.firsts[of]

    def files(self, i: int) -> tuple[Path, ...]:
        of, at = self._place(i)
        return self.sets[of].files(at)

    def truth(self, i: int) -> Truth:
        of, at = self._place(i)
        return self.sets[of].truth(at)

    def large(self, i: int) -> LargeSample | None:
        of, at = self._place(i)
        large = self.sets[of].large(at)
        return large and replace(large, name=self.items[i].name)

    def __getitem__(self, i: int) -> Sample:
        of, at = self._place(i)
        return replace(self.sets[of][at], name=self.items[i].name)


def mixed(sets: Sequence[FileDataSet]) -> FileDataSet:
    """Several sets as one; a single one is returned as it is.

    Raises:
        UserError: sets of different classes.
    """
    first = sets[0]
    if len(sets) == 1:
        return first
    for data in sets:
        if data.dims != first.dims:
            raise UserError(
                f"one of {first.root} and {data.root} holds volumes, the other images; train on "
                "each by itself"
            )
        if data.class_names != first.class_names:
            raise UserError(
                f"{first.root} has the classes {', '.join(first.class_names)}, {data.root} has "
                f"{', '.join(data.class_names)}; sets that are trained on together have the same: "
                "name them by --classes"
            )
    items = [
        data.items[i]._replace(name=f"{name}-{data.names[i]}")
        for name, data in zip(set_names([one.root for one in sets]), sets, strict=True)
        for i in range(len(data))
    ]
    problems = tuple(problem for data in sets for problem in data.problems)
    files = Items.of(Path(), items)
    return Mixture(first.root, first.split, first.class_names, files, problems, tuple(sets))


def sets_of(data: FileDataSet) -> tuple[FileDataSet, ...]:
    """The sets that a mixture is made of; of another data set itself."""
    return data.sets if isinstance(data, Mixture) else (data,)


def set_numbers(data: FileDataSet) -> NDArray[np.int64]:
    """(n,) of every sample the number of its set."""
    sets = sets_of(data)
    return np.repeat(np.arange(len(sets)), [len(one) for one in sets])


def set_names(roots: Sequence[Path]) -> list[str]:
    """Of each set's folder its name, numbered where two have the same."""
    names = [root.resolve().name for root in roots]
    often = Counter(names)
    return [f"{name}-{k}" if often[name] > 1 else name for k, name in enumerate(names, 1)]


def own_names(names: Iterable[str], set_name: str) -> list[str]:
    """Of names in a mixture those of one of its sets, as the set has them."""
    start = f"{set_name}-"
    return [name.removeprefix(start) for name in names if name.startswith(start)]
