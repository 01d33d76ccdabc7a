"""The Lovász hinge: a convex surrogate of one minus the IoU of a binary mask.

Berman, Rannen Triki, Blaschko: *The Lovász-Softmax loss*, CVPR 2018, algorithm 1 and equation 9.

Sorting a mask's errors from large to small and adding pixels in that order, the IoU loss grows by
``1/U`` at a pixel inside the mask and by ``I/(U(U−1))`` at one outside, where ``I`` and ``U`` are
the intersection and union after it. These closed forms replace differences of cumulative sums:
they lose no digits however large the image.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def lovasz_hinge(
    logits: Float[Tensor, "masks pixels"], labels: Bool[Tensor, "masks pixels"]
) -> Float[Tensor, " masks"]:
    """Lovász hinge of each mask over all of its pixels.

    *Convention.* Masks are flat, (N, P), and not reduced over: one loss each, of the type of the
    logits and summed in float64. Nothing is validated. By hand: logits of 1 inside and −1 outside
    cost 0; of 0 everywhere 1; of −1 inside and 1 outside, an error of 2 each, 2.

    Args:
        logits: (N, P) score of each pixel, positive where the mask is predicted.
        labels: (N, P) the true masks.

    Returns:
        (N,) loss of each mask, 0 where every pixel is right by a margin of 1.

    Example:
        One pixel beside a mask of four is wrong by 1, an error of 2. The IoU falls to 4/5 by it.

        >>> mask = torch.tensor([[0, 0, 0, 0, 0, 0],
        ...                      [0, 1, 1, 0, 0, 0],
        ...                      [0, 1, 1, 0, 0, 0],
        ...                      [0, 0, 0, 0, 0, 0]]).bool()
        >>> logits = torch.where(mask, 1.0, -1.0)
        >>> logits[1, 3] = 1
        >>> lovasz_hinge(logits.reshape(1, -1), mask.reshape(1, -1))
        tensor([0.4000])
    """
    errors = (1 - torch.where(labels, logits, -logits)).clamp(min=0)
    segment = torch.arange(len(logits), device=logits.device).repeat_interleave(logits.shape[1])
    return lovasz_hinge_segments(errors.flatten(), labels.flatten(), segment, len(logits))


def lovasz_hinge_segments(
    errors: Float[Tensor, " pairs"],
    labels: Bool[Tensor, " pairs"],
    segment: Int[Tensor, " pairs"],
    segments: int,
) -> Float[Tensor, " segments"]:
    """Lovász hinge of many masks at once, each given only by the pixels that matter to it.

    A pixel left out must have error 0, or so close to 0 that it may be neglected.

    Args:
        errors: (M,) hinge error of each (mask, pixel) pair, at least 0.
        labels: (M,) whether the pixel is in the mask; all pixels of a mask must be there.
        segment: (M,) which mask a pair belongs to, in [0, segments), in any order.
        segments: number of masks.

    Returns:
        (segments,) loss of each mask; 0 for a mask without pairs.
    """
    # All masks in two sorts, the second of which keeps the first's order: a loop over masks would
    # start operations by the object.
    order = errors.detach().argsort(descending=True)
    order = order[segment[order].argsort(stable=True)]
    pairs = torch.bincount(segment, minlength=segments)
    positives = torch.bincount(segment[labels], minlength=segments)
    steps = iou_loss_steps(labels[order], pairs, positives, torch.float64)
    # In float64: a large mask adds up hundreds of thousands of small numbers.
    total = steps.new_zeros(segments).index_add(0, segment[order], errors[order] * steps)
    return total.to(errors.dtype)


def iou_loss_steps(
    labels: Bool[Tensor, " pairs"],
    pairs: Int[Tensor, " segments"],
    positives: Int[Tensor, " segments"],
    dtype: torch.dtype,
) -> Float[Tensor, " pairs"]:
    """Growth of each mask's IoU loss as its pixels, sorted, turn wrong one after another.

    Args:
        labels: (M,) whether a pixel is in its mask, mask by mask, by error from large to small.
        pairs: (segments,) how many of them each mask has.
        positives: (segments,) how many of these are inside.
        dtype: of the result; the closed forms are exact to its last digits, while differences of
            the cumulative IoU loss of algorithm 1 cancel where a mask is large.
    """
    segment = torch.repeat_interleave(pairs.int(), output_size=len(labels))
    inside, number = positives.cumsum(0), pairs.cumsum(0)
    wrong_inside = labels.cumsum(0, dtype=torch.int32)  # of all masks so far, as the next two
    intersection = inside.int().index_select(0, segment) - wrong_inside
    rank = torch.arange(1, len(labels) + 1, dtype=torch.int32, device=labels.device)
    union = (inside - number + pairs).int().index_select(0, segment) + rank - wrong_inside
    union = union.to(dtype)
    outside = intersection / (union * (union - 1))
    # Of an empty mask the IoU loss jumps from 0 to 1 at the first wrong pixel and stays there.
    return torch.where(labels | (union == 1), 1 / union, outside)
