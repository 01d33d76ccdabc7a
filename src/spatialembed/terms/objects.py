"""The objects of a batch by their pixels: what the terms of the loss sum over.

kernels/objects.py finds them on the CPU, where ids lie close together; torch's sorts do elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from spatialembed.embedding import Pitch, pixel_coordinates
from spatialembed.kernels.objects import gather_pixels
from spatialembed.kernels.threads import as_many_as_torch


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

    @property
    def share(self) -> Float[Tensor, " objects"]:
        """Weight of each object in the mean over an image's objects, then over images (float64)."""
        per_image = torch.bincount(self.image, minlength=self.images).clamp(min=1)
        return 1 / (per_image[self.image].double() * max(self.images, 1))


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
    lowest, highest = (int(v) for v in labels.aminmax()) if labels.numel() else (0, 0)
    span = highest - lowest + 1
    close = images * span <= 2 * labels.numel()  # else there is no room for a table of ids
    if close and labels.device.type == "cpu":
        with as_many_as_torch():
            found = gather_pixels(labels.view(images, pixels).numpy(), lowest, span)
        pixel, owner, counts, image, object_of = (torch.from_numpy(array) for array in found)
        return BatchObjects(pixel, owner, counts, image, object_of, images)
    pixel = labels.nonzero().squeeze(1)
    # Numbers of the ids, not these themselves: ids far apart times images may leave 64 bits.
    ids, number = torch.unique(labels[pixel], return_inverse=True)
    key = pixel // max(pixels, 1) * len(ids) + number
    keys, owner, counts = torch.unique(key, return_inverse=True, return_counts=True)
    group = owner.argsort(stable=True)
    pixel, owner = pixel[group], owner[group]
    object_of = torch.full_like(labels, -1, dtype=torch.int32)
    object_of[pixel] = owner.int()
    return BatchObjects(pixel, owner, counts, keys // max(len(ids), 1), object_of, images)


def mean_by_object(
    values: Float[Tensor, "C pixels"],
    pixel_object: Int[Tensor, " pixels"],
    counts: Int[Tensor, " objects"],
) -> Float[Tensor, "C objects"]:
    """Mean of ``values`` over each object's pixels, summed in float64.

    float32 sums over a mask of 300,000 pixels were off by a thousandth.
    """
    total = values.new_zeros(len(values), len(counts), dtype=torch.float64)
    return (total.index_add(1, pixel_object, values.double()) / counts).to(values.dtype)
