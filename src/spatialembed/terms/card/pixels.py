"""Where pixels point, and the gradient of the raw output; as embedding.py and bandwidth.py."""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spatialembed.embedding import SIGMA_RANGE
from spatialembed.terms.card.compiling import BLOCK, compiled
from spatialembed.terms.card.objects import within
from spatialembed.terms.card.seeds import Seeds, seed_gradient
from spatialembed.terms.reach import TILE


class Joined(NamedTuple):
    """All that the gradient is made of, once the terms are known; as the other files name it."""

    output: Float[Tensor, "B C P"]
    turned: Float[Tensor, "B D P"]
    """tanh of the offsets."""
    position: Float[Tensor, "D B*P"]
    pixel: Int[Tensor, " own"]
    behind: Int[Tensor, " B*P"]
    start: Int[Tensor, " objects+1"]
    center: Float[Tensor, "D objects"]
    sigma: Float[Tensor, "S objects"]
    width: Float[Tensor, "D objects"]
    share: Float[Tensor, " objects"]
    slope: Float[Tensor, " own"]
    in_center: Float[Tensor, "D objects"]
    in_width: Float[Tensor, "D objects"]
    """Gradient of the instance term, as the next two."""
    of_place: Int[Tensor, " B*P"]
    """The pixel of each place in the order of cells."""
    in_cells: Float[Tensor, "blocks D TILE"]
    weights: Float[Tensor, " 4"]
    """Of the terms in the total."""
    scale: Float[Tensor, " B"]
    """Weight of each image's sum in the seed term."""
    in_drift: Float[Tensor, "D objects"] | None
    """Gradient of the drift term in the centers."""
    object_of: Int[Tensor, " B*P"]
    phi: Float[Tensor, " B*P"]
    class_map: Int[Tensor, " B*P"] | None
    valid: Bool[Tensor, " B*P"]
    foreground_weight: Float[Tensor, " 1 or K"]


def positions(
    turned: Float[Tensor, "B D P"], sizes: tuple[int, ...], steps: tuple[float, ...]
) -> Float[Tensor, "D B*P"]:
    """Embeddings, of tanh of the offsets; sizes and steps in the order x, y, z."""
    images, dims, pixels = turned.shape
    position = turned.new_empty(dims, images * pixels)
    sx, sy = (*sizes, 1)[:2]
    _positions[(triton.cdiv(images * pixels, BLOCK),)](
        turned, position, *(*steps, 0.0, 0.0)[:3], sx=sx, sy=sy, pixels=pixels,
        number=images * pixels, D=dims, BLOCK=BLOCK,
    )  # fmt: skip
    return position


def gradient(
    known: Joined, upstream: Float[Tensor, " 4"], classes: int, n_sigma: int, learned: bool
) -> Float[Tensor, "B C P"]:
    """Gradient in the raw output.

    Args:
        known: what the terms were made of.
        upstream: of the instance, variance, seed and drift term.
        classes: seed maps.
        n_sigma: bandwidths that are learned; 0 where they are fixed.
        learned: whether centers are mean embeddings.
    """
    output, turned, position, *of_objects = known[:13]
    _, channels, pixels = output.shape
    dims, number = position.shape
    result = seed_gradient(output, dims, classes, Seeds(*known[18:]), known.scale, upstream)
    size = {"channels": channels, "pixels": pixels, "number": number, "D": dims, "BLOCK": BLOCK}
    _cells_back[(triton.cdiv(number, BLOCK),)](
        known.of_place, known.in_cells, turned, upstream, result, TILE=TILE, **size
    )
    own, objects = len(known.pixel), known.center.shape[1]
    in_drift = known.center if known.in_drift is None else known.in_drift
    _own_back[(triton.cdiv(own, BLOCK),)](
        output, turned, position, *of_objects, in_drift, upstream, result,
        own=own, objects=objects, S=n_sigma, LEARNED=learned, DRIFT=known.in_drift is not None,
        LOW=SIGMA_RANGE[0], HIGH=SIGMA_RANGE[1], **size,
    )  # fmt: skip
    return result


