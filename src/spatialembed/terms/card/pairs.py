"""Pairs of an object and a pixel, in the order of their errors, and what they pass back.

As terms/near.py and hinges.py do it. There operations of torch write down tens of millions of
candidates a dozen times over; here a candidate stays in registers, and only pairs within reach are
ever written, with their keys.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from spatialembed.terms.card.cells import Cells, Chunk
from spatialembed.terms.card.compiling import BLOCK, ROWS, compiled
from spatialembed.terms.card.objects import Objects, Reach
from spatialembed.terms.card.order import Keys, key_of, weigh
from spatialembed.terms.near import LIMIT, SPAN
from spatialembed.terms.reach import TILE


class Back(NamedTuple):
    """What the hinges pass back, beside the gradient in ``Cells``."""

    slope: Float[Tensor, " own"]
    """Derivative in the scaled distance of each own pixel."""
    center: Float[Tensor, "D objects"]
    """Gradient, as the next."""
    width: Float[Tensor, "D objects"]


def hinges(
    position: Float[Tensor, "D B*P"],
    cells: Cells,
    chunk: Chunk,
    objects: Objects,
    margins: Reach,
    back: Back,
    few: int,
) -> Tensor:
    """Weighted sum of the hinges of some objects (float64); waits for the card once.

    Args:
        position: embeddings.
        cells: the pixels by cell; their gradient is added to.
        chunk: the objects and their tiles.
        objects, margins: all objects.
        back: is written for these objects.
        few: pairs that are sorted by exact errors, as ``hinges.FEW``.
    """
    dims, many = margins.center.shape
    tiles, own = chunk.tiles.shape[1], chunk.own
    # All that says which tiles, then which of their places are within reach: bits, pairs before.
    given = (cells.position, margins.center, margins.width, chunk.tiles)
    size = {"objects": many, "tiles": tiles, "D": dims, "TILE": TILE, "ROWS": ROWS}
    grid = (triton.cdiv(tiles, ROWS),)
    bits, counts = chunk.tiles.new_empty(2, tiles).unbind()
    if tiles:
        _mark[grid](*given, cells.owner, margins.cutoff, bits, counts, **size)
    behind = counts.cumsum(0)
    pairs = own + (int(behind[-1]) if tiles else 0)
    made = Keys.of(chunk.objects, pairs, few)
    keys = behind.new_empty(pairs, dtype=torch.int64 if made.exact else torch.int32)
    distance = position.new_empty(pairs)
    order = {
        "first_object": chunk.first_object, "unit": made.unit, "middle": made.middle,
        "LIMIT": LIMIT, "SPAN": SPAN, "EXACT": made.exact,
    }  # fmt: skip
    _own_keys[(triton.cdiv(own, BLOCK),)](
        margins.distance, objects.behind, distance, keys, chunk.first_own, own, **order,
        BLOCK=BLOCK,
    )  # fmt: skip
    if tiles:
        _write[grid](*given, bits, counts, behind, distance, keys, own=own, **order, **size)
    total, slope = weigh(keys, distance, behind, made, cells, chunk, objects, margins)
    sums = slope.new_empty(2 * dims, tiles)
    if tiles:
        _pull[grid](*given, bits, counts, behind, slope, cells.gradient, sums, own=own, **size)
    _sums[(chunk.objects, dims)](
        sums, cells.tile_counts, cells.behind, slope, position, objects.pixel, objects.start,
        margins.center, margins.width, *back, first_object=chunk.first_object,
        first_tile=chunk.first_tile, first_own=chunk.first_own, objects=many, tiles=tiles,
        number=position.shape[1], D=dims, BLOCK=BLOCK,
    )  # fmt: skip
    return total


@triton.jit
def _difference(  # type: ignore[no-untyped-def]
    position, center, k, block, live, d, objects, D: tl.constexpr, TILE: tl.constexpr
):
    """e − C along one axis at each place of some tiles."""
    place = tl.arange(0, TILE)
    at = position + (block * D + d)[:, None] * TILE + place[None, :]
    middle = tl.load(center + d * objects + k, mask=live, other=0.0)
    return tl.load(at, mask=live[:, None], other=0.0) - middle[:, None]


@triton.jit
def _distances(  # type: ignore[no-untyped-def]
    position, center, width, k, block, live, objects,
    D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Scaled distance of each place of some tiles."""
    distance = tl.zeros((ROWS, TILE), tl.float32)
    for d in tl.static_range(D):
        far = _difference(position, center, k, block, live, d, objects, D, TILE)
        s = tl.load(width + d * objects + k, mask=live, other=0.0)
        distance += s[:, None] * (far * far)
    return distance


