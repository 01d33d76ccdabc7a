"""What near.py does, as kernels of Triton: for cards.

Operations of torch write down tens of millions of candidates a dozen times over; here a candidate
stays in registers, and only pairs within reach are ever written. Triton comes with torch for CUDA.
Sums over positions are added up in the order in which threads come, so that last bits change from
run to run: torch's deterministic mode has near.py instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spatialembed.terms.near import LIMIT, SPAN
from spatialembed.terms.reach import TILE, Cells, Margins, Tiles

__all__ = ["CANDIDATES", "SPAN", "cell_keys", "find_near", "logit_keys", "pull_near", "weigh"]

CANDIDATES = 1 << 26
"""Pairs looked at together, a bound on memory: some 60 bytes for each within reach."""

ROWS = 32
"""Tiles that one program looks at."""

PAIRS = 1024
"""Pairs that one program weighs."""


class Near(NamedTuple):
    """Pairs within reach, in the order of their tiles."""

    distance: Float[Tensor, " pairs"]
    """Scaled distance of each."""
    tile_counts: Int[Tensor, " tiles"]
    """Pairs of each tile."""
    bits: Int[Tensor, " tiles"]
    """A bit for each place of a tile, whether it is within reach; int32."""
    before: Int[Tensor, " tiles"]
    """Pairs of the tiles before."""


def cell_keys(
    position: Float[Tensor, "D B*P"],
    valid: Bool[Tensor, " B*P"],
    low: Float[Tensor, "D 1"],
    density: Float[Tensor, "D 1"],
    side: int,
    images: int,
) -> Int[Tensor, " B*P"]:
    """As :func:`spatialembed.terms.near.cell_keys`."""
    dims, pixels = position.shape
    dtype = torch.int32 if images * side**dims < 2**31 else torch.int64
    keys = torch.empty(pixels, dtype=dtype, device=position.device)
    _cell_keys[(triton.cdiv(pixels, PAIRS),)](
        position.contiguous(), valid.view(torch.uint8), low, density, keys,
        side=side, images=images, pixels=pixels, D=dims, PAIRS=PAIRS,
    )  # fmt: skip
    return keys


def find_near(cells: Cells, tiles: Tiles, margins: Margins) -> Near:
    """As :func:`spatialembed.terms.near.find_near`."""
    number, dims = len(tiles.object), cells.position.shape[1]
    bits = torch.empty(number, dtype=torch.int32, device=tiles.object.device)
    counts = torch.empty_like(bits)
    given = (cells.position, margins.center, margins.width, tiles.object, tiles.block)
    size = {"objects": len(margins.cutoff), "tiles": number, "D": dims, "TILE": TILE, "ROWS": ROWS}
    grid = (triton.cdiv(number, ROWS),)
    if number:
        _mark[grid](
            *given, cells.owner, margins.cutoff, tiles.first, tiles.end, bits, counts, **size
        )
    behind = counts.cumsum(0)
    pairs = int(behind[-1]) if number else 0
    distance, before = cells.position.new_empty(pairs), behind - counts
    if number:
        _write[grid](*given, bits, before, distance, **size)
    return Near(distance, counts, bits, before)


def pull_near(
    near: Near, slope: Tensor, cells: Cells, tiles: Tiles, margins: Margins, gradient: Tensor
) -> Float[Tensor, "2*D tiles"]:
    """As :func:`spatialembed.terms.near.pull_near`."""
    number, dims = len(tiles.object), cells.position.shape[1]
    sums = slope.new_empty(2 * dims, number)
    if number:
        _pull[(triton.cdiv(number, ROWS),)](
            cells.position, margins.center, margins.width, tiles.object, tiles.block,
            near.bits, near.before, slope, gradient, sums,
            objects=len(margins.cutoff), tiles=number, D=dims, TILE=TILE, ROWS=ROWS,
        )  # fmt: skip
    return sums


def logit_keys(
    distance: Float[Tensor, " pairs"],
    own: int,
    segment: Int[Tensor, " pairs"],
    middle: Int[Tensor, " objects"],
    unit: int,
) -> Int[Tensor, " pairs"]:
    """As :func:`spatialembed.terms.near.logit_keys`."""
    keys = torch.empty_like(segment, dtype=middle.dtype)
    _logit_keys[(triton.cdiv(len(keys), PAIRS),)](
        distance, segment, middle, keys, float(unit),
        own=own, pairs=len(keys), LIMIT=LIMIT, PAIRS=PAIRS,
    )  # fmt: skip
    return keys


def weigh(
    order: Int[Tensor, " pairs"],
    distance: Float[Tensor, " pairs"],
    own: int,
    pairs: Int[Tensor, " segments"],
    positives: Int[Tensor, " segments"],
    share: Float[Tensor, " segments"],
) -> tuple[Tensor, Float[Tensor, " pairs"]]:
    """As :func:`spatialembed.terms.near.weigh`."""
    wrong_inside = (order < own).cumsum(0, dtype=torch.int32)
    segment = torch.repeat_interleave(pairs.int(), output_size=len(order))
    inside = positives.cumsum(0)
    lead = inside - pairs.cumsum(0) + pairs
    slope = torch.empty_like(distance)
    programs = triton.cdiv(len(order), PAIRS)
    parts = share.new_empty(programs)
    _weigh[(programs,)](
        order, distance, wrong_inside, segment, inside.int(), lead.int(), share.float(),
        slope, parts, own=own, pairs=len(order), PAIRS=PAIRS,
    )  # fmt: skip
    return parts.sum(), slope


def _compiled(function: Any) -> Any:
    # Sizes change from batch to batch: one that divides by 16 is no reason to compile again.
    return triton.jit(
        do_not_specialize=["objects", "tiles", "own", "pairs", "side", "images", "pixels"]
    )(function)


@triton.jit  # type: ignore[untyped-decorator]
def _difference(  # type: ignore[no-untyped-def]
    position, center, k, block, live, d, objects, D: tl.constexpr, TILE: tl.constexpr
):
    """e − C along one axis at each place of some tiles."""
    place = tl.arange(0, TILE)
    at = position + (block * D + d)[:, None] * TILE + place[None, :]
    middle = tl.load(center + d * objects + k, mask=live, other=0.0)
    return tl.load(at, mask=live[:, None], other=0.0) - middle[:, None]


@_compiled
def _cell_keys(  # type: ignore[no-untyped-def]
    position, valid, low, density, keys,
    side, images, pixels, D: tl.constexpr, PAIRS: tl.constexpr,
):  # fmt: skip
    """The cell of each pixel."""
    pixel = tl.program_id(0).to(tl.int64) * PAIRS + tl.arange(0, PAIRS)
    live = pixel < pixels
    within = tl.load(valid + pixel, mask=live, other=0) != 0
    cell = tl.zeros((PAIRS,), tl.int64)
    cells = tl.zeros((1,), tl.int64) + 1
    for d in tl.static_range(D):
        at = tl.load(position + d * pixels.to(tl.int64) + pixel, mask=live, other=0.0)
        place = (at - tl.load(low + d)) * tl.load(density + d)
        within = within & (place >= 0) & (place < side)
        cell += tl.where(within, place, 0.0).to(tl.int64) * cells
        cells = cells * side
    cell += pixel // (pixels // images) * cells
    tl.store(keys + pixel, tl.where(within, cell, images * cells), mask=live)


@_compiled
def _mark(  # type: ignore[no-untyped-def]
    position, center, width, object_of, block_of, owner, cutoff, first, end, bits, counts,
    objects, tiles, D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Bits and number of the places of each tile that are within reach."""
    tile = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    live = tile < tiles
    k = tl.load(object_of + tile, mask=live, other=0)
    block = tl.load(block_of + tile, mask=live, other=0)
    distance = tl.zeros((ROWS, TILE), tl.float32)
    for d in tl.static_range(D):
        far = _difference(position, center, k, block, live, d, objects, D, TILE)
        s = tl.load(width + d * objects + k, mask=live, other=0.0)
        distance += s[:, None] * (far * far)
    place = tl.arange(0, TILE)[None, :]
    near = distance < tl.load(cutoff + k, mask=live, other=0.0)[:, None]
    near = near & (place >= tl.load(first + tile, mask=live, other=0)[:, None])
    near = near & (place < tl.load(end + tile, mask=live, other=0)[:, None])
    whose = tl.load(owner + block[:, None] * TILE + place, mask=live[:, None], other=0)
    near = (near & (whose != k[:, None])).to(tl.int32)
    tl.store(bits + tile, tl.sum(near << place, axis=1), mask=live)
    tl.store(counts + tile, tl.sum(near, axis=1), mask=live)


