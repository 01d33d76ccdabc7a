"""All terms of the loss and their gradient on a card, one kernel after the other."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from spatialembed.embedding import margin_to_sigma, per_axis, pixel_coordinates
from spatialembed.terms import hinges
from spatialembed.terms.card import cells as binning
from spatialembed.terms.card import objects as gathering
from spatialembed.terms.card import pairs, pixels
from spatialembed.terms.card.seeds import Seeds, finish, seed_sums
from spatialembed.terms.centers import object_centers
from spatialembed.terms.joint import Options
from spatialembed.terms.reach import cells_along
from spatialembed.terms.seed import classes_of_objects

CANDIDATES = 1 << 26
"""Pairs looked at together, a bound on memory: some 60 bytes for each within reach."""

NAMES = ("instance", "variance", "seed", "drift", "total")


def card_terms(
    output: Float[Tensor, "B C *S"],
    label_mask: Int[Tensor, "B *S"],
    class_map: Tensor | None,
    valid: Bool[Tensor, "B *S"],
    options: Options,
    few: int | None = None,
) -> dict[str, Tensor] | None:
    """As :func:`spatialembed.terms.joint.joint_terms`, differentiable once.

    Args:
        output, label_mask, class_map, valid, options: as there.
        few: pairs that are sorted by exact errors, as ``hinges.FEW``, which it is if None.

    Returns:
        None where operations of torch are for it: without objects, more axes than three, ids that
        are negative or large, or more pixels than 31 bits number.
    """
    number, images, dims = label_mask.numel(), len(label_mask), label_mask.ndim - 1
    if not number or dims > 3 or number >= gathering.NONE:
        return None
    if images * cells_along(number // images, dims) ** dims >= gathering.NONE:
        return None
    with torch.cuda.device_of(output):  # Triton works there
        valid = valid.contiguous()  # kernels go through memory
        objects = gathering.gather(label_mask, valid)
        if objects is None:
            return None
        kinds, classes = None, output.shape[1] - dims - options.n_sigma
        if class_map is not None and classes > 1:
            classes_of_objects(class_map.flatten()[objects.pixel], classes)
            kinds = class_map.flatten().long()
        weight = options.foreground_weight.to(output.device)  # the loss may be elsewhere
        options = options._replace(foreground_weight=weight)
        few = hinges.FEW if few is None else few
        raw = output.float().contiguous()
        found = _Terms.apply(raw, objects, kinds, valid, options, few)
    names = zip(NAMES, found, strict=True)
    return {name: term for name, term in names if name != "drift" or options.has_drift}


class _Terms(torch.autograd.Function):
    """The terms and their total."""

    @staticmethod
    def forward(
        ctx: Any,
        output: Tensor,
        objects: gathering.Objects,
        kinds: Tensor | None,
        valid: Tensor,
        options: Options,
        few: int,
    ) -> tuple[Tensor, ...]:
        terms, known = _joined(output, objects, kinds, valid.flatten(), options, few)
        ctx.save_for_backward(*known)
        ctx.options, ctx.shape = options, output.shape
        ctx.set_materialize_grads(False)
        return tuple(terms)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        options, known = ctx.options, pixels.Joined(*ctx.saved_tensors)
        *each, whole = upstream
        into = known.weights * (0.0 if whole is None else whole)
        if any(term is not None for term in each):
            zero = known.weights.new_zeros(())
            into = into + torch.stack([zero if term is None else term for term in each])
        learned = 0 if options.margin is not None else options.n_sigma
        classes = known.output.shape[1] - len(known.position) - options.n_sigma
        with torch.cuda.device_of(known.output):
            result = pixels.gradient(known, into, classes, learned, options.center == "learned")
        return result.view(ctx.shape), None, None, None, None, None


def _joined(
    raw: Tensor,
    objects: gathering.Objects,
    kinds: Tensor | None,
    valid: Tensor,
    options: Options,
    few: int,
) -> tuple[list[Tensor], pixels.Joined]:
    """All terms, and what their gradient is made of."""
    images, channels, *shape = raw.shape
    dims, sizes = len(shape), tuple(reversed(shape))
    steps = per_axis(options.pitch, dims)
    output = raw.flatten(2)
    turned = torch.tanh(output[:, :dims]).contiguous()
    position = pixels.positions(turned, sizes, steps)
    bandwidth, channel = output, dims
    if options.margin is not None:
        sigma = margin_to_sigma(options.margin, min(steps))
        bandwidth, channel = output.new_full((images, options.n_sigma, output.shape[2]), sigma), 0
    center = None
    if options.center == "medoid":
        place = pixel_coordinates(shape, steps, like=output).flatten(1)
        place = place[:, objects.pixel % place.shape[1]]
        center = object_centers("medoid", place, objects.behind, objects.start.long().diff())
    margins = gathering.reach(
        objects, position, bandwidth, channel, options.n_sigma, sizes, steps, images,
        options.center == "learned", center,
    )  # fmt: skip
    cells = binning.sort_into_cells(position, valid, objects, margins, images)
    back = pairs.Back(
        torch.empty_like(margins.distance), *position.new_empty(2, *margins.center.shape).unbind()
    )
    values = [
        pairs.hinges(position, cells, chunk, objects, margins, back, few)
        for chunk in binning.chunks_in_reach(cells, objects, margins, CANDIDATES)
    ]
    instance = values[0] if len(values) == 1 else torch.stack(values).sum()
    drift, in_drift = _drift(margins, objects, images) if options.has_drift else (None, None)
    seed = Seeds(objects.object_of, margins.phi, kinds, valid, options.foreground_weight)
    sums = seed_sums(output, channels - dims - options.n_sigma, seed).sum(2)
    weights = [float(options.weights[name]) for name in NAMES[:-1]]
    terms, into, scale = finish(instance, margins.variance, sums, drift, weights)
    return terms, pixels.Joined(
        output, turned, position, *objects[:3], margins.center, margins.sigma, margins.width,
        margins.share, *back, cells.pixel, cells.gradient, into, scale,
        in_drift, seed.object_of, seed.phi, kinds, valid, seed.foreground_weight,
    )  # fmt: skip


def _drift(
    margins: gathering.Reach, objects: gathering.Objects, images: int
) -> tuple[Tensor, Tensor]:
    """The drift term (float64), see terms/drift.py, and its gradient in the centers."""
    moved = (margins.center - margins.centroid) * margins.share  # float64
    mean = moved.new_zeros(len(moved), images).index_add_(1, objects.image, moved)
    gradient = (2 * images) * mean.index_select(1, objects.image) * margins.share
    return mean.square().sum() * images, gradient.float()
