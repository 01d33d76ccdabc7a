"""The order of pairs by their errors, and the hinges' weights, as terms/near.py has them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from spatialembed.terms import hinges
from spatialembed.terms.card.cells import Cells, Chunk
from spatialembed.terms.card.compiling import BLOCK, compiled
from spatialembed.terms.card.objects import Objects, Reach
from spatialembed.terms.near import SPAN


class Keys(NamedTuple):
    """What the keys of pairs are made of, see ``hinges._keys``."""

    exact: bool
    """Of 64 bits, by errors; else of 32, by their logits."""
    unit: int
    """Keys to a unit of logit."""
    middle: int
    """Key of an error of 1 of the first object."""

    @classmethod
    def of(cls, objects: int, pairs: int, few: int) -> Keys:
        """Those of so many objects and pairs; exact up to ``few``."""
        unit = (2**32 - 2**16) // (SPAN * objects)
        return cls(
            unit < hinges.FINE or pairs < few, unit, (unit * SPAN - unit * SPAN * objects) // 2
        )


def weigh(
    keys: Int[Tensor, " pairs"],
    distance: Float[Tensor, " pairs"],
    behind: Int[Tensor, " tiles"],
    made: Keys,
    cells: Cells,
    chunk: Chunk,
    objects: Objects,
    margins: Reach,
) -> tuple[Tensor, Float[Tensor, " pairs"]]:
    """Weighted sum of hinges (float64), and its derivative in each scaled distance.

    Args:
        keys: of the pairs, those inside first.
        distance: scaled distances.
        behind: pairs off their object, of the tiles up to and with each.
        made: of what the keys are.
        cells, chunk, objects, margins: as :func:`spatialembed.terms.card.pairs.hinges` has them.
    """
    # Stable, so that of equal errors those inside come first, as in the compiled kernel.
    keys, order = keys.sort(stable=True)
    pairs, blocks = len(order), triton.cdiv(len(order), BLOCK)
    inside = objects.image.new_empty(blocks)
    _count_inside[(blocks,)](order, inside, own=chunk.own, pairs=pairs, BLOCK=BLOCK)
    lead, last = inside.new_empty(2, chunk.objects).unbind()
    _leads[(triton.cdiv(chunk.objects, BLOCK),)](
        objects.start, cells.tile_counts, cells.behind, behind, lead, last, chunk.first_object,
        chunk.first_tile, chunk.first_own, chunk.objects, BLOCK=BLOCK,
    )  # fmt: skip
    slope = torch.empty_like(distance)
    parts = margins.share.new_empty(blocks)
    _weigh[(blocks,)](
        keys, order, distance, inside, inside.cumsum(0), lead, last, margins.share, slope, parts,
        chunk.first_object, made.unit, made.middle, chunk.own, pairs,
        SPAN=SPAN, EXACT=made.exact, BLOCK=BLOCK,
    )  # fmt: skip
    return parts.sum(), slope


@triton.jit
def one_minus_phi(x):  # type: ignore[no-untyped-def]
    """By its series where 1 − exp(−x) would cancel."""
    series = x * (1 - x * (0.5 - x * (1 / 6 - x * (1 / 24 - x * (1 / 120)))))
    return tl.where(x < 0.1, series, 1 - tl.exp(-x))


@triton.jit
def key_of(  # type: ignore[no-untyped-def]
    x, k, unit, middle, INSIDE: tl.constexpr, LIMIT: tl.constexpr, SPAN: tl.constexpr,
    EXACT: tl.constexpr,
):  # fmt: skip
    """Key of a pair: by object, then by error from the largest; log(expm1(x)) is x + log(1 − φ)."""
    if EXACT:
        phi = tl.exp(-x.to(tl.float64))
        half = (1 - phi if INSIDE else phi).to(tl.float32)  # of the error
        # The bits of what is not negative are in the order of the numbers.
        key = (k.to(tl.int64) << 32) - half.to(tl.int32, bitcast=True)
    else:
        logit = x + tl.log(tl.maximum(one_minus_phi(x), 1e-30))
        logit = tl.where(x == x, logit, 0.0)
        logit = tl.minimum(tl.maximum(logit, -LIMIT), LIMIT)
        if INSIDE:
            logit = -logit
        key = k.to(tl.int64) * unit * SPAN + middle + (logit * unit.to(tl.float32)).to(tl.int32)
        key = key.to(tl.int32)
    return key


@compiled
def _count_inside(order, inside, own, pairs, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Own pixels among some pairs in their order."""
    rank = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_in = tl.load(order + rank, mask=rank < pairs, other=own) < own
    tl.store(inside + tl.program_id(0), tl.sum(is_in.to(tl.int32), axis=0))


@compiled
def _leads(  # type: ignore[no-untyped-def]
    start, tile_counts, tile_behind, behind, lead, last, first_object, first_tile, first_own,
    objects, BLOCK: tl.constexpr,
):  # fmt: skip
    """Own pixels up to and with each object, and that number less all pairs before it."""
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = k < objects
    at = first_object + k
    own_before = tl.load(start + at, mask=live, other=0) - first_own
    own_after = tl.load(start + at + 1, mask=live, other=0) - first_own
    tile = tl.load(tile_behind + at, mask=live, other=0)
    tile = tile - tl.load(tile_counts + at, mask=live, other=0) - first_tile
    before = tl.load(behind + tile - 1, mask=live & (tile > 0), other=0) + own_before
    tl.store(last + k, own_after, mask=live)
    tl.store(lead + k, (own_after - before).to(tl.int32), mask=live)


@compiled
def _weigh(  # type: ignore[no-untyped-def]
    keys, order, distance, inside, inside_behind, lead, last, share, slope, parts,
    first_object, unit, middle, own, pairs,
    SPAN: tl.constexpr, EXACT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The closed forms of lovasz.py, pair by pair in their order; see its ``iou_loss_steps``."""
    program = tl.program_id(0)
    rank = program.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = rank < pairs
    pair = tl.load(order + rank, mask=live, other=own)
    key = tl.load(keys + rank, mask=live, other=0).to(tl.int64)
    if EXACT:
        k = ((key + (2147483648 - 1)) >> 32).to(tl.int32)
    else:
        width = unit.to(tl.int64) * SPAN
        k = ((key - middle + width // 2) // width).to(tl.int32)
    is_in = pair < own
    before = tl.load(inside_behind + program) - tl.load(inside + program)
    before += tl.cumsum(is_in.to(tl.int32), axis=0)  # of all objects so far, as the next two
    x = tl.load(distance + pair, mask=live, other=0.0)
    union = (tl.load(lead + k, mask=live, other=0) + rank + 1 - before).to(tl.float32)
    intersection = (tl.load(last + k, mask=live, other=0) - before).to(tl.float32)
    rest = tl.where(is_in, 1.0, intersection / tl.maximum(union - 1, 1.0))
    weight = tl.load(share + first_object + k, mask=live, other=0.0).to(tl.float32)
    weight = 2 * rest / union * weight
    phi = tl.exp(-x)
    error = tl.where(is_in, one_minus_phi(x), phi)
    tl.store(slope + pair, tl.where(is_in, weight, -weight) * phi, mask=live)
    value = tl.where(live, (weight * error).to(tl.float64), 0.0)
    tl.store(parts + program, tl.sum(value, axis=0))
