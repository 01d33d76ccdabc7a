"""The seed term: every pixel learns how well it points at its object's center.

Neven et al. 2019, section 3, the seed map.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from spatialembed.terms.label_types import as_integers
from spatialembed.terms.objects import BatchObjects


def seed_term(
    logits: Float[Tensor, "B K *S"],
    phi: Float[Tensor, " own"],
    objects: BatchObjects,
    class_map: Shaped[Tensor, "B *S"] | None,
    valid: Bool[Tensor, "B *S"],
    foreground_weight: Float[Tensor, " 1 or K"],
) -> Tensor:
    """Squared error of each class's seed map: φ on its objects, 0 elsewhere.

    *Convention.* Summed over classes and valid pixels, divided by the number of valid pixels (at
    least 1), then the mean over images. Scores are the sigmoids of the logits. Only classes on
    objects are validated. Everything is of the type of the logits, sums too. By hand: one pixel of
    background with logit 0 costs (½ − 0)² = ¼; one of an object with φ = 1 and a foreground weight
    of 10 costs 10 (½ − 1)² = 2.5.

    Args:
        logits: (B, K, *spatial).
        phi: (own,) detached φ of the objects' pixels, in the order of ``objects.pixel``.
        objects: the objects.
        class_map: (B, *spatial) class of each object pixel; None for class 0.
        valid: (B, *spatial) pixels that take part.
        foreground_weight: of pixels of objects, one or one a class; others weigh 1.

    Raises:
        ValueError: a class outside 0 to K − 1, or no whole number, on an object.
    """
    score = logits.flatten(2).sigmoid()  # (B, K, P)
    images, classes, pixels = score.shape
    kind = torch.zeros_like(objects.owner)
    if class_map is not None and classes > 1:
        kind = classes_of_objects(class_map.flatten()[objects.pixel], classes)
    # Maps of targets and weights, not a gather of the objects' pixels: their gradient is the
    # faster of the two, a product where the other's is a scatter.
    taking_part = valid.flatten(1)
    weight = taking_part.to(score.dtype).unsqueeze(1).repeat(1, classes, 1)
    target = score.new_zeros(score.shape)
    own = objects.pixel
    if classes > 1:
        own = own + ((classes - 1) * (own // pixels) + kind) * pixels  # of (B, K, P)
    weight.view(-1)[own] = foreground_weight.to(score).expand(classes)[kind]
    target.view(-1)[own] = phi.to(score.dtype)
    per_image = ((score - target).square() * weight).sum((1, 2))
    return (per_image / taking_part.sum(1).clamp(min=1)).sum() / max(images, 1)


def classes_of_objects(given: Shaped[Tensor, " own"], classes: int) -> Int[Tensor, " own"]:
    """What a class map holds at objects' pixels, as int64; waits for the device once.

    Raises:
        ValueError: a class outside 0 to ``classes`` − 1, or no whole number.
    """
    kind = as_integers(given, "class_map").long()
    lowest, highest = torch.stack(kind.aminmax()).tolist() if len(kind) else (0, 0)
    if not 0 <= lowest <= highest < classes:
        raise ValueError(f"class_map must be 0 to {classes - 1} on every object pixel")
    return kind
