"""All terms of the loss and their sum, by operations of torch, on any device and in float64.

compiled.py does the same on the CPU, terms/card on cards.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from spatialembed.embedding import Pitch, embed, inverse_squared_width
from spatialembed.terms.bandwidth import clamped_with_return
from spatialembed.terms.centers import Center, object_centers
from spatialembed.terms.drift import drift_term
from spatialembed.terms.instance import instance_term
from spatialembed.terms.objects import at_pixels, gather_objects, mean_by_object, own_coordinates
from spatialembed.terms.seed import seed_term
from spatialembed.terms.variance import variance_term


class Options(NamedTuple):
    """Of ``SpatialEmbeddingLoss``, which says what they are."""

    n_sigma: int
    center: Center
    pitch: Pitch
    margin: float | None
    foreground_weight: Float[Tensor, " 1 or K"]
    """float64."""
    weights: dict[str, float]
    """Of the terms, by name."""

    @property
    def has_drift(self) -> bool:
        """Whether there is a drift term."""
        return self.center == "learned" and bool(self.weights["drift"])


def joint_terms(
    output: Float[Tensor, "B C *S"],
    label_mask: Int[Tensor, "B *S"],
    class_map: Shaped[Tensor, "B *S"] | None,
    valid: Bool[Tensor, "B *S"],
    options: Options,
) -> dict[str, Tensor]:
    """The terms of a batch and their weighted sum, "total".

    Args:
        output: raw output.
        label_mask: object ids.
        class_map: classes.
        valid: pixels that take part.
        options: of the loss.
    """
    embedded = embed(output, options.n_sigma, options.pitch, options.margin, batched=True)
    objects = gather_objects(label_mask, valid)
    position = embedded.position.flatten(2)  # (B, D, P)
    place = own_coordinates(objects, valid.shape[1:], options.pitch, like=position)
    points = at_pixels(position, objects) if options.center == "learned" else place
    center = object_centers(options.center, points, objects.owner, objects.counts)
    # Of objects' pixels only: to clamp and copy whole maps took 5 of 23 ms for 5 objects.
    sigma = clamped_with_return(at_pixels(embedded.sigma.flatten(2), objects))
    mean_sigma = mean_by_object(sigma, objects.owner, objects.counts)
    width = inverse_squared_width(mean_sigma)
    instance, phi = instance_term(position, center, width, objects, valid.flatten())
    weight = options.foreground_weight
    terms = {
        "instance": instance,
        "variance": variance_term(sigma, mean_sigma, objects),
        "seed": seed_term(embedded.seed, phi, objects, class_map, valid, weight),
    }
    if options.has_drift:
        terms["drift"] = drift_term(center, place, objects)
    total = torch.stack([options.weights[name] * term for name, term in terms.items()]).sum()
    return {**terms, "total": total}