@compiled
def _positions(  # type: ignore[no-untyped-def]
    turned, position, step_x, step_y, step_z, sx, sy, pixels, number,
    D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Where each pixel points."""
    p = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = p < number
    q = p % pixels
    for d in tl.static_range(D):
        x, step = q % sx, step_x
        if d == 1:
            x, step = q // sx % sy, step_y
        if d == 2:
            x, step = q // sx // sy, step_z
        there = (p // pixels * D + d) * pixels + q
        e = x.to(tl.float32) * step + tl.load(turned + there, mask=live, other=0.0)
        tl.store(position + d * number.to(tl.int64) + p, e, mask=live)


@compiled
def _cells_back(  # type: ignore[no-untyped-def]
    pixel, gradient, turned, upstream, result, number, channels, pixels,
    D: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient in offsets, by objects that a pixel is off."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < number
    p = tl.load(pixel + at, mask=live, other=0)
    b, q = p // pixels, p % pixels
    factor = tl.load(upstream)
    for d in tl.static_range(D):
        slope = tl.load(gradient + (at // TILE * D + d) * TILE + at % TILE, mask=live, other=0.0)
        t = tl.load(turned + (b * D + d) * pixels + q, mask=live, other=0.0)
        to = result + (b * channels + d) * pixels + q
        tl.store(to, factor * slope * (1 - t * t), mask=live)


@compiled
def _own_back(  # type: ignore[no-untyped-def]
    output, turned, position, pixel, behind, start, center, means, width, share,
    own_slope, in_center, in_width, in_drift, upstream, result,
    own, number, objects, channels, pixels, D: tl.constexpr, S: tl.constexpr,
    LEARNED: tl.constexpr, DRIFT: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient in offsets and bandwidths of objects' own pixels, by their object."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < own
    p = tl.load(pixel + at, mask=live, other=0)
    k = tl.load(behind + at, mask=live, other=1) - 1
    b, q = p // pixels, p % pixels
    count = tl.load(start + k + 1, mask=live, other=1) - tl.load(start + k, mask=live, other=0)
    count = count.to(tl.float32)
    in_instance = tl.load(upstream)
    slope = tl.load(own_slope + at, mask=live, other=0.0)
    wide = tl.zeros((BLOCK,), tl.float32)  # gradient in the mean bandwidth
    for d in tl.static_range(D):
        there = d * objects + k
        s = tl.load(width + there, mask=live, other=0.0)
        far = tl.load(position + d * number.to(tl.int64) + p, mask=live, other=0.0)
        far -= tl.load(center + there, mask=live, other=0.0)
        pull = in_instance * 2 * s * slope * far
        if LEARNED:
            pull += in_instance * tl.load(in_center + there, mask=live, other=0.0) / count
            if DRIFT:
                drift = tl.load(in_drift + there, mask=live, other=0.0)
                pull += tl.load(upstream + 3) * drift / count
        t = tl.load(turned + (b * D + d) * pixels + q, mask=live, other=0.0)
        to = result + (b * channels + d) * pixels + q
        tl.store(to, tl.load(to, mask=live, other=0.0) + pull * (1 - t * t), mask=live)
        each = 10 * s * tl.load(in_width + there, mask=live, other=0.0)
        wide = each if S > 1 else wide + each
        if S > 0 and (S > 1 or d == D - 1):
            c = (b * channels + D + (d if S > 1 else 0)) * pixels + q
            sigma = tl.load(output + c, mask=live, other=0.0)
            mean = tl.load(means + (d if S > 1 else 0) * objects + k, mask=live, other=0.0)
            weight = tl.load(share + k, mask=live, other=0.0).to(tl.float32) / count / S
            away = within(sigma, LOW, HIGH) - mean
            to_mean = tl.load(upstream + 1) * 2 * away * weight
            lead = in_instance * wide / count + to_mean
            # Outside of the range only what leads back inside: descent goes against it.
            leads = ((sigma <= HIGH) | (lead > 0)) & ((sigma >= LOW) | (lead < 0))
            tl.store(result + c, tl.where(leads, lead, 0.0), mask=live)
