"""The objects of a batch, their centers and bandwidths, and how far they reach.

As terms/objects.py, centers.py and variance.py say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spatialembed.embedding import SIGMA_RANGE, per_axis
from spatialembed.terms.card.compiling import BLOCK, compiled
from spatialembed.terms.instance import NEGLIGIBLE

NONE = 2**31 - 1
"""Key of a pixel of no object."""


class Objects(NamedTuple):
    """Objects 0 to N − 1, image by image, as in ``BatchObjects``."""

    pixel: Int[Tensor, " own"]
    """Their pixels, object by object, as flat indices over batch and space; int64."""
    behind: Int[Tensor, " pixels"]
    """Object of each of them, plus 1; what follows the first ``own`` is of none."""
    start: Int[Tensor, " objects+1"]
    """Where the pixels of each begin."""
    image: Int[Tensor, " objects"]
    object_of: Int[Tensor, " B*P"]
    """Object of every pixel of the batch, −1 for none."""


class Reach(NamedTuple):
    """Where the objects are and what they reach, in float32 unless it says otherwise."""

    center: Float[Tensor, "D objects"]
    sigma: Float[Tensor, "S objects"]
    """Mean bandwidths σ̄."""
    width: Float[Tensor, "D objects"]
    """Inverse squared widths s."""
    share: Float[Tensor, " objects"]
    """Weight of each object, as in ``BatchObjects``; float64."""
    centroid: Float[Tensor, "D objects"]
    """Mean coordinates; of learned centers only."""
    cutoff: Float[Tensor, " objects"]
    far: Float[Tensor, "D objects"]
    """How far they reach along each axis; NaN or infinite for those that reach nothing."""
    distance: Float[Tensor, " own"]
    """Scaled distance of each own pixel."""
    phi: Float[Tensor, " B*P"]
    """φ of each own pixel, at its place in the image; elsewhere nothing."""
    variance: Float[Tensor, " objects"]
    """What each adds to the variance term; float64."""


def gather(label_mask: Int[Tensor, "B *S"], valid: Bool[Tensor, "B *S"]) -> Objects | None:
    """The objects of a batch, at least one pixel large; waits for the card once.

    Returns:
        None where there are no objects, or ids that are negative or take too many bits.
    """
    number, images = label_mask.numel(), len(label_mask)
    pixels = number // images
    sizes = torch.zeros(3, dtype=torch.int32, device=valid.device)
    key = torch.empty(number, dtype=torch.int32, device=valid.device)
    first, object_of = torch.empty_like(key), torch.empty_like(key)
    grid = (triton.cdiv(number, BLOCK),)
    _label_keys[grid](
        label_mask.contiguous(), valid.view(torch.uint8), key, sizes, NONE // images, pixels,
        number, NONE=NONE, BLOCK=BLOCK,
    )  # fmt: skip
    key, pixel = key.sort(stable=True)
    _firsts[grid](key, first, sizes, number, NONE=NONE, BLOCK=BLOCK)
    behind = first.cumsum(0, dtype=torch.int32)
    own, objects, strange = sizes.tolist()
    if strange or not objects:
        return None
    start, image = (key.new_empty(size) for size in (objects + 1, objects))
    _spread[grid](pixel, behind, object_of, start, image, own, objects, pixels, number, BLOCK=BLOCK)
    return Objects(pixel[:own], behind, start, image, object_of)


def reach(
    objects: Objects,
    position: Float[Tensor, "D B*P"],
    bandwidth: Float[Tensor, "B C P"],
    channel: int,
    n_sigma: int,
    sizes: Sequence[int],
    pitch: Sequence[float] | float,
    images: int,
    learned: bool,
    center: Float[Tensor, "D objects"] | None,
) -> Reach:
    """Centers, bandwidths and reach of objects.

    Args:
        objects: the objects.
        position: embeddings.
        bandwidth: σ in the channels from ``channel`` on, ``n_sigma`` many.
        channel, n_sigma: these.
        sizes: of the images, in the order x, y, z.
        pitch: of the coordinates.
        images: of the batch.
        learned: whether centers are mean embeddings.
        center: the centers where they are neither that nor mean coordinates.
    """
    dims, number = position.shape
    many = len(objects.image)
    rows = [dims + n_sigma, dims, dims, dims]
    means, width, far, centroid = position.new_empty(sum(rows), many).split_with_sizes(rows)
    share, variance = position.new_empty(2, many, dtype=torch.float64).unbind()
    cutoff = position.new_empty(many)
    distance, phi = position.new_empty(len(objects.pixel)), position.new_empty(number)
    steps = (*per_axis(pitch, dims), 0.0, 0.0)[:3]
    known = (objects.pixel, objects.start, objects.image)
    layout = {"objects": many, "pixels": number // images, "channels": bandwidth.shape[1]}
    sx, sy = (*sizes, 1)[:2]
    _means[(many, dims + n_sigma + (dims if learned else 0))](
        position, bandwidth, *known, means, width, share, centroid,
        *steps, sx=sx, sy=sy, number=number, images=images, **layout,
        CHANNEL=channel, D=dims, S=n_sigma, LEARNED=learned, LOW=SIGMA_RANGE[0],
        HIGH=SIGMA_RANGE[1], BLOCK=BLOCK,
    )  # fmt: skip
    middle = means[:dims] if center is None else center.contiguous()
    _margins[(many,)](
        position, bandwidth, *known[:2], middle, means, width, share,
        cutoff, far, distance, phi, variance, number=number, **layout,
        CHANNEL=channel, D=dims, S=n_sigma, LOW=SIGMA_RANGE[0], HIGH=SIGMA_RANGE[1],
        NEGLIGIBLE=NEGLIGIBLE, BLOCK=BLOCK,
    )  # fmt: skip
    return Reach(middle, means[dims:], width, share, centroid, cutoff, far, distance, phi, variance)


@compiled
def _label_keys(  # type: ignore[no-untyped-def]
    labels, valid, keys, sizes, span, pixels, number, NONE: tl.constexpr, BLOCK: tl.constexpr
):
    """Keys by image and id; counts pixels of objects, and notes ids that do not fit."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < number
    label = tl.load(labels + at, mask=live, other=0).to(tl.int64)
    label = tl.where(tl.load(valid + at, mask=live, other=0) != 0, label, 0)
    strange = (label < 0) | (label >= span)
    key = tl.where(label != 0, at // pixels * span + label, NONE)
    tl.store(keys + at, key.to(tl.int32), mask=live)
    tl.atomic_add(sizes, tl.sum((label != 0).to(tl.int32), axis=0))
    tl.atomic_max(sizes + 2, tl.max(strange.to(tl.int32), axis=0))


@compiled
def _firsts(  # type: ignore[no-untyped-def]
    keys, first, sizes, number, NONE: tl.constexpr, BLOCK: tl.constexpr
):
    """Where another key begins; counts the objects."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < number
    key = tl.load(keys + at, mask=live, other=NONE)
    before = tl.load(keys + at - 1, mask=live & (at > 0), other=-1)
    new = (key != before) & live
    tl.store(first + at, new.to(tl.int32), mask=live)
    tl.atomic_add(sizes + 1, tl.sum((new & (key < NONE)).to(tl.int32), axis=0))


@compiled
def _spread(  # type: ignore[no-untyped-def]
    pixel, behind, object_of, start, image, own, objects, pixels, number, BLOCK: tl.constexpr
):
    """The object of every pixel, where each object's pixels begin, and in which image it is."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = at < number
    on = at < own
    p = tl.load(pixel + at, mask=live, other=0)
    k = tl.load(behind + at, mask=live, other=0) - 1
    tl.store(object_of + p, tl.where(on, k, -1), mask=live)
    before = tl.load(behind + at - 1, mask=on & (at > 0), other=0) - 1
    new = on & (k != before)
    tl.store(start + k, at.to(tl.int32), mask=new)
    tl.store(image + k, (p // pixels).to(tl.int32), mask=new)
    tl.store(start + objects + (at - at), own + (at - at).to(tl.int32), mask=at == own - 1)


@triton.jit
def within(sigma, LOW: tl.constexpr, HIGH: tl.constexpr):  # type: ignore[no-untyped-def]
    """A clamped bandwidth; what is no number stays none."""
    return tl.where(sigma > HIGH, HIGH, tl.where(sigma < LOW, LOW, sigma))


@compiled
def _means(  # type: ignore[no-untyped-def]
    position, bandwidth, pixel, start, image, means, width, share, centroid,
    step_x, step_y, step_z, sx, sy, number, images, objects, pixels, channels,
    CHANNEL: tl.constexpr, D: tl.constexpr, S: tl.constexpr, LEARNED: tl.constexpr,
    LOW: tl.constexpr, HIGH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One mean of an object: of a coordinate of its center, of a bandwidth, or of its centroid."""
    k = tl.program_id(0)
    c = tl.program_id(1)
    begin = tl.load(start + k)
    end = tl.load(start + k + 1)
    is_sigma = (c >= D) & (c < D + S)
    d = tl.where(c < D, c, c - (D + S))
    step = tl.where(d == 0, step_x, tl.where(d == 1, step_y, step_z))
    total = tl.zeros((BLOCK,), tl.float64)
    i = begin
    while i < end:
        at = i + tl.arange(0, BLOCK)
        live = at < end
        p = tl.load(pixel + at, mask=live, other=0)
        q = p % pixels
        if is_sigma:
            place = (p // pixels * channels + CHANNEL + c - D) * pixels + q
            value = within(tl.load(bandwidth + place, mask=live, other=0.0), LOW, HIGH)
        else:
            x = tl.where(d == 0, q % sx, tl.where(d == 1, q // sx % sy, q // sx // sy))
            value = x.to(tl.float32) * step
            if LEARNED:  # noqa: SIM102  # known to the compiler, and the next only to the program
                if c < D:
                    there = position + c.to(tl.int64) * number + p
                    value = tl.load(there, mask=live, other=0.0)
        total += tl.where(live, value, 0.0).to(tl.float64)
        i += BLOCK
    mean = tl.sum(total, axis=0) / (end - begin).to(tl.float64)
    if c < D + S:
        tl.store(means + c * objects + k, mean.to(tl.float32))
    else:
        tl.store(centroid + d * objects + k, mean.to(tl.float32))
    if is_sigma:
        wide = tl.exp(10 * mean.to(tl.float32).to(tl.float64)).to(tl.float32)
        if S > 1:
            tl.store(width + (c - D) * objects + k, wide)
        else:
            for axis in tl.static_range(D):
                tl.store(width + axis * objects + k, wide)
    if c == 0:
        mine = tl.load(image + k)
        same = tl.zeros((BLOCK,), tl.int32)
        i = 0
        while i < objects:
            j = i + tl.arange(0, BLOCK)
            same += (tl.load(image + j, mask=j < objects, other=-1) == mine).to(tl.int32)
            i += BLOCK
        tl.store(share + k, 1.0 / (tl.sum(same, axis=0).to(tl.float64) * images))


@compiled
def _margins(  # type: ignore[no-untyped-def]
    position, bandwidth, pixel, start, center, means, width, share,
    cutoff, fars, distance, phi, variance, number, objects, pixels, channels,
    CHANNEL: tl.constexpr, D: tl.constexpr, S: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr,
    NEGLIGIBLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Scaled distances of an object's pixels, and from the least of them what it reaches."""
    k = tl.program_id(0)
    begin = tl.load(start + k)
    end = tl.load(start + k + 1)
    nearest = tl.full((BLOCK,), float("inf"), tl.float32)
    broken = tl.zeros((BLOCK,), tl.int32)
    spread = tl.zeros((BLOCK,), tl.float64)
    i = begin
    while i < end:
        at = i + tl.arange(0, BLOCK)
        live = at < end
        p = tl.load(pixel + at, mask=live, other=0)
        x = tl.zeros((BLOCK,), tl.float32)
        for d in tl.static_range(D):
            e = tl.load(position + d * number.to(tl.int64) + p, mask=live, other=0.0)
            far = e - tl.load(center + d * objects + k)
            x += tl.load(width + d * objects + k) * (far * far)
        tl.store(distance + at, x, mask=live)
        tl.store(phi + p, tl.exp(-x), mask=live)
        nearest = tl.where(live & (x < nearest), x, nearest)
        broken += (live & (x != x)).to(tl.int32)
        for s in tl.static_range(S):
            place = (p // pixels * channels + CHANNEL + s) * pixels + p % pixels
            value = within(tl.load(bandwidth + place, mask=live, other=0.0), LOW, HIGH)
            value = value - tl.load(means + (D + s) * objects + k)
            spread += tl.where(live, value * value, 0.0).to(tl.float64)
        i += BLOCK
    weight = tl.load(share + k) / (end - begin).to(tl.float64)
    tl.store(variance + k, tl.sum(spread, axis=0) * weight / S)
    least = (1 - tl.exp(-tl.min(nearest, axis=0).to(tl.float64))) * (1 - 1e-5)
    least = tl.where(least < NEGLIGIBLE, NEGLIGIBLE, tl.where(least > 1 - 1e-7, 1 - 1e-7, least))
    cut = tl.where(tl.sum(broken, axis=0) > 0, float("nan"), -tl.log(least)).to(tl.float32)
    tl.store(cutoff + k, cut)
    for d in tl.static_range(D):
        middle = tl.load(center + d * objects + k)
        reach = tl.sqrt(cut / tl.load(width + d * objects + k)) * (1 + 1e-3)
        tl.store(fars + d * objects + k, reach + tl.abs(middle) * 1e-6)
