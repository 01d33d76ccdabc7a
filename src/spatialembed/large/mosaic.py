"""How a large image is cut: each tile has a core of its own and sees an overlap around it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from spatialembed.inference.tiles import BYTES_PER_PIXEL, LARGEST, STEP, memory

Window = tuple[slice, slice]
"""Rows and columns of an image."""

LEVELS = 5
"""Times that labels are halved for viewers."""

HALVED = 2**LEVELS
"""The core is a multiple of this."""


@dataclass(frozen=True)
class Mosaic:
    """Tiles over an image, numbered row by row.

    Attributes:
        height, width: of the image in pixels.
        core: side of what a tile decides about; those at the right and lower border are smaller.
        overlap: pixels around the core that it sees, too; at most as many as the core has.

    Raises:
        ValueError: a core smaller than the overlap.
    """

    height: int
    width: int
    core: int
    overlap: int

    def __post_init__(self) -> None:
        if not self.core >= self.overlap >= 0:  # objects reach no further than the next tile
            raise ValueError(
                f"a core of {self.core} pixels is less than an overlap of {self.overlap}"
            )

    @property
    def columns(self) -> int:
        """Tiles side by side."""
        return math.ceil(self.width / self.core)

    def __len__(self) -> int:
        return math.ceil(self.height / self.core) * self.columns

    def core_of(self, tile: int) -> Window:
        """The part of the image that is the tile's own."""
        row, column = divmod(tile, self.columns)
        return (
            _side(row * self.core, self.core, self.height),
            _side(column * self.core, self.core, self.width),
        )

    def seen_by(self, tile: int) -> Window:
        """The part of the image that the tile sees."""
        rows, columns = self.core_of(tile)
        return _grown(rows, self.overlap, self.height), _grown(columns, self.overlap, self.width)

    def neighbours(self, tile: int) -> Iterator[int]:
        """Tiles that share a side or a corner with this one."""
        row, column = divmod(tile, self.columns)
        rows = len(self) // self.columns
        for y in range(max(0, row - 1), min(rows, row + 2)):
            for x in range(max(0, column - 1), min(self.columns, column + 2)):
                if (y, x) != (row, column):
                    yield y * self.columns + x


def plan(
    shape: tuple[int, int],
    workers: int,
    zoom: float = 1.0,
    largest: float | None = None,
    most: int = LARGEST,
) -> Mosaic:
    """Tiles as large as memory allows where so many workers share it.

    The network sees the image magnified by ``zoom``, and no more than ``most`` pixels a side; large
    objects are ``largest`` pixels across.
    """
    overlap = math.ceil(max(STEP / zoom, 1.5 * (largest or STEP)))
    seen = min(math.isqrt(memory() // 2 // BYTES_PER_PIXEL // max(1, workers)), most)
    core = int(seen / max(zoom, 0.5)) - 2 * overlap
    core = min(core, max(shape) + HALVED) // HALVED * HALVED
    least = -(-max(overlap, STEP) // HALVED) * HALVED
    return Mosaic(*shape, max(core, least), overlap)


def _side(start: int, length: int, end: int) -> slice:
    return slice(start, min(start + length, end))


def _grown(side: slice, by: int, end: int) -> slice:
    return slice(max(0, side.start - by), min(side.stop + by, end))
