"""The objects of a batch by their pixels: what the terms of the loss sum over.

kernels/objects.py finds them on the CPU, where ids lie close together; elsewhere one sort of torch.
Sums over an object's pixels lie side by side then, and are taken segment by segment: to add by
index, thousands of pixels would wait for each other at one address of a card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spatialembed.embedding import Pitch, pixel_coordinates
from spatialembed.kernels.objects import gather_pixels
from spatialembed.kernels.threads import as_many_as_torch
from spatialembed.terms.device import has_kernels


class BatchObjects(NamedTuple):
    """Objects 0 to N − 1, image by image, and their pixels as flat indices over batch and space."""

    pixel: Int[Tensor, " own"]
    """Pixels of all objects, object by object, in the order of the image within each."""
    owner: Int[Tensor, " own"]
    """Object of each of them, never decreasing."""
    counts: Int[Tensor, " objects"]
    """Pixels of each object, at least 1."""
    image: Int[Tensor, " objects"]
    """Image each object is in, never decreasing."""
    object_of: Int[Tensor, " B*S"]
    """Object of every pixel of the batch, −1 for none; int32."""
    images: int
    """Images of the batch."""
    share: Float[Tensor, " objects"]
    """Weight of each object in the mean over an image's objects, then over images (float64)."""


def _share(image: Int[Tensor, " objects"], images: int) -> Float[Tensor, " objects"]:
    each = torch.arange(images + 1, device=image.device)
    per_image = torch.searchsorted(image, each).diff()  # a bincount waits for the device
    return 1 / (per_image[image].double() * max(images, 1))


def at_pixels(maps: Float[Tensor, "B C pixels"], objects: BatchObjects) -> Float[Tensor, "C own"]:
    """What maps of the whole batch hold at the objects' pixels."""
    channels = maps.movedim(1, 0).reshape(maps.shape[1], -1)
    return channels.index_select(1, objects.pixel)


def own_coordinates(
    objects: BatchObjects, shape: Sequence[int], pitch: Pitch, like: Tensor
) -> Float[Tensor, "D own"]:
    """Coordinates of the objects' pixels on images of a spatial shape, of the type of ``like``."""
    grid = pixel_coordinates(shape, pitch, like=like).flatten(1)
    own: Tensor = grid[:, objects.pixel % grid.shape[1]]
    return own


def gather_objects(label_mask: Int[Tensor, "B *S"], valid: Bool[Tensor, "B *S"]) -> BatchObjects:
    """Find the objects of a batch: every id other than 0, per image, by its valid pixels."""
    labels = torch.where(valid, label_mask, 0).flatten()
    images = len(label_mask)
    pixels = labels.numel() // max(images, 1)
    lowest, highest = torch.stack(labels.aminmax()).tolist() if labels.numel() else (0, 0)
    span = highest - lowest + 1
    close = images * span <= 2 * labels.numel()  # else there is no room for a table of ids
    if close and has_kernels(labels):
        with as_many_as_torch():
            found = gather_pixels(labels.view(images, pixels).numpy(), lowest, span)
        pixel, owner, counts, image, object_of = (torch.from_numpy(array) for array in found)
        share = _share(image, images)
        return BatchObjects(pixel, owner, counts, image, object_of, images, share)
    number = labels
    if images * span >= 2**31:  # numbers of the ids: these times images may leave 64 bits
        ids, number = torch.unique(labels, return_inverse=True)
        lowest, span = 0, len(ids)
    return _by_sorting(labels != 0, number, lowest, span, images)


def _by_sorting(
    on_object: Bool[Tensor, " B*S"],
    number: Int[Tensor, " B*S"],
    lowest: int,
    span: int,
    images: int,
) -> BatchObjects:
    """The objects by one sort of all pixels, those of none last; waits for the device once.

    Args:
        on_object: pixels of an object.
        number: of its id, from ``lowest`` on; there are ``span`` of them.
    """
    device, pixels = number.device, len(number) // max(images, 1)
    last = images * span
    # Half as many bits are sorted in half the time.
    dtype = torch.int32 if last < 2**31 else torch.int64
    first = torch.arange(images, device=device).unsqueeze(1) * span - lowest
    key = (number.view(images, pixels) + first).to(dtype).flatten()
    key, pixel = torch.where(on_object, key, last).sort(stable=True)
    is_first = key.diff(prepend=key.new_full((1,), -1)) != 0
    owner = is_first.cumsum(0, dtype=torch.int32) - 1
    sizes = torch.stack([on_object.sum(), (is_first & (key < last)).sum()])
    own, objects = sizes.tolist()
    pixel, owner = pixel[:own], owner[:own]
    start = torch.searchsorted(owner, torch.arange(objects + 1, device=device, dtype=torch.int32))
    object_of = torch.full_like(number, -1, dtype=torch.int32)
    object_of[pixel] = owner
    image = pixel[start[:-1]] // max(pixels, 1)
    share = _share(image, images)
    return BatchObjects(pixel, owner.long(), start.diff(), image, object_of, images, share)


def sum_by_object(
    values: Float[Tensor, "C pixels"], counts: Int[Tensor, " objects"]
) -> Float[Tensor, "C objects"]:
    """Sum of ``values`` over each object's pixels, which lie side by side; float64, no gradient."""
    if values.shape[1] == 0:
        return values.new_zeros(len(values), len(counts), dtype=torch.float64)
    # One row of segments: only of such does a card take each by many threads.
    lengths, row = counts.repeat(len(values)), values.detach().double().flatten()
    total: Tensor = torch.segment_reduce(row, "sum", lengths=lengths, unsafe=True)
    return total.view(len(values), -1)


def mean_by_object(
    values: Float[Tensor, "C pixels"],
    pixel_object: Int[Tensor, " pixels"],
    counts: Int[Tensor, " objects"],
) -> Float[Tensor, "C objects"]:
    """Mean of ``values`` over each object's pixels, summed in float64.

    float32 sums over a mask of 300,000 pixels were off by a thousandth.

    Args:
        values: (C, P), an object's pixels side by side.
        pixel_object: (P,) object of each of them, 0 to N − 1, never decreasing.
        counts: (N,) pixels of each object, at least 1.
    """
    if has_kernels(values):
        total = values.new_zeros(len(values), len(counts), dtype=torch.float64)
        return (total.index_add(1, pixel_object, values.double()) / counts).to(values.dtype)
    mean: Tensor = _Mean.apply(values, pixel_object, counts)
    return mean


class _Mean(torch.autograd.Function):
    """:func:`mean_by_object` by segments, whose own gradient is one thread an object on a card."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, pixel_object: Tensor, counts: Tensor) -> Tensor:
        ctx.save_for_backward(pixel_object, counts)
        return (sum_by_object(values, counts) / counts).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        pixel_object, counts = ctx.saved_tensors
        return (upstream / counts).index_select(1, pixel_object), None, None
