"""Pixels by cell, and the tiles of them that each object reaches, as in terms/reach.py."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spatialembed.terms.card.compiling import BLOCK, ROWS, compiled
from spatialembed.terms.card.objects import Objects, Reach
from spatialembed.terms.reach import TILE, cells_along


class Cells(NamedTuple):
    """The pixels of a batch in the order of their cells, as in ``reach.Cells``."""

    pixel: Int[Tensor, " B*P"]
    position: Float[Tensor, "blocks D TILE"]
    owner: Int[Tensor, "blocks TILE"]
    gradient: Float[Tensor, "blocks D TILE"]
    """In the positions, of zeros at first."""
    tile_counts: Int[Tensor, " objects"]
    """Tiles of each object; int32."""
    behind: Int[Tensor, " objects"]
    """Tiles of the objects up to and with each; int64."""
    grid: tuple[Tensor, Tensor, int]
    """Corner and cells per unit of coordinate; first place of each cell; cells along each axis."""


class Chunk(NamedTuple):
    """The tiles of some objects one after the other."""

    first_object: int
    objects: int
    first_own: int
    own: int
    """Where the objects' own pixels begin, and how many they are."""
    first_tile: int
    """Tiles of the objects before."""
    tiles: Int[Tensor, "4 tiles"]
    """Object, block of places, and first and last of those in reach, as in ``reach.Tiles``."""


def sort_into_cells(
    position: Float[Tensor, "D B*P"],
    valid: Bool[Tensor, " B*P"],
    objects: Objects,
    margins: Reach,
    images: int,
) -> Cells:
    """Bin all pixels, and count the tiles of each object."""
    dims, number = position.shape
    many, side = len(objects.image), cells_along(number // images, dims)
    lowest, highest = position.aminmax(dim=1)
    grid = position.new_empty(2, dims)
    _bounds[(1,)](
        margins.center, margins.far, lowest, highest, grid, objects=many, side=side,
        D=dims, BLOCK=BLOCK,
    )  # fmt: skip
    none = images * side**dims
    key = torch.empty(number, dtype=torch.int32, device=position.device)
    _cell_keys[(triton.cdiv(number, BLOCK),)](
        position, valid.view(torch.uint8), grid, key, side=side, images=images,
        pixels=number // images, number=number, D=dims, BLOCK=BLOCK,
    )  # fmt: skip
    key, pixel = key.sort()
    start = torch.searchsorted(
        key, torch.arange(none + 1, dtype=torch.int32, device=key.device), out_int32=True
    )
    blocks = triton.cdiv(number, TILE)
    at, gradient = position.new_empty(2, blocks, dims, TILE).unbind()
    owner = key.new_empty(blocks, TILE)
    _in_cells[(triton.cdiv(blocks * TILE, BLOCK),)](
        position, objects.object_of, pixel, key, at, gradient, owner, cells=none, number=number,
        places=blocks * TILE, D=dims, TILE=TILE, BLOCK=BLOCK,
    )  # fmt: skip
    counts = key.new_empty(many)
    _count_tiles[(many,)](
        margins.center, margins.width, margins.cutoff, margins.far, objects.image, grid, start,
        counts, side=side, objects=many, D=dims, TILE=TILE, ROWS=ROWS,
    )  # fmt: skip
    return Cells(pixel, at, owner, gradient, counts, counts.cumsum(0), (grid, start, side))


def chunks_in_reach(
    cells: Cells, objects: Objects, margins: Reach, candidates: int
) -> Iterator[Chunk]:
    """All that objects reach, some objects at a time; waits for the card once or twice.

    Args:
        cells, objects, margins: all there are.
        candidates: pairs to look at, about, at a time.
    """
    dims, many = margins.center.shape
    ends = np.pad(cells.behind.cpu().numpy(), (1, 0))
    group = np.maximum(ends[1:] - 1, 0) * TILE // candidates
    borders = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), many]
    own = [0, len(objects.pixel)] if len(borders) == 2 else objects.start[borders].tolist()
    grid, start, side = cells.grid
    for (a, b), (first_own, last_own) in zip(pairwise(borders), pairwise(own), strict=True):
        first_tile, tiles = int(ends[a]), int(ends[b] - ends[a])
        found = cells.owner.new_zeros(4, tiles)  # of nothing, where two kernels round differently
        if tiles:
            _write_tiles[(b - a,)](
                margins.center, margins.width, margins.cutoff, margins.far, objects.image, grid,
                start, cells.tile_counts, cells.behind, found, first_object=a,
                first_tile=first_tile, tiles=tiles, side=side, objects=many, D=dims, TILE=TILE,
                ROWS=ROWS,
            )  # fmt: skip
        yield Chunk(a, b - a, first_own, last_own - first_own, first_tile, found)


