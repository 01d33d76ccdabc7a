"""The objects of a batch by their pixels: what the terms of the loss sum over."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


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


def gather_objects(label_mask: Int[Tensor, "B *S"], valid: Bool[Tensor, "B *S"]) -> BatchObjects:
    """Find the objects of a batch: every id other than 0, per image, by its valid pixels."""
    labels, images = label_mask.flatten(), len(label_mask)
    pixel = ((labels != 0) & valid.flatten()).nonzero().squeeze(1)
    label = labels[pixel].long()
    lowest, highest = (int(v) for v in label.aminmax()) if label.numel() else (0, 0)
    span = highest - lowest + 1
    key = pixel // max(labels.numel() // max(images, 1), 1) * span + label - lowest
    if images * span <= 2 * labels.numel():
        counts = torch.bincount(key, minlength=images * span)
        keys = counts.nonzero().squeeze(1)
        owner = ((counts > 0).cumsum(0) - 1)[key]
        counts = counts[keys]
    else:  # ids too far apart for a table of them
        keys, owner, counts = torch.unique(key, return_inverse=True, return_counts=True)
    few = len(counts) < 2**15  # the narrower the numbers, the faster they are sorted
    group = (owner.short() if few else owner).argsort(stable=True)
    pixel, owner = pixel[group], owner[group]
    object_of = torch.full_like(labels, -1, dtype=torch.int32)
    object_of[pixel] = owner.int()
    return BatchObjects(pixel, owner, counts, keys // span, object_of, images)