@triton.jit  # type: ignore[untyped-decorator]
def _pairs_of(bits, before, tile, live, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """Which places of some tiles are within reach, and each one's number among all pairs."""
    place = tl.arange(0, TILE)[None, :]
    near = (tl.load(bits + tile, mask=live, other=0)[:, None] >> place) & 1
    rank = tl.cumsum(near, axis=1) - near
    return near > 0, tl.load(before + tile, mask=live, other=0)[:, None] + rank


@_compiled
def _write(  # type: ignore[no-untyped-def]
    position, center, width, object_of, block_of, bits, before, distances,
    objects, tiles, D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The scaled distance of each pair."""
    tile = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    live = tile < tiles
    k = tl.load(object_of + tile, mask=live, other=0)
    block = tl.load(block_of + tile, mask=live, other=0)
    distance = tl.zeros((ROWS, TILE), tl.float32)
    for d in tl.static_range(D):
        far = _difference(position, center, k, block, live, d, objects, D, TILE)
        s = tl.load(width + d * objects + k, mask=live, other=0.0)
        distance += s[:, None] * (far * far)
    near, pair = _pairs_of(bits, before, tile, live, TILE)
    tl.store(distances + pair, distance, mask=near)


@_compiled
def _pull(  # type: ignore[no-untyped-def]
    position, center, width, object_of, block_of, bits, before, slopes, gradient, sums,
    objects, tiles, D: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The gradient of positions, and the sums of each tile."""
    tile = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    live = tile < tiles
    k = tl.load(object_of + tile, mask=live, other=0)
    block = tl.load(block_of + tile, mask=live, other=0)
    near, pair = _pairs_of(bits, before, tile, live, TILE)
    slope = tl.load(slopes + pair, mask=near, other=0.0)
    place = tl.arange(0, TILE)
    for d in tl.static_range(D):
        far = _difference(position, center, k, block, live, d, objects, D, TILE)
        pull = slope * far
        tl.store(sums + d * tiles + tile, tl.sum(pull, axis=1), mask=live)
        tl.store(sums + (D + d) * tiles + tile, tl.sum(pull * far, axis=1), mask=live)
        s = tl.load(width + d * objects + k, mask=live, other=0.0)
        at = gradient + (block * D + d)[:, None] * TILE + place[None, :]
        tl.atomic_add(at, 2 * s[:, None] * pull, mask=near, sem="relaxed")


@triton.jit
def _one_minus_phi(x):  # type: ignore[no-untyped-def]
    """By its series where 1 − exp(−x) would cancel."""
    series = x * (1 - x * (0.5 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120)))))
    return tl.where(x < 0.1, series, 1 - tl.exp(-x))


