"""Pairs of an object and a pixel off it within reach, and their weights, by operations of torch.

card/pairs.py and card/order.py are the same for cards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spatialembed.embedding import scaled_distance
from spatialembed.lovasz import iou_loss_steps
from spatialembed.terms.reach import Cells, Margins, Tiles

CANDIDATES = 1 << 23
"""Pairs looked at together, a bound on memory: some 50 bytes each."""

LIMIT = 15
"""Logits of errors beyond ± this are not told apart: φ or 1 − φ is below 4e-7 there.

Whatever is within reach of an object has a larger error than its own pixels there."""

SPAN = 2 * LIMIT + 1
"""Units of logit that lie between two objects' keys."""


class Near(NamedTuple):
    """Pairs within reach, in the order of their tiles."""

    distance: Float[Tensor, " pairs"]
    """Scaled distance of each."""
    tile_counts: Int[Tensor, " tiles"]
    """Pairs of each tile."""
    difference: Float[Tensor, "tiles D TILE"]
    """e − C of all that was looked at."""
    at: Int[Tensor, " pairs"]
    """Where a pair is among the places of all tiles."""


def find_near(cells: Cells, tiles: Tiles, margins: Margins) -> Near:
    """Look at all places of the tiles; waits once for a device to say how many pairs there are."""
    difference = cells.position.index_select(0, tiles.block)
    difference -= margins.center.T[tiles.object].unsqueeze(2)
    width = margins.width.T[tiles.object].unsqueeze(2)
    distance = scaled_distance(difference, 0, width, axis=1)
    place = torch.arange(distance.shape[1], device=distance.device)
    near = (place >= tiles.first.unsqueeze(1)) & (place < tiles.end.unsqueeze(1))
    near &= distance < margins.cutoff[tiles.object].unsqueeze(1)
    near &= cells.owner.index_select(0, tiles.block) != tiles.object.unsqueeze(1)
    at = near.flatten().nonzero().squeeze(1)
    return Near(distance.flatten()[at], near.sum(1), difference, at)


def pull_near(
    near: Near, slope: Tensor, tiles: Tiles, margins: Margins, gradient: Tensor
) -> Float[Tensor, "2*D tiles"]:
    """Add to the gradient of the positions what the pairs' distances get.

    Args:
        near: what :func:`find_near` gave for the same tiles and margins.
        slope: (pairs,) derivative of the loss in each scaled distance.
        gradient: (blocks, D, TILE) of the positions in the order of cells; added to.

    Returns:
        Of each tile, sums of slope · (e − C), then of slope · (e − C)².
    """
    looked_at, _, size = near.difference.shape
    dense = slope.new_zeros(looked_at * size)
    dense[near.at] = slope
    pull = dense.view(-1, 1, size) * near.difference
    sums = torch.cat([pull.sum(2), (pull * near.difference).sum(2)], 1)
    pull *= 2 * margins.width.T[tiles.object].unsqueeze(2)
    gradient.index_add_(0, tiles.block, pull)
    return sums.T


def logit_keys(
    distance: Float[Tensor, " pairs"],
    own: int,
    segment: Int[Tensor, " pairs"],
    middle: Int[Tensor, " objects"],
    unit: int,
) -> Int[Tensor, " pairs"]:
    """Keys that fall as errors rise, by the logit of the error.

    Args:
        distance: scaled distances, those of the ``own`` pairs inside first.
        own: pairs inside.
        segment: object of each pair.
        middle: key of an error of 1 of each object, and of the keys' type.
        unit: keys to a unit of logit.
    """
    low, high = (math.log1p(math.exp(limit)) for limit in (-LIMIT, LIMIT))
    logit = distance.clamp(low, high).expm1_().log_()
    logit[:own].neg_().nan_to_num_()
    keys: Tensor = (logit * unit).to(middle.dtype) + middle.index_select(0, segment)
    return keys


def weigh(
    order: Int[Tensor, " pairs"],
    distance: Float[Tensor, " pairs"],
    own: int,
    pairs: Int[Tensor, " objects"],
    positives: Int[Tensor, " objects"],
    share: Float[Tensor, " objects"],
) -> tuple[Tensor, Float[Tensor, " pairs"]]:
    """Weighted sum of hinges (float64), and its derivative in each scaled distance.

    Args:
        order: of the pairs by object and error; the first ``own`` of the pairs are inside.
        distance: scaled distances.
        own: pairs inside.
        pairs: all pairs of each object.
        positives: those of them inside.
        share: weight of each object, float64.
    """
    share = share.to(distance.dtype)
    segment = torch.repeat_interleave(pairs.int(), output_size=len(order))
    slope = torch.empty_like(distance)
    steps = iou_loss_steps(order < own, pairs, positives, distance.dtype)
    slope[order] = steps.mul_(2 * share.index_select(0, segment))
    # The error is 2 − 2 φ inside and 2 φ outside.
    inside = -torch.expm1(-distance[:own]) * slope[:own]
    slope *= torch.exp(-distance)
    value = inside.sum(dtype=torch.float64) + slope[own:].sum(dtype=torch.float64)
    slope[own:].neg_()
    return value, slope
