"""Chooses thresholds and minimum size on validation images once training is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from spatialembed.data.data_set import DataSet
from spatialembed.inference.predictor import Model
from spatialembed.models.spec import ModelSpec
from spatialembed.training.validation import Setting, Validation, validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FOREGROUND_THRESHOLDS = (0.4, 0.5, 0.6)
"""Foreground thresholds that are tried, and the model's own."""

LEAST = 0.5
"""Share of the best AP that a default must have to be kept where few images judge it."""


def calibrate(
    model: Model,
    data: DataSet,
    fabric: Fabric | None = None,
    diameters: Sequence[float] | None = None,
) -> tuple[ModelSpec, Validation]:
    """The model's spec with thresholds and minimum size chosen on ``data``; see :func:`validate`.

    A setting leaves the default only for a clear margin: a few images decide little, and what
    wins on them by chance loses elsewhere. The seed threshold is chosen first, since it matters
    most, then all of them. A default is kept unless another is better beyond chance, image by
    image: zero lies below the 95 % interval (Student's t) of the gain. That takes a gain of two
    standard errors on many images, of 13 on two; a single image changes nothing. But where a
    default has less than :data:`LEAST` of the AP of another, as of a network whose seed scores do
    not reach it yet, it is left on any number of images. Images without an object count as
    :attr:`Validation.worth` has it, so that what is found in them weighs, too.
    """
    spec = model.spec
    sizes = sorted({max(1, spec.min_size // 2), spec.min_size, 2 * spec.min_size})
    thresholds = sorted({*FOREGROUND_THRESHOLDS, spec.foreground_threshold})
    choices = [(f, m) for f in thresholds for m in sizes]
    scores = validate(model, data, choices, fabric, diameters)
    default = Setting.of(spec)
    same = [s for s in scores.settings if s.foreground_threshold == default.foreground_threshold]
    same = [s for s in same if s.min_size == default.min_size]
    seed = _clearly_best(scores, same, default)
    chosen = _clearly_best(scores, scores.settings, seed)
    return replace(spec, **vars(chosen)), scores


def _clearly_best(
    scores: Validation, among: tuple[Setting, ...] | list[Setting], default: Setting
) -> Setting:
    """The best of ``among``, or ``default`` where that is not worse beyond chance."""
    row = {setting: scores.worth[i] for i, setting in enumerate(scores.settings)}
    ap = {setting: float(scores.ap[i].mean()) for i, setting in enumerate(scores.settings)}
    best = max(among, key=lambda setting: float(row[setting].mean()))
    if ap[default] < LEAST * ap[best]:
        return best
    gain = row[best] - row[default]
    if len(gain) < 2:
        return default
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return best if gain.mean() > stdtrit(len(gain) - 1, 0.975) * error else default