@compiled
def _bounds(  # type: ignore[no-untyped-def]
    center, far, lowest, highest, grid, objects, side, D: tl.constexpr, BLOCK: tl.constexpr
):
    """Corner and density of the grid over all that objects reach, no further than pixels."""
    for d in tl.static_range(D):
        low = tl.full((BLOCK,), float("inf"), tl.float32)
        high = tl.full((BLOCK,), float("-inf"), tl.float32)
        i = 0
        while i < objects:
            k = i + tl.arange(0, BLOCK)
            usable = k < objects
            for axis in tl.static_range(D):
                reach = tl.load(far + axis * objects + k, mask=k < objects, other=0.0)
                usable = usable & (reach < float("inf"))
            middle = tl.load(center + d * objects + k, mask=k < objects, other=0.0)
            reach = tl.load(far + d * objects + k, mask=k < objects, other=0.0)
            low = tl.where(usable & (middle - reach < low), middle - reach, low)
            high = tl.where(usable & (middle + reach > high), middle + reach, high)
            i += BLOCK
        corner = tl.min(low, axis=0)
        end = tl.max(high, axis=0)
        first = tl.load(lowest + d)  # no limit if no number, as below
        last = tl.load(highest + d)
        corner = tl.where(first > corner, first, corner)
        end = tl.where(last < end, last, end)
        extent = (end - corner) * (1 + 1e-4)
        tl.store(grid + d, corner)
        tl.store(grid + D + d, side / tl.where(extent > 1e-9, extent, 1e-9))


