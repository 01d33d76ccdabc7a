"""The seed term and its gradient, and the sum of all terms; as terms/seed.py and joint.py do it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spatialembed.terms.card.compiling import BLOCK, compiled


class Seeds(NamedTuple):
    """What the seed term learns: φ of each own pixel in the map of its class, 0 elsewhere."""

    object_of: Int[Tensor, " B*P"]
    phi: Float[Tensor, " B*P"]
    class_map: Int[Tensor, " B*P"] | None
    """None for one class."""
    valid: Bool[Tensor, " B*P"]
    foreground_weight: Float[Tensor, " 1 or K"]


def seed_sums(
    output: Float[Tensor, "B C P"], classes: int, seeds: Seeds
) -> Float[Tensor, "2 B blocks"]:
    """Squared errors, weighted, of blocks of pixels, and how many of these take part; float64."""
    images, channels, pixels = output.shape
    blocks = triton.cdiv(pixels, BLOCK)
    parts = output.new_empty(2, images, blocks, dtype=torch.float64)
    _seed[(blocks, images)](
        output, *_of(seeds), parts, images=images, channels=channels, pixels=pixels,
        blocks=blocks, K=classes, WEIGHTS=len(seeds.foreground_weight), BLOCK=BLOCK,
    )  # fmt: skip
    return parts


def seed_gradient(
    output: Float[Tensor, "B C P"],
    n_offsets: int,
    classes: int,
    seeds: Seeds,
    scale: Float[Tensor, " B"],
    upstream: Float[Tensor, " 4"],
) -> Float[Tensor, "B C P"]:
    """Gradient in the raw output: of its seed maps; 0 for bandwidths; for offsets not written."""
    images, channels, pixels = output.shape
    result = torch.empty_like(output)
    _seed_back[(triton.cdiv(pixels, BLOCK), images)](
        output, *_of(seeds), scale, upstream, result, channels=channels, pixels=pixels,
        D=n_offsets, K=classes, WEIGHTS=len(seeds.foreground_weight), BLOCK=BLOCK,
    )  # fmt: skip
    return result


def _of(seeds: Seeds) -> tuple[Tensor, ...]:
    return (
        seeds.object_of, seeds.phi,
        seeds.object_of if seeds.class_map is None else seeds.class_map,
        seeds.valid.view(torch.uint8), seeds.foreground_weight,
    )  # fmt: skip


def finish(
    instance: Tensor, variance: Tensor, seed: Tensor, drift: Tensor | None, weights: list[float]
) -> tuple[list[Tensor], Float[Tensor, " 4"], Float[Tensor, " B"]]:
    """All terms and their total, the weights of them, and that of each image in the seed term.

    Args:
        instance, drift: these terms, float64.
        variance: what objects add to it.
        seed: (2, B) sums of images, and how many of their pixels take part.
        weights: of the terms.
    """
    images = seed.shape[1]
    into, scale = seed.new_empty(4 + images, dtype=torch.float32).split_with_sizes([4, images])
    terms = [into.new_empty(()) for _ in range(5)]  # no views: whoever has one may write to it
    _finish[(1,)](
        instance, variance, seed, instance if drift is None else drift, *terms, into, scale,
        *weights, images=images, objects=len(variance), DRIFT=drift is not None, BLOCK=BLOCK,
    )  # fmt: skip
    return terms, into, scale


@triton.jit
def _seed_of(  # type: ignore[no-untyped-def]
    output, object_of, phi, class_map, valid, weights, b, q, live, c, channels, pixels,
    K: tl.constexpr, WEIGHTS: tl.constexpr,
):  # fmt: skip
    """Score of some pixels in one seed map, what it is to be, and how much that counts."""
    p = b * pixels + q
    first = (b * channels + channels - K + c) * pixels
    score = tl.sigmoid(tl.load(output + first + q, mask=live, other=0.0))
    taking_part = live & (tl.load(valid + p, mask=live, other=0) != 0)
    own = live & (tl.load(object_of + p, mask=live, other=-1) >= 0)
    if K > 1:
        own = own & (tl.load(class_map + p, mask=own, other=-1) == c)
    target = tl.load(phi + p, mask=own, other=0.0)
    weight = tl.where(taking_part, 1.0, 0.0)
    if WEIGHTS > 1:
        weight = tl.where(own, tl.load(weights + c).to(tl.float32), weight)
    else:
        weight = tl.where(own, tl.load(weights).to(tl.float32), weight)
    return score, target, weight, taking_part


@compiled
def _seed(  # type: ignore[no-untyped-def]
    output, object_of, phi, class_map, valid, weights, parts, images, channels, pixels, blocks,
    K: tl.constexpr, WEIGHTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Squared errors of some pixels of an image."""
    b = tl.program_id(1).to(tl.int64)
    q = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = q < pixels
    error = tl.zeros((BLOCK,), tl.float32)
    number = tl.zeros((BLOCK,), tl.int32)
    for c in tl.static_range(K):
        score, target, weight, taking_part = _seed_of(
            output, object_of, phi, class_map, valid, weights, b, q, live, c, channels, pixels,
            K, WEIGHTS,
        )  # fmt: skip
        # Not 0 times what is no number: that stays none, as it does elsewhere.
        error += tl.where(live, (score - target) * (score - target) * weight, 0.0)
        if c == 0:
            number += taking_part.to(tl.int32)
    at = parts + b * blocks + tl.program_id(0)
    tl.store(at, tl.sum(error.to(tl.float64), axis=0))
    tl.store(at + images * blocks, tl.sum(number, axis=0).to(tl.float64))


