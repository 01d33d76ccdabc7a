"""The drift term: learned centers do not move all together. Beyond the paper.

Nothing else keeps all embeddings of an image from it. Such a displacement grows over long training,
to where bfloat16 knows positions to several pixels only, and differs between an image and its
mirror image.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from spatialembed.terms.objects import BatchObjects, mean_by_object


def drift_term(
    center: Float[Tensor, "D objects"], place: Float[Tensor, "D own"], objects: BatchObjects
) -> Tensor:
    """Squared mean displacement of an image's centers from their objects' centroids.

    *Convention.* The mean over an image's objects comes before the square, so that centers may move
    apart from each other for nothing. Summed over axes, then the mean over images; one without
    objects adds 0 and counts. Nothing is validated. Summed in float64, given in the type of the
    centers. By hand: all centers 0.3 to the right of their centroids cost 0.3² = 0.09.

    Args:
        center: (D, N) learned centers.
        place: (D, own) coordinates of the objects' pixels, in the order of ``objects.pixel``.
        objects: the N objects.
    """
    moved = center - mean_by_object(place, objects.owner, objects.counts)
    images = max(objects.images, 1)
    mean = moved.new_zeros(len(moved), images, dtype=torch.float64)
    mean = mean.index_add(1, objects.image, moved.double() * objects.share * images)
    drift: Tensor = (mean**2).sum() / images
    return drift.to(center.dtype)
