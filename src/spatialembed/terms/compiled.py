"""All terms of the loss and their gradient on the CPU, by compiled kernels of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.autograd.function import once_differentiable

from spatialembed.embedding import (
    SIGMA_RANGE,
    clamped,
    inverse_squared_width,
    margin_to_sigma,
    per_axis,
)
from spatialembed.kernels.binning import Objects, Pixels, bin_pixels
from spatialembed.kernels.gradient import Pulls, output_gradient
from spatialembed.kernels.grid import Grid, make_grid
from spatialembed.kernels.instance import hinges, own_distances
from spatialembed.kernels.own import centroids, own_means, own_spread
from spatialembed.kernels.scratch import scratch
from spatialembed.kernels.seed import seed_errors
from spatialembed.kernels.threads import as_many_as_torch
from spatialembed.terms.centers import object_centers
from spatialembed.terms.device import has_kernels
from spatialembed.terms.instance import cutoffs
from spatialembed.terms.joint import Options
from spatialembed.terms.objects import BatchObjects, gather_objects, own_coordinates
from spatialembed.terms.seed import classes_of_objects

NAMES = ("instance", "variance", "seed", "drift")

LOW, HIGH = (np.float32(end) for end in SIGMA_RANGE)
INFINITE = np.float32(np.inf)


def compiled_terms(
    output: Float[Tensor, "B C *S"],
    label_mask: Int[Tensor, "B *S"],
    class_map: Shaped[Tensor, "B *S"] | None,
    valid: Bool[Tensor, "B *S"],
    options: Options,
) -> dict[str, Tensor] | None:
    """As :func:`spatialembed.terms.joint.joint_terms`, differentiable once, in float32.

    None where that is to do it: on other devices, and in float64.
    """
    if not has_kernels(output) or output.dtype == torch.float64:
        return None
    objects = gather_objects(label_mask, valid)
    classes, kind = output.shape[1] - (output.ndim - 2) - options.n_sigma, None
    if class_map is not None and classes > 1:
        kind = classes_of_objects(class_map.flatten()[objects.pixel], classes)
    found = _Terms.apply(output.float(), objects, kind, valid, options)
    terms = dict(zip((*NAMES, "total"), found, strict=True))
    if not options.has_drift:
        del terms["drift"]
    return terms


class _Known(NamedTuple):
    """What the gradient is made of; arrays as in kernels/gradient.py."""

    raw: np.ndarray
    turned: np.ndarray
    in_position: np.ndarray
    in_seed: np.ndarray
    taking_part: np.ndarray  # (B,) float64 pixels of each image
    in_center: np.ndarray  # (D, N) of the instance term
    in_drift: np.ndarray  # (D, N) of the drift term, in the centers
    in_sigma: np.ndarray  # (S, N) of the instance term, in the mean bandwidths; S = 0 if fixed
    mean_sigma: np.ndarray  # (S, N) float32
    share: np.ndarray  # (N,) as of the objects
    pixel: np.ndarray
    start: np.ndarray
    first: np.ndarray


class _Terms(torch.autograd.Function):
    """The terms and their total."""

    @staticmethod
    def forward(
        ctx: Any,
        output: Tensor,
        objects: BatchObjects,
        kind: Tensor | None,
        valid: Tensor,
        options: Options,
    ) -> tuple[Tensor, ...]:
        raw = output.flatten(2).contiguous()
        with as_many_as_torch() as threads:
            values, known = _joined(raw, objects, kind, valid, options, threads)
        ctx.save_for_backward(raw, *map(torch.from_numpy, known[1:]))
        ctx.options, ctx.shape = options, output.shape
        ctx.set_materialize_grads(False)
        total = sum(options.weights[n] * value for n, value in zip(NAMES, values, strict=True))
        return tuple(output.new_tensor(float(value)) for value in (*values, total))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
        *each, total = (0.0 if given is None else given.item() for given in upstream)
        into = [u + total * ctx.options.weights[n] for u, n in zip(each, NAMES, strict=True)]
        known = _Known(*(tensor.detach().numpy() for tensor in ctx.saved_tensors))
        with as_many_as_torch():
            gradient = _gradient(known, ctx.options.center == "learned", *into)
        return torch.from_numpy(gradient).view(ctx.shape), None, None, None, None


def _joined(
    raw: Tensor,
    objects: BatchObjects,
    kind: Tensor | None,
    valid: Tensor,
    options: Options,
    threads: int,
) -> tuple[list[float], _Known]:
    """All terms, and what their gradient is made of."""
    shape, dims, end = valid.shape[1:], valid.ndim - 1, valid.ndim - 1 + options.n_sigma
    own = _Own.of(objects)
    maps, single = (len(raw), dims, raw.shape[2]), (len(raw), raw.shape[2])
    numbers = raw.detach().numpy()
    turned = np.tanh(numbers[:, :dims])  # by one thread a seventh of torch's time
    lanes = max(1, -(-threads // max(len(raw), 1)))  # threads to an image
    at, *room = scratch(maps, single, single, maps, (lanes, *maps))
    _write_positions(torch.from_numpy(turned), shape, options, at)
    center, centroid = _centers(at, shape, objects, own, options)
    mean_sigma, spread = _bandwidths(numbers, dims, own, options)
    width = inverse_squared_width(mean_sigma)
    wide = np.ascontiguousarray(np.broadcast_to(width, center.shape))
    hinge, distance, in_position, in_center, in_width = _hinges(
        at, center, wide, objects, own, valid.numpy(), room
    )
    if options.n_sigma == 1:
        in_width = in_width.sum(0, keepdims=True)
    in_sigma = 10 * width * in_width if options.margin is None else in_width[:0]
    score = torch.sigmoid(raw[:, end:]).contiguous().numpy()
    phi = torch.exp(-torch.from_numpy(distance)).numpy()
    seed, taking_part = _seed(score, phi, objects, own, kind, valid, options)
    drift, in_drift = _drift(center - centroid if options.has_drift else None, objects)
    known = _Known(
        numbers, turned, in_position, score, taking_part, in_center,
        in_drift, in_sigma, mean_sigma, own.share, own.pixel, own.start, own.first,
    )  # fmt: skip
    return [hinge @ own.share, spread @ own.share, seed, drift], known


class _Own(NamedTuple):
    """The objects and their pixels, as kernels/own.py takes them."""

    pixel: np.ndarray  # (own,)
    start: np.ndarray  # (N + 1,) where each object's begin
    first: np.ndarray  # (B + 1,) where each image's objects begin
    share: np.ndarray  # (N,)

    @classmethod
    def of(cls, objects: BatchObjects) -> _Own:
        start = np.concatenate([[0], objects.counts.numpy().cumsum()])
        first = np.searchsorted(objects.image.numpy(), np.arange(objects.images + 1))
        return cls(objects.pixel.numpy(), start, first, objects.share.numpy())


def _write_positions(
    turned: Tensor, shape: Sequence[int], options: Options, at: np.ndarray
) -> None:
    """Write the embeddings (B, D, P), of tanh of the offsets, as ``embed`` gives them."""
    dims, position = len(shape), torch.from_numpy(at)
    for d, step in enumerate(per_axis(options.pitch, dims)):
        line = torch.arange(shape[-1 - d], dtype=torch.float32, device="cpu") * step
        place = line.view(-1, *[1] * d)
        along = (len(turned), *shape)
        torch.add(turned[:, d].view(along), place, out=position[:, d].view(along))


def _centers(
    at: np.ndarray, shape: Sequence[int], objects: BatchObjects, own: _Own, options: Options
) -> tuple[np.ndarray, np.ndarray]:
    """(D, N) centers, and centroids where these or drift are asked for."""
    centroid = np.empty((len(shape), 0), np.float32)
    if options.center == "medoid":
        place = own_coordinates(objects, shape, options.pitch, like=torch.from_numpy(at))
        return object_centers("medoid", place, objects.owner, objects.counts).numpy(), centroid
    if options.center == "centroid" or options.has_drift:
        steps = np.array(per_axis(options.pitch, len(shape)), np.float32)
        centroid = centroids(np.array(shape[::-1], np.int64), steps, own.pixel, own.start)
    if options.center == "centroid":
        return centroid, centroid
    return own_means(at, 0, len(shape), own.pixel, own.start, -INFINITE, INFINITE), centroid


def _bandwidths(
    raw: np.ndarray, dims: int, own: _Own, options: Options
) -> tuple[np.ndarray, np.ndarray]:
    """(S, N) mean bandwidths, and (N,) the variance around them."""
    if options.margin is not None:
        fixed = margin_to_sigma(options.margin, min(per_axis(options.pitch, dims)))
        sigma = np.full((options.n_sigma, len(own.share)), fixed, np.float32)
        return clamped(sigma), np.zeros(len(own.share))
    mean = own_means(raw, dims, dims + options.n_sigma, own.pixel, own.start, LOW, HIGH)
    return mean, own_spread(raw, dims, mean, own.pixel, own.start, LOW, HIGH)


def _hinges(
    at: np.ndarray,
    center: np.ndarray,
    width: np.ndarray,
    objects: BatchObjects,
    own: _Own,
    valid: np.ndarray,
    room: Sequence[np.ndarray],
) -> tuple[np.ndarray, ...]:
    """Hinges, own scaled distances, and gradients in position, center and width."""
    distance = own_distances(at, center, width, own.pixel, own.start)
    nearest = np.minimum.reduceat(distance, own.start[:-1]) if len(own.share) else distance
    cutoff = cutoffs(torch.from_numpy(nearest)).numpy()
    given = Objects(center, width, cutoff, own.share, own.first, own.start, own.pixel, distance)
    grid = _grid(center, np.sqrt(cutoff / width), at.shape[2])
    slot, owner, moved, in_cells = room
    start = np.zeros((len(at), grid.counts.prod() + 1), np.int32)
    near = Pixels(start, slot.view(np.int32), moved, owner.view(np.int32))
    bin_pixels(at, valid.reshape(-1), objects.object_of.numpy(), given, grid, near)
    in_position = np.empty_like(at)
    hinge, *rest = hinges(given, near, grid, in_cells, in_position)
    return (hinge, distance, in_position, *rest)


def _grid(center: np.ndarray, reach: np.ndarray, pixels: int) -> Grid:
    """A grid over all in reach, of cells of an eighth of a typical reach or four pixels."""
    # A thousandth more than the reach: rounding must not leave a pixel in reach outside.
    usable = np.isfinite(center).all(0) & np.isfinite(reach).all(0)
    if not usable.any():
        return make_grid(np.zeros(len(center)), np.zeros(len(center)), np.ones(len(center)), 1)
    low = (center - reach * 1.001)[:, usable].min(1).astype(np.float64)
    extent = (center + reach * 1.001)[:, usable].max(1) - low
    edge = np.maximum(np.median(reach[:, usable], 1).astype(np.float64) / 8, 1e-9)
    return make_grid(low, extent, edge, pixels // 4)


def _seed(
    score: np.ndarray,
    phi: np.ndarray,
    objects: BatchObjects,
    own: _Own,
    kind: Tensor | None,
    valid: Tensor,
    options: Options,
) -> tuple[float, np.ndarray]:
    """The seed term, whose gradient takes the place of the scores, and pixels of each image."""
    images, classes, pixels = score.shape
    weight = options.foreground_weight.float().expand(classes).contiguous().numpy()
    errors, taking_part = seed_errors(
        score, valid.flatten(1).numpy(), objects.object_of.view(images, pixels).numpy(), own.pixel,
        own.start[own.first], phi, np.empty(0, np.int64) if kind is None else kind.numpy(), weight,
    )  # fmt: skip
    taking_part = np.maximum(taking_part, 1)
    return (errors / taking_part).sum() / max(images, 1), taking_part


def _drift(moved: np.ndarray | None, objects: BatchObjects) -> tuple[float, np.ndarray]:
    """The drift term, of what (D, N) centers have moved, and its gradient in them."""
    if moved is None:
        return 0.0, np.empty((0, len(objects.counts)), np.float64)
    image, share = objects.image.numpy(), objects.share.numpy()
    mean = np.stack([np.bincount(image, along * share, objects.images) for along in moved])
    return (mean**2).sum() * objects.images, 2 * objects.images * mean[:, image] * share


def _gradient(
    known: _Known, learned: bool, instance: float, variance: float, seed: float, drift: float
) -> np.ndarray:
    """(B, C, P) gradient in the raw output, of the terms' weights."""
    images, counts = len(known.raw), np.diff(known.start)
    weight = [instance, *(2 * seed / (known.taking_part * max(images, 1)))]
    position = known.in_center[:0]
    if learned:
        position = instance * known.in_center
        if len(known.in_drift):
            position = position + drift * known.in_drift
        position = position / counts
    sigma = instance * known.in_sigma / counts
    spread = 2 * variance * known.share / (counts * len(known.mean_sigma))
    pulls = Pulls(*(a.astype(np.float32) for a in (position, sigma, known.mean_sigma, spread)))
    out = np.empty_like(known.raw)
    output_gradient(
        known.raw, known.turned, known.in_position, known.in_seed, np.array(weight, np.float32),
        pulls, known.pixel, known.start, known.first, LOW, HIGH, out,
    )  # fmt: skip
    return out