@compiled
def _mark(  # type: ignore[no-untyped-def]
    position, center, width, found, owner, cutoff, bits, counts,
    objects, tiles, D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Bits and number of the places of each tile that are within reach."""
    tile = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    live = tile < tiles
    k = tl.load(found + tile, mask=live, other=0)
    block = tl.load(found + tiles + tile, mask=live, other=0).to(tl.int64)
    distance = _distances(position, center, width, k, block, live, objects, D, TILE, ROWS)
    place = tl.arange(0, TILE)[None, :]
    near = distance < tl.load(cutoff + k, mask=live, other=0.0)[:, None]
    near = near & (place >= tl.load(found + 2 * tiles + tile, mask=live, other=0)[:, None])
    near = near & (place < tl.load(found + 3 * tiles + tile, mask=live, other=0)[:, None])
    whose = tl.load(owner + block[:, None] * TILE + place, mask=live[:, None], other=0)
    near = (near & (whose != k[:, None])).to(tl.int32)
    tl.store(bits + tile, tl.sum(near << place, axis=1), mask=live)
    tl.store(counts + tile, tl.sum(near, axis=1), mask=live)


@triton.jit
def _pairs_of(bits, counts, behind, tile, live, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Which places of some tiles are within reach, and each one's number among all such pairs."""
    place = tl.arange(0, TILE)[None, :]
    near = (tl.load(bits + tile, mask=live, other=0)[:, None] >> place) & 1
    before = tl.load(behind + tile, mask=live, other=0) - tl.load(counts + tile, mask=live, other=0)
    return near > 0, before[:, None] + tl.cumsum(near, axis=1) - near


@compiled
def _own_keys(  # type: ignore[no-untyped-def]
    own_distance, behind, distance, keys, first_own, own, first_object, unit, middle,
    LIMIT: tl.constexpr, EXACT: tl.constexpr, SPAN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Distances and keys of own pixels."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < own
    x = tl.load(own_distance + first_own + at, mask=live, other=1.0)
    k = tl.load(behind + first_own + at, mask=live, other=1) - 1 - first_object
    tl.store(distance + at, x, mask=live)
    tl.store(keys + at, key_of(x, k, unit, middle, True, LIMIT, SPAN, EXACT), mask=live)


@compiled
def _write(  # type: ignore[no-untyped-def]
    position, center, width, found, bits, counts, behind, distances, keys,
    own, first_object, unit, middle, objects, tiles, LIMIT: tl.constexpr, EXACT: tl.constexpr,
    SPAN: tl.constexpr, D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Distances and keys of the pairs within reach."""
    tile = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    live = tile < tiles
    k = tl.load(found + tile, mask=live, other=0)
    block = tl.load(found + tiles + tile, mask=live, other=0).to(tl.int64)
    distance = _distances(position, center, width, k, block, live, objects, D, TILE, ROWS)
    near, pair = _pairs_of(bits, counts, behind, tile, live, TILE)
    tl.store(distances + own + pair, distance, mask=near)
    key = key_of(distance, (k - first_object)[:, None], unit, middle, False, LIMIT, SPAN, EXACT)
    tl.store(keys + own + pair, key, mask=near)


@compiled
def _pull(  # type: ignore[no-untyped-def]
    position, center, width, found, bits, counts, behind, slopes, gradient, sums,
    own, objects, tiles, D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The gradient of positions, and the sums of slope · (e − C), · (e − C)² of each tile."""
    tile = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    live = tile < tiles
    k = tl.load(found + tile, mask=live, other=0)
    block = tl.load(found + tiles + tile, mask=live, other=0).to(tl.int64)
    near, pair = _pairs_of(bits, counts, behind, tile, live, TILE)
    slope = tl.load(slopes + own + pair, mask=near, other=0.0)
    place = tl.arange(0, TILE)
    for d in tl.static_range(D):
        far = _difference(position, center, k, block, live, d, objects, D, TILE)
        pull = slope * far
        tl.store(sums + d * tiles + tile, tl.sum(pull, axis=1), mask=live)
        tl.store(sums + (D + d) * tiles + tile, tl.sum(pull * far, axis=1), mask=live)
        s = tl.load(width + d * objects + k, mask=live, other=0.0)
        at = gradient + (block * D + d)[:, None] * TILE + place[None, :]
        tl.atomic_add(at, 2 * s[:, None] * pull, mask=near, sem="relaxed")


@compiled
def _sums(  # type: ignore[no-untyped-def]
    sums, tile_counts, tile_behind, slopes, position, pixel, start, center, width,
    own_slope, in_center, in_width,
    first_object, first_tile, first_own, objects, tiles, number,
    D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient of an object in its center and width along one axis."""
    k = tl.program_id(0) + first_object
    d = tl.program_id(1)
    first = tl.zeros((BLOCK,), tl.float64)
    second = tl.zeros((BLOCK,), tl.float64)
    end = (tl.load(tile_behind + k) - first_tile).to(tl.int32)
    i = end - tl.load(tile_counts + k)
    while i < end:
        at = i + tl.arange(0, BLOCK)
        first += tl.load(sums + d * tiles + at, mask=at < end, other=0.0).to(tl.float64)
        second += tl.load(sums + (D + d) * tiles + at, mask=at < end, other=0.0).to(tl.float64)
        i += BLOCK
    middle = tl.load(center + d * objects + k)
    last = tl.load(start + k + 1)
    i = tl.load(start + k)
    while i < last:
        at = i + tl.arange(0, BLOCK)
        live = at < last
        slope = tl.load(slopes + at - first_own, mask=live, other=0.0)
        p = tl.load(pixel + at, mask=live, other=0)
        far = tl.load(position + d.to(tl.int64) * number + p, mask=live, other=0.0) - middle
        first += tl.where(live, slope * far, 0.0).to(tl.float64)
        second += tl.where(live, slope * far * far, 0.0).to(tl.float64)
        if d == 0:
            tl.store(own_slope + at, slope, mask=live)
        i += BLOCK
    s = tl.load(width + d * objects + k).to(tl.float64)
    tl.store(in_center + d * objects + k, (-2 * s * tl.sum(first, axis=0)).to(tl.float32))
    tl.store(in_width + d * objects + k, tl.sum(second, axis=0).to(tl.float32))