@compiled
def _finish(  # type: ignore[no-untyped-def]
    instance, variance, seed, drift, to_instance, to_variance, to_seed, to_drift, to_total,
    into, scale, in_instance, in_variance, in_seed, in_drift, images, objects,
    DRIFT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Terms, and their total."""
    spread = tl.zeros((BLOCK,), tl.float64)
    i = 0
    while i < objects:
        k = i + tl.arange(0, BLOCK)
        spread += tl.load(variance + k, mask=k < objects, other=0.0)
        i += BLOCK
    errors = tl.zeros((BLOCK,), tl.float64)
    i = 0
    while i < images:
        b = i + tl.arange(0, BLOCK)
        count = tl.load(seed + images + b, mask=b < images, other=1.0)
        each = 1.0 / (tl.where(count > 1, count, 1.0) * images)
        errors += tl.load(seed + b, mask=b < images, other=0.0) * each
        tl.store(scale + b, each.to(tl.float32), mask=b < images)
        i += BLOCK
    one = tl.load(instance)
    two = tl.sum(spread, axis=0)
    three = tl.sum(errors, axis=0)
    total = one * in_instance + two * in_variance + three * in_seed
    tl.store(to_instance, one.to(tl.float32))
    tl.store(to_variance, two.to(tl.float32))
    tl.store(to_seed, three.to(tl.float32))
    if DRIFT:
        four = tl.load(drift)
        total += four * in_drift
        tl.store(to_drift, four.to(tl.float32))
    tl.store(to_total, total.to(tl.float32))
    tl.store(into, in_instance)
    tl.store(into + 1, in_variance)
    tl.store(into + 2, in_seed)
    tl.store(into + 3, in_drift)


@compiled
def _seed_back(  # type: ignore[no-untyped-def]
    output, object_of, phi, class_map, valid, weights, scale, upstream, result, channels, pixels,
    D: tl.constexpr, K: tl.constexpr, WEIGHTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient in seed maps, and 0 in bandwidths."""
    b = tl.program_id(1).to(tl.int64)
    q = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = q < pixels
    factor = 2 * tl.load(upstream + 2) * tl.load(scale + b)
    c = D
    while c < channels - K:
        to = (b * channels + c) * pixels + q
        tl.store(result + to, tl.zeros((BLOCK,), tl.float32), mask=live)
        c += 1
    for c in tl.static_range(K):
        score, target, weight, _ = _seed_of(
            output, object_of, phi, class_map, valid, weights, b, q, live, c, channels, pixels,
            K, WEIGHTS,
        )  # fmt: skip
        slope = factor * weight * (score - target) * (score * (1 - score))
        to = (b * channels + channels - K + c) * pixels + q
        tl.store(result + to, slope, mask=live)
