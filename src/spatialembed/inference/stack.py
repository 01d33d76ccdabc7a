"""Stacks by a model of images: found plane by plane, and joined through z where objects overlap.

A cheap first answer, not what a model of volumes gives: objects that touch in z are told apart by
their outlines in the planes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Shaped

from spatialembed.data.images.spacing import one_an_axis
from spatialembed.embedding import Array
from spatialembed.errors import UserError
from spatialembed.inference.channels import fitting
from spatialembed.inference.image_like import unmasked
from spatialembed.inference.looks import look_at
from spatialembed.inference.zoom import Part
from spatialembed.instances import Instances
from spatialembed.metrics.overlaps import common_pixels, runs
from spatialembed.models.input_warnings import tell
from spatialembed.models.looks import Look

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model

LEAST_IOU = 0.25
"""Of an object's outlines in two planes that follow each other."""


class InStack(NamedTuple):
    """What was found in a stack."""

    instances: Instances
    """Of three axes (z, y, x)."""
    look: Look
    """That of the plane with the most objects."""
    diameter: float | None
    """Median in pixels of the discs of the objects' areas in planes; None without an object."""


def predict_stack(
    model: Model,
    stack: Shaped[np.ndarray, "Z H W *C"],
    seed_threshold: float | None = None,
    foreground_threshold: float | None = None,
    min_size: int | None = None,
    name: str = "the stack",
    spacing: Sequence[float] | None = None,
) -> InStack:
    """Instances of a stack by a model of images.

    All planes are normalised as one image, so that none without objects is stretched to noise. A
    model that finds the size of objects does so once, in the plane of most contrast.

    Args:
        model: of images with the stack's channels.
        stack: (Z, H, W), or with channels as
            :func:`spatialembed.data.images.reading.read_stack` gives it.
        seed_threshold, foreground_threshold, min_size: of each plane, as in
            :meth:`Model.cluster`.
        name: what errors call the stack.
        spacing: micrometres between its voxels along (z, y, x), or in its planes along (y, x),
            where known.

    Raises:
        UserError: no such stack, the channels are not the model's, or a setting is out of its
            range.
    """
    stack = unmasked(stack)
    if spacing is not None:
        spacing = one_an_axis(spacing, 2 if np.size(spacing) == 2 else 3)[-2:]
    stack = stack[..., None] if stack.ndim == 3 else stack
    if model.spec.dims == 3:
        raise UserError(f"{model.name} is of volumes; what it predicts needs no stitching")
    if stack.ndim != 4 or not stack.size:
        raise UserError(f"{name} is no stack (Z, H, W) or (Z, H, W, C): its shape is {stack.shape}")
    depth, height, width, channels = stack.shape
    whole = fitting(model.name, model.spec, stack.reshape(depth * height, width, channels), name)
    planes = whole.reshape(depth, height, width, -1)
    tell(model.spec.normalization, whole, name)
    contrast = [float(np.nan_to_num(plane, posinf=0, neginf=0).std()) for plane in planes]
    sized = model.for_image(planes[int(np.argmax(contrast))], name, spacing)
    sized = sized.fixed(whole)
    found: list[Instances] = []
    fullest: tuple[int, np.ndarray, Array] = -1, planes[0], planes[0]
    for plane in planes:
        output = sized.output(plane, name, Part.whole((height, width)))  # all was told of them
        found.append(sized.cluster(output, seed_threshold, foreground_threshold, min_size))
        if fullest[0] < 0 or len(found[-1]) > len(found[fullest[0]]):
            fullest = len(found) - 1, plane, output
    number, plane, output = fullest
    look = look_at(sized, plane, output, found[number])
    areas = np.concatenate([one.areas for one in found])
    return InStack(stitched(found), look, median_diameter(areas))


def median_diameter(areas: Shaped[np.ndarray, " N"]) -> float | None:
    """Median in pixels of the discs of such areas; None of none."""
    return float(np.sqrt(np.median(areas) * 4 / np.pi)) if len(areas) else None


def stitched(planes: Iterable[Instances], least: float = LEAST_IOU) -> Instances:
    """Objects of planes joined to objects of the stack.

    Two of planes that follow each other are one where they are of one class and their IoU is
    ``least`` or more; each has one partner at most in the next plane, pairs of the highest IoU
    first. An object has the highest score of its parts.

    Args:
        planes: instances of images of one size, in their order.
        least: in (0, 1].

    Raises:
        ValueError: no plane, planes of several sizes, or ``least`` out of its range.
    """
    found = list(planes)
    if len({plane.label_map.shape for plane in found}) != 1 or not 0 < least <= 1:
        raise ValueError(f"planes are one or more of one size, and {least} is to be in (0, 1]")
    maps = np.stack([plane.label_map for plane in found])
    first = np.concatenate([[0], np.cumsum([len(plane) for plane in found])])  # number of a part
    root = np.arange(first[-1])
    for z, (above, below) in enumerate(pairwise(found)):
        for upper, lower in _partners(above, below, least):
            root[first[z + 1] + lower] = root[first[z] + upper]
    scores = np.concatenate([plane.scores for plane in found])
    classes = np.concatenate([plane.classes for plane in found])
    kept, own = np.unique(root, return_inverse=True)
    best = np.zeros(len(kept), np.float32)
    np.maximum.at(best, own, scores)
    order = np.argsort(-best, kind="stable")
    rank = np.empty(len(kept), np.int32)
    rank[order] = np.arange(1, len(kept) + 1)
    for z, plane in enumerate(maps):
        table = np.concatenate([[0], rank[own[first[z] : first[z + 1]]]]).astype(np.int32)
        plane[:] = table[plane]
    return Instances.from_label_map(maps, best[order], classes[kept[order]], found[0].class_names)


def _partners(above: Instances, below: Instances, least: float) -> Iterator[tuple[int, int]]:
    """Pairs of instances that are one object, from 0."""
    (one, other), lengths = runs(above.label_map, below.label_map)
    upper, lower, common = common_pixels(one, other, lengths)
    iou = common / (above.areas[upper] + below.areas[lower] - common)
    fits = (iou >= least) & (above.classes[upper] == below.classes[lower])
    taken: tuple[set[int], set[int]] = set(), set()
    for k in sorted(np.flatnonzero(fits), key=lambda k: -iou[k]):
        pair = int(upper[k]), int(lower[k])
        if pair[0] not in taken[0] and pair[1] not in taken[1]:
            taken[0].add(pair[0])
            taken[1].add(pair[1])
            yield pair
