"""Looks of images and of what is found in them; see :mod:`spatialembed.models.looks`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spatialembed.embedding import Array, sigmoid
from spatialembed.inference.channels import fitting
from spatialembed.inference.image_files import spacing_in
from spatialembed.kernels.foreground import as_float32
from spatialembed.models.looks import Look, Looks

if TYPE_CHECKING:
    from spatialembed.data.data_set import DataSet
    from spatialembed.inference.predictor import Model
    from spatialembed.instances import Instances

SAMPLED = 2**14
"""About as many pixels, evenly spaced, tell how an image looks. Eight times as many took a tenth of
the time of a folder of small images, and no trait of 15 images differed by more than .024."""

LOOKED_AT = 64
"""Images, evenly spaced, that tell what is usual."""

FEW = 0.001
"""Share of an image that a network must take for objects before it tells how sure it is."""


def look_at(model: Model, pixels: np.ndarray, output: Array, found: Instances) -> Look:
    """How an image looks.

    Args:
        model: what found the instances.
        pixels: (H, W, C) as stored, of the model's channels.
        output: its raw output, (2 + n_sigma + K, H, W).
        found: its instances.
    """
    return look_of(model, pixels, sampled_seeds(model, output), found)


def sampled_seeds(model: Model, output: Array) -> np.ndarray:
    """(K, h, w) float32 seed logits at the pixels that are looked at; few leave a GPU for them."""
    every = _every(output.shape[1:])
    return as_float32(output[2 + model.spec.n_sigma :, every, every])


def look_of(model: Model, pixels: np.ndarray, seeds: np.ndarray, found: Instances) -> Look:
    """As :func:`look_at`, by what :func:`sampled_seeds` takes of the raw output."""
    every = _every(pixels.shape)
    seen = model.fixed(pixels).normalized(pixels[every, every])
    score = np.asarray(sigmoid(seeds.max(0)))
    is_object = found.label_map[every, every] > 0
    bright = seen.mean(-1)
    planes = np.ascontiguousarray(np.moveaxis(seen, -1, 0))  # along which numpy goes sooner
    ground, light = np.quantile(bright, (0.25, 0.75))
    may_be = score[score > 0.1]
    return Look(
        float(ground),
        float(light),
        float(np.ptp(planes, axis=0).mean()),
        _brighter(bright[is_object], bright[~is_object]),
        float((may_be < 0.9).mean()) if may_be.size > FEW * score.size else None,
        float(score[is_object].mean()) if is_object.any() else None,
    )


def _every(shape: Sequence[int]) -> slice:
    step = max(1, math.isqrt(shape[0] * shape[1] // SAMPLED))
    return slice(None, None, step)


def _brighter(inside: np.ndarray, outside: np.ndarray) -> float | None:
    """How often a value of the one is above one of the other; equal ones count half."""
    if not inside.size or not outside.size:
        return None
    outside = np.sort(outside)
    sides = (np.searchsorted(outside, inside, side) for side in ("left", "right"))
    return float(sum(side.mean() for side in sides) / 2 / outside.size)


def usual_looks(model: Model, data: DataSet) -> Looks:
    """What is usual among images of a model's kind, best those that it was not trained on.

    Stored as ``spec.training["looks"]`` (``dataclasses.asdict`` of it), it lets ``predict`` warn
    of images of another kind.

    Args:
        model: as it will be used.
        data: one image or more, of which up to 64 are looked at.

    Raises:
        UserError: an image cannot be read, or its channels are not the model's.
    """
    numbers = np.linspace(0, len(data) - 1, min(len(data), LOOKED_AT)).astype(int)
    return Looks.of([_look_of(model, data, int(i)) for i in numbers])


def _look_of(model: Model, data: DataSet, i: int) -> Look:
    sample = data[i]
    model = model.for_image(sample.image, sample.name, spacing_in(data, i, model))
    output = model.output(sample.image, sample.name)
    pixels = fitting(model.name, model.spec, sample.image, sample.name)
    return look_at(model, pixels, output, model.cluster(output))
