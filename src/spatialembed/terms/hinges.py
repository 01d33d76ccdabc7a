"""The hinges of all objects at once and their gradient, in torch: for any device but the CPU.

The steps are those of terms/instance.py. Pairs of an object and a pixel are sorted by object and
error together, by one integer each. The error is taken to that by its logit: one of an object's own
pixels has log(expm1(d)), d the scaled distance, one off it the same but for its sign. So errors are
told apart near 0 and near 2 alike: by 2⁻¹⁴ of themselves or less where a batch has thousands of
objects, by 2⁻¹⁸ where it has hundreds and millions of pairs, exactly where it has fewer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spatialembed.terms import near
from spatialembed.terms.objects import BatchObjects, sum_by_object
from spatialembed.terms.reach import Cells, Margins, chunks_in_reach

FINE = 1 << 14
"""Steps to a unit of logit that must fit into 32 bits; else 64 are sorted."""

FEW = 1 << 21
"""Pairs that are sorted by 64 bits in no time: of small objects one that changes places is seen."""


class Pairs(NamedTuple):
    """All pairs of some objects: scaled distances of their own pixels, and of others in reach."""

    own: Float[Tensor, " own"]
    others: Float[Tensor, " others"]
    owner: Int[Tensor, " own"]
    """Object of each own pixel, from 0."""
    own_counts: Int[Tensor, " objects"]
    other_counts: Int[Tensor, " objects"]


class Hinges(NamedTuple):
    """The term and what it passes back."""

    term: Float[Tensor, ""]
    position: Float[Tensor, "D B*P"]
    """Gradient, as the next two."""
    center: Float[Tensor, "D objects"]
    width: Float[Tensor, "D objects"]


def torch_hinges(
    position: Float[Tensor, "D B*P"],
    own: Float[Tensor, "D own"],
    distance: Float[Tensor, " own"],
    cells: Cells,
    margins: Margins,
    objects: BatchObjects,
) -> Hinges:
    """Weighted sum of the hinges of at least one object, and its gradient.

    Args:
        position: embeddings of all pixels.
        own: e − C of the objects' own pixels.
        distance: their scaled distances.
        cells: all pixels by cell.
        margins: of the objects.
        objects: the objects.
    """
    share = objects.share
    term = share.new_zeros(())
    in_cells = torch.zeros_like(cells.position)
    own_slope = torch.empty_like(distance)
    sums = share.new_zeros(2 * len(own), len(share))
    chunks = chunks_in_reach(cells, margins, objects.counts, near.CANDIDATES)
    for some, own_some, tiles, tile_counts in chunks:
        found = near.find_near(cells, tiles, margins)
        behind = torch.nn.functional.pad(found.tile_counts.cumsum(0), (1, 0))[tile_counts.cumsum(0)]
        pairs = Pairs(
            distance[own_some],
            found.distance,
            objects.owner[own_some] - some.start,
            objects.counts[some],
            behind.diff(prepend=behind.new_zeros(1)),
        )
        value, own_slope[own_some], slope = _slopes(pairs, share[some])
        term += value
        of_tiles = near.pull_near(found, slope, tiles, margins, in_cells)
        sums[:, some] = sum_by_object(of_tiles, tile_counts)
    pull = own_slope * own
    sums += sum_by_object(torch.cat([pull, pull * own]), objects.counts)
    gradient = torch.empty_like(position)
    gradient[:, cells.pixel] = in_cells.transpose(0, 1).flatten(1)[:, : position.shape[1]]
    gradient.index_add_(1, objects.pixel, 2 * margins.width[:, objects.owner] * pull)
    first, second = sums.to(position.dtype).chunk(2)
    return Hinges(term, gradient, -2 * margins.width * first, second)


def _slopes(
    pairs: Pairs, share: Float[Tensor, " objects"]
) -> tuple[Tensor, Float[Tensor, " own"], Float[Tensor, " others"]]:
    """Weighted sum of hinges, and its derivatives in scaled distances of own pixels and others."""
    own = len(pairs.own)
    distance = torch.cat([pairs.own, pairs.others])
    others = torch.repeat_interleave(pairs.other_counts.int(), output_size=len(pairs.others))
    segment = torch.cat([pairs.owner.int(), others])
    # Stable, so that of equal errors those inside come first, as in the compiled kernel.
    order = _keys(distance, own, segment, len(share)).sort(stable=True).indices
    both = pairs.own_counts + pairs.other_counts
    value, slope = near.weigh(order, distance, own, both, pairs.own_counts, share)
    return value, slope[:own], slope[own:]


def _keys(
    distance: Float[Tensor, " pairs"],
    own: int,
    segment: Int[Tensor, " pairs"],
    segments: int,
) -> Int[Tensor, " pairs"]:
    """Integers in the order of segments, and in each from the largest error to the smallest.

    The first ``own`` of the pairs are inside.
    """
    dtype, unit = torch.int32, (2**32 - 2**16) // (near.SPAN * segments)
    if distance.dtype == torch.float64:
        dtype, unit = torch.int64, min(2**40, 2**62 // (near.SPAN * segments))
    elif unit < FINE or len(distance) < FEW:
        half = torch.exp(-distance)
        half[:own] = -torch.expm1(-distance[:own])
        keys: Tensor = (segment.long() << 32) - half.view(torch.int32)  # the bits of what is not
        return keys  # negative are in the order of the numbers
    first = (unit * near.SPAN - unit * near.SPAN * segments) // 2
    middle = torch.arange(segments, device=distance.device) * (unit * near.SPAN) + first
    keys = near.logit_keys(distance, own, segment, middle.to(dtype), unit)
    return keys
