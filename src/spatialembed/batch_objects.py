"""The objects of a batch by their pixels: what the terms of the loss sum over."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numba import prange
from torch import Tensor

from spatialembed.compiled import kernel
from spatialembed.threads import as_many_as_torch


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
    labels = torch.where(valid, label_mask, 0).flatten()
    images = len(label_mask)
    pixels = labels.numel() // max(images, 1)
    lowest, highest = (int(v) for v in labels.aminmax()) if labels.numel() else (0, 0)
    span = highest - lowest + 1
    close = images * span <= 2 * labels.numel()  # else there is no room for a table of ids
    if close and labels.device.type == "cpu":
        with as_many_as_torch():
            found = _gather(labels.view(images, pixels).numpy(), lowest, span)
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


@kernel(parallel=True)
def _gather(
    labels: np.ndarray[Any, Any], lowest: int, span: int
) -> tuple[np.ndarray[Any, Any], ...]:
    """The first five of :class:`BatchObjects`, of (B, P) ids from ``lowest`` on, ``span`` of them.

    A counting sort: several times as fast on the CPU as torch's sort and gathers.
    """
    images, pixels = labels.shape
    table = np.zeros((images, span), np.int64)
    for b in prange(images):
        for p in range(pixels):
            table[b, labels[b, p] - lowest] += 1
    objects = own = 0
    for b in range(images):
        if 0 <= -lowest < span:
            table[b, -lowest] = 0
        for i in range(span):
            objects += table[b, i] > 0
            own += table[b, i]
    counts, image = np.empty(objects, np.int64), np.empty(objects, np.int64)
    index, at = np.zeros((images, span), np.int32), np.zeros((images, span), np.int64)
    k = start = 0
    for b in range(images):
        for i in range(span):
            if table[b, i]:
                counts[k], image[k] = table[b, i], b
                index[b, i], at[b, i] = k, start
                k += 1
                start += table[b, i]
    pixel, owner = np.empty(own, np.int64), np.empty(own, np.int64)
    object_of = np.full(images * pixels, -1, np.int32)
    for b in prange(images):
        for p in range(pixels):
            if labels[b, p]:
                i = labels[b, p] - lowest
                to, k = at[b, i], index[b, i]
                pixel[to], owner[to], object_of[b * pixels + p] = b * pixels + p, k, k
                at[b, i] += 1
    return pixel, owner, counts, image, object_of