@_compiled
def _logit_keys(  # type: ignore[no-untyped-def]
    distance, segment, middle, keys, unit,
    own, pairs, LIMIT: tl.constexpr, PAIRS: tl.constexpr,
):  # fmt: skip
    """The key of each pair; log(expm1(x)) is x + log(1 − φ)."""
    pair = tl.program_id(0).to(tl.int64) * PAIRS + tl.arange(0, PAIRS)
    live = pair < pairs
    x = tl.load(distance + pair, mask=live, other=1.0)
    logit = x + tl.log(tl.maximum(_one_minus_phi(x), 1e-30))
    logit = tl.minimum(tl.maximum(tl.where(x == x, logit, 0.0), -LIMIT), LIMIT)
    logit = tl.where(pair < own, -logit, logit)
    k = tl.load(segment + pair, mask=live, other=0)
    at = tl.load(middle + k, mask=live, other=0) + (logit * unit).to(tl.int32)
    tl.store(keys + pair, at, mask=live)


@_compiled
def _weigh(  # type: ignore[no-untyped-def]
    order, distance, wrong_inside, segment, inside, lead, share, slope, parts,
    own, pairs, PAIRS: tl.constexpr,
):  # fmt: skip
    """The closed forms of lovasz.py, pair by pair in their order; see its ``iou_loss_steps``."""
    rank = tl.program_id(0).to(tl.int64) * PAIRS + tl.arange(0, PAIRS)
    live = rank < pairs
    pair = tl.load(order + rank, mask=live, other=0)
    k = tl.load(segment + rank, mask=live, other=0)
    before = tl.load(wrong_inside + rank, mask=live, other=0)
    x = tl.load(distance + pair, mask=live, other=0.0)
    union = (tl.load(lead + k, mask=live, other=0) + rank + 1 - before).to(tl.float32)
    intersection = (tl.load(inside + k, mask=live, other=0) - before).to(tl.float32)
    is_in = pair < own
    rest = tl.where(is_in, 1.0, intersection / tl.maximum(union - 1, 1.0))
    weight = 2 * rest / union * tl.load(share + k, mask=live, other=0.0)
    phi = tl.exp(-x)
    error = tl.where(is_in, _one_minus_phi(x), phi)
    tl.store(slope + pair, tl.where(is_in, weight, -weight) * phi, mask=live)
    value = tl.where(live, (weight * error).to(tl.float64), 0.0)
    tl.store(parts + tl.program_id(0), tl.sum(value, axis=0))