@compiled
def _cell_keys(  # type: ignore[no-untyped-def]
    position, valid, grid, keys,
    side, images, pixels, number, D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The cell of each pixel, image by image; that behind the last for none."""
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = pixel < number
    inside = tl.load(valid + pixel, mask=live, other=0) != 0
    cell = tl.zeros((BLOCK,), tl.int64)
    cells = tl.zeros((1,), tl.int64) + 1
    for d in tl.static_range(D):
        at = tl.load(position + d * number.to(tl.int64) + pixel, mask=live, other=0.0)
        place = (at - tl.load(grid + d)) * tl.load(grid + D + d)
        inside = inside & (place >= 0) & (place < side)
        cell += tl.where(inside, place, 0.0).to(tl.int64) * cells
        cells = cells * side
    cell += pixel // pixels * cells
    tl.store(keys + pixel, tl.where(inside, cell, images * cells).to(tl.int32), mask=live)


@compiled
def _in_cells(  # type: ignore[no-untyped-def]
    position, object_of, pixel, keys, cells_at, gradient, owner, cells, number, places,
    D: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """What is at each place of the order of cells; nothing at those that no object reaches."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < number
    p = tl.load(pixel + at, mask=live, other=0)
    # Others share tiles, where 0 times NaN would be NaN.
    reached = live & (tl.load(keys + at, mask=live, other=0) < cells)
    for d in tl.static_range(D):
        e = tl.load(position + d * number.to(tl.int64) + p, mask=reached, other=0.0)
        to = (at // TILE * D + d) * TILE + at % TILE
        tl.store(cells_at + to, e, mask=at < places)
        tl.store(gradient + to, tl.zeros((BLOCK,), tl.float32), mask=at < places)
    tl.store(owner + at, tl.load(object_of + p, mask=live, other=-1), mask=at < places)


@triton.jit
def _cell(x, grid, d, side, D: tl.constexpr):  # type: ignore[no-untyped-def]
    """Cell along an axis, the first or last one beyond the grid; never decreasing."""
    place = (x - tl.load(grid + d)) * tl.load(grid + D + d)
    return tl.minimum(tl.maximum(place, 0.0), (side - 1).to(tl.float32)).to(tl.int32)


@triton.jit
def _rows(k, center, far, grid, side, objects, D: tl.constexpr):  # type: ignore[no-untyped-def]
    """Rows of cells in an object's block; none if it reaches nothing."""
    rows = k * 0 + 1
    for d in tl.static_range(D):
        c = tl.load(center + d * objects + k)
        f = tl.load(far + d * objects + k)
        usable = f < float("inf")
        if d > 0:
            c = tl.where(usable, c, 0.0)
            f = tl.where(usable, f, 0.0)
            rows *= _cell(c + f, grid, d, side, D) - _cell(c - f, grid, d, side, D) + 1
        rows *= usable.to(tl.int32)
    return rows


@triton.jit
def _runs(  # type: ignore[no-untyped-def]
    k, row, rows, center, width, cutoff, far, image, grid, start, side, objects,
    D: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """First place of some rows of cells that an object reaches, the one behind the last, tiles."""
    # The other axes take their part of the reach; along x what is left, as in terms/reach.py.
    left = (row * 0).to(tl.float32) + tl.load(cutoff + k) * (1 + 1e-3)
    at = tl.zeros_like(row).to(tl.int64)
    stride = side.to(tl.int64)
    rest = row
    for d in tl.static_range(1, D):
        c = tl.load(center + d * objects + k)
        f = tl.load(far + d * objects + k)
        low = _cell(c - f, grid, d, side, D)
        size = _cell(c + f, grid, d, side, D) - low + 1
        cell = low + rest % size
        rest = rest // size
        at += cell * stride
        stride = stride * side
        density = tl.load(grid + D + d)
        middle = tl.load(grid + d) + (cell + 0.5) / density
        gap = tl.abs(c - middle) - 0.51 / density - tl.abs(c) * 1e-6
        gap = tl.where(gap > 0, gap, 0.0)
        left -= tl.load(width + d * objects + k) * (gap * gap)
    at += tl.load(image + k) * stride
    c = tl.load(center + k)
    reach = tl.sqrt(tl.where(left > 0, left, 0.0) / tl.load(width + k))
    reach = reach * (1 + 1e-3) + tl.abs(c) * 1e-6
    live = (row < rows) & (left > 0)
    first = tl.load(start + at + _cell(c - reach, grid, 0, side, D), mask=live, other=0)
    end = tl.load(start + at + _cell(c + reach, grid, 0, side, D) + 1, mask=live, other=0)
    return first, end, tl.where(end > first, (end - 1) // TILE - first // TILE + 1, 0)


@compiled
def _count_tiles(  # type: ignore[no-untyped-def]
    center, width, cutoff, far, image, grid, start, counts,
    side, objects, D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Tiles of an object."""
    k = tl.program_id(0)
    rows = _rows(k, center, far, grid, side, objects, D)
    total = tl.zeros((ROWS,), tl.int32)
    i = 0
    while i < rows:
        row = i + tl.arange(0, ROWS)
        _, _, tiles = _runs(
            k, row, rows, center, width, cutoff, far, image, grid, start, side, objects, D, TILE
        )
        total += tiles
        i += ROWS
    tl.store(counts + k, tl.sum(total, axis=0))


@compiled
def _write_tiles(  # type: ignore[no-untyped-def]
    center, width, cutoff, far, image, grid, start, counts, behind, found,
    first_object, first_tile, tiles, side, objects,
    D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The tiles of an object, row by row; no more than were counted."""
    k = tl.program_id(0) + first_object
    rows = _rows(k, center, far, grid, side, objects, D)
    last = tl.load(behind + k) - first_tile
    base = last - tl.load(counts + k)
    i = 0
    while i < rows:
        row = i + tl.arange(0, ROWS)
        first, end, many = _runs(
            k, row, rows, center, width, cutoff, far, image, grid, start, side, objects, D, TILE
        )
        to = base + tl.cumsum(many, axis=0) - many
        most = tl.max(many, axis=0)
        j = 0
        while j < most:
            nth = j + tl.arange(0, ROWS)
            live = (nth[None, :] < many[:, None]) & (to[:, None] + nth[None, :] < last)
            block = (first // TILE)[:, None] + nth[None, :]
            there = found + to[:, None] + nth[None, :]
            tl.store(there, block * 0 + k, mask=live)
            tl.store(there + tiles, block, mask=live)
            tl.store(there + 2 * tiles, first[:, None] - block * TILE, mask=live)
            tl.store(there + 3 * tiles, end[:, None] - block * TILE, mask=live)
            j += ROWS
        base += tl.sum(many, axis=0)
        i += ROWS
