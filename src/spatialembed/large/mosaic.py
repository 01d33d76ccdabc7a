"""How a large image or volume is cut: each tile has a core of its own and sees an overlap around
it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from spatialembed.inference import volume_tiles
from spatialembed.inference.tiles import BYTES_PER_PIXEL, LARGEST, STEP, memory
from spatialembed.inference.zoom import SQUARE

Window = tuple[slice, ...]
"""Rows and columns of an image, planes, rows and columns of a volume."""

LEVELS = 5
"""Times that labels are halved for viewers."""

HALVED: int = 2**LEVELS
"""The core is a multiple of this."""


@dataclass(frozen=True)
class Mosaic:
    """Tiles over an image or a volume, numbered row by row, plane by plane.

    Attributes:
        shape: of the image in pixels: height and width, or depth, height and width.
        core: sides of what a tile decides about; those at the far borders are smaller.
        overlap: pixels around the core that it sees, too, along each axis; at most as many as the
            core has.

    Raises:
        ValueError: a core smaller than the overlap.
    """

    shape: tuple[int, ...]
    core: tuple[int, ...]
    overlap: tuple[int, ...]

    def __post_init__(self) -> None:
        for core, overlap in zip(self.core, self.overlap, strict=True):
            if not core >= overlap >= 0:  # objects reach no further than the next tile
                raise ValueError(f"a core of {core} pixels is less than an overlap of {overlap}")

    @property
    def counts(self) -> tuple[int, ...]:
        """Tiles along each axis."""
        sides = zip(self.shape, self.core, strict=True)
        return tuple(math.ceil(length / core) for length, core in sides)

    def __len__(self) -> int:
        return math.prod(self.counts)

    def core_of(self, tile: int) -> Window:
        """The part of the image that is the tile's own."""
        sides = zip(self._place(tile), self.core, self.shape, strict=True)
        return tuple(slice(k * core, min((k + 1) * core, end)) for k, core, end in sides)

    def seen_by(self, tile: int) -> Window:
        """The part of the image that the tile sees."""
        sides = zip(self.core_of(tile), self.overlap, self.shape, strict=True)
        return tuple(
            slice(max(0, own.start - by), min(own.stop + by, end)) for own, by, end in sides
        )

    def neighbours(self, tile: int) -> Iterator[int]:
        """Tiles that share a side, an edge or a corner with this one."""
        sides = zip(self._place(tile), self.counts, strict=True)
        for place in product(*(range(max(0, k - 1), min(n, k + 2)) for k, n in sides)):
            other = int(np.ravel_multi_index(place, self.counts))
            if other != tile:
                yield other

    def _place(self, tile: int) -> tuple[int, ...]:
        return tuple(int(k) for k in np.unravel_index(tile, self.counts))


def plan(
    shape: tuple[int, ...],
    workers: int,
    zoom: float = 1.0,
    largest: float | None = None,
    most: int = LARGEST,
) -> Mosaic:
    """Tiles of an image as large as memory allows where so many workers share it.

    The network sees the image magnified by ``zoom``, and no more than ``most`` pixels a side; large
    objects are ``largest`` pixels across.
    """
    overlap = math.ceil(max(STEP / zoom, 1.5 * (largest or STEP)))
    seen = min(math.isqrt(memory() // 2 // BYTES_PER_PIXEL // max(1, workers)), most)
    core = int(seen / max(zoom, 0.5)) - 2 * overlap
    core = min(core, max(shape) + HALVED) // HALVED * HALVED
    core = max(core, _halved(max(overlap, STEP)))
    return Mosaic(shape, (core, core), (overlap, overlap))


def plan_volume(
    shape: tuple[int, ...],
    workers: int,
    zoom: float = 1.0,
    largest: float | None = None,
    flatness: float = 1.0,
    square: int = SQUARE,
) -> Mosaic:
    """Tiles of a volume that the network takes at once, of which it computes least in all.

    Args:
        shape: depth, height and width.
        workers: that share the memory.
        zoom: magnification of the planes, along which parts begin at a multiple of ``square``.
        largest: pixels in their plane that large objects are across.
        flatness: how many times as far planes lie apart as pixels.
    """
    halo, reach = volume_tiles.HALO, 1.5 * (largest or 0)
    # Along z parts begin where the network's squares do.
    deep = _halved(max(halo, reach / flatness))
    overlap = math.ceil(max((halo + square) / zoom, reach))
    held = memory() // 2 // volume_tiles.BYTES_PER_VOXEL // max(1, workers)
    voxels, least = min(held, volume_tiles.MOST), _halved(overlap)
    found: list[Mosaic] = []
    for planes in range(deep, max(deep, _halved(shape[0])) + 1, HALVED):
        seen = min(planes + 2 * deep, shape[0])
        side = int(math.isqrt(voxels // seen) / max(zoom, 0.5)) - 2 * overlap
        side = min(side, max(shape[1:]) + HALVED) // HALVED * HALVED
        if side >= least or not found:
            core = planes, *[max(side, least)] * 2
            found.append(Mosaic(shape, core, (deep, overlap, overlap)))
    return min(found, key=_seen)


def _halved(length: float) -> int:
    """So many pixels or more, as labels are halved."""
    return math.ceil(length / HALVED) * HALVED


def _seen(mosaic: Mosaic) -> int:
    """Pixels that all tiles see together."""
    sides = zip(mosaic.shape, mosaic.core, mosaic.overlap, strict=True)
    total = 1
    for length, core, by in sides:
        starts = range(0, length, core)
        total *= sum(min(start + core + by, length) - max(start - by, 0) for start in starts)
    return total
