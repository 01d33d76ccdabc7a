"""The instance term: the Lovász hinge of each object's membership φ, and its gradient.

Neven et al. 2019, section 3: the hinge of the margin logits 2 φ − 1 against an object's mask
runs over the whole image, once per object. Nearly all of these pixels add nothing, so this does:

1. φ of each object's own pixels. The error of one is 2 − 2 φ; of a pixel off the object it is 2 φ.
2. How far the object reaches. The hinge's weight of a pixel off the mask is 0 once every pixel
   inside has come before it in the order of errors (``I = 0``, see lovasz.py). So only those count
   whose error is above the least one inside: leaving out the others changes nothing. A pixel with
   φ below ``NEGLIGIBLE`` is left out in any case.
3. The pixels within reach. Embeddings are binned into a grid of cells, in which they lie in a few
   runs of neighbouring cells.
4. The errors of an object, inside and within reach, sorted from large to small and weighted by the
   closed forms of lovasz.py.

The cost follows the pixels within reach, not objects times image. On the CPU compiled kernels
(kernels/binning.py and reach.py for step 3, instance.py and hinge.py for the rest) do this object
by object for terms/compiled.py; on any other device, and in float64, the same steps are operations
of torch over all objects at once, here (terms/reach.py and near.py for step 3, hinges.py for the
rest), on cards where it can be kernels of Triton (terms/card). All give value and gradient
together.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from spatialembed.embedding import scaled_distance
from spatialembed.terms.hinges import torch_hinges
from spatialembed.terms.objects import BatchObjects
from spatialembed.terms.reach import Margins, sort_into_cells

NEGLIGIBLE = 1e-6
"""Pixels off an object with φ below this are always left out of its hinge."""


def instance_term(
    position: Float[Tensor, "B D pixels"],
    center: Float[Tensor, "D objects"],
    width: Float[Tensor, "S objects"],
    objects: BatchObjects,
    valid: Bool[Tensor, " pixels"],
) -> tuple[Tensor, Float[Tensor, " own"]]:
    """Mean hinge over the objects of each image, then over images; an image without adds 0.

    *Convention.* Logits are 2 φ − 1, so that a pixel is right by a margin only where φ is 1 inside
    and 0 outside. Nothing is validated; an object whose center or width is no number reaches no
    other pixel. φ is of the type of ``position``, as is the result; sums of the hinge are float64.
    By hand: a lone pixel with φ = ½ costs 2 − 2 φ = 1, with φ = 1 nothing.

    Args:
        position: (B, D, P) embeddings of all pixels of the batch.
        center: (D, N) object centers.
        width: (1 or D, N) inverse squared widths s.
        objects: the N objects.
        valid: (B · P,) pixels that take part.

    Returns:
        The term, differentiable once in ``position``, ``center`` and ``width``; and φ of each
        object pixel to its own object, in the order of ``objects.pixel``, detached.
    """
    term, phi = _Term.apply(position, center, width.expand_as(center), objects, valid)
    return term, phi


def cutoffs(nearest: Float[Tensor, " objects"]) -> Float[Tensor, " objects"]:
    """Scaled distance each object reaches, from that of its nearest own pixel: step 2."""
    # Half of it: that of φ. A little less, so that rounding loses no pixel; one too many adds 0.
    least_error = -torch.expm1(-nearest) * (1 - 1e-5)
    # The upper bound keeps the cutoff, and with it the cells, above 0.
    return -least_error.clamp(NEGLIGIBLE, 1 - 1e-7).log()


class _Term(torch.autograd.Function):
    """Value and gradient of the term at once."""

    @staticmethod
    def forward(
        ctx: Any,
        position: Tensor,
        center: Tensor,
        width: Tensor,
        objects: BatchObjects,
        valid: Tensor,
    ) -> tuple[Tensor, Tensor]:
        term, own, gradient = _by_torch(position, center, width, objects, valid)
        ctx.save_for_backward(*gradient)
        phi = torch.exp(-own)
        ctx.mark_non_differentiable(phi)
        return term, phi

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return (*(upstream * gradient for gradient in ctx.saved_tensors), None, None)


def _by_torch(
    position: Tensor, center: Tensor, width: Tensor, objects: BatchObjects, valid: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The term, the own scaled distances, and gradients in position, center and width."""
    images, dims = position.shape[:2]
    if not len(objects.counts):
        gradients = (torch.zeros_like(t) for t in (position, center, width))
        return position.new_zeros(()), position.new_zeros(0), tuple(gradients)
    flat = position.movedim(1, 0).flatten(1)  # (D, B·P)
    difference = flat.index_select(1, objects.pixel) - center.index_select(1, objects.owner)
    own = scaled_distance(difference, 0, width.index_select(1, objects.owner))
    nearest = torch.segment_reduce(own, "min", lengths=objects.counts, unsafe=True)
    center, width = center.contiguous(), width.contiguous()
    margins = Margins.of(center, width, cutoffs(nearest), objects.image)
    cells = sort_into_cells(flat, valid, objects.object_of, margins, images)
    term, in_position, in_center, in_width = torch_hinges(
        flat, difference, own, cells, margins, objects
    )
    in_position = in_position.view(dims, images, -1).movedim(0, 1)
    return term.to(position.dtype), own, (in_position, in_center, in_width)
