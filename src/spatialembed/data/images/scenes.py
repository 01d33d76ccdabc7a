"""What a microscope's file holds: its scenes, each an array that is read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Place: TypeAlias = tuple[slice | int, ...]
"""Of an array, a slice without a step or a number an axis."""


@dataclass(frozen=True, eq=False)
class Stored:
    """An array in a file, which is open only while a part is read.

    Attributes:
        shape, dtype: of the array.
        chunks: how many along each axis are stored together, one number an axis.
        read: gives a part.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Place], np.ndarray]

    def __getitem__(self, place: Place) -> np.ndarray:
        return self.read(place)


class Scene(NamedTuple):
    """One image of a file, a stack or time-lapse perhaps.

    Attributes:
        name: that the file gives it; may be empty.
        axes: a letter for each of the array's: t, z, c, y, x, s for the samples red, green and
            blue, in this order, others for what else a file knows.
        array: its values.
        steps: micrometres to the next along z, y and x, those that the file states.
        number: by which the file calls it; None for its place among them.
        wrong: a sentence that says why it cannot be read; empty where it can.
        remark: gives a sentence without its subject, what to know before it is believed, or none.
    """

    name: str
    axes: str
    array: Stored
    steps: Mapping[str, float]
    number: int | None = None
    wrong: str = ""
    remark: Callable[[], str] = lambda: ""

    def length(self, axis: str) -> int:
        """How long it is along an axis; 1 along one that it has not."""
        return dict(zip(self.axes, self.array.shape, strict=True)).get(axis, 1)
