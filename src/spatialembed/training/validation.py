"""Scores a model as it will be used, by clustering, on every validation image.

Instances are accepted in the order of their seed score, so those of a higher seed threshold are
the first ones of a lower threshold: one clustering serves every seed threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from spatialembed.data.data_set import DataSet
from spatialembed.data.sample import Sample
from spatialembed.inference.predictor import Model
from spatialembed.instances import Instances
from spatialembed.metrics.average_precision import Scores
from spatialembed.metrics.matching import Matching, match
from spatialembed.training.limits import validation_within_memory

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from spatialembed.models.spec import ModelSpec

SEED_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97)
"""Seed thresholds that are tried; the lowest one is clustered with."""


@dataclass(frozen=True, order=True)
class Setting:
    """What clustering is run with; see :func:`spatialembed.cluster`."""

    seed_threshold: float
    foreground_threshold: float
    min_size: int

    @classmethod
    def of(cls, spec: ModelSpec) -> Setting:
        """That of a model."""
        return cls(spec.seed_threshold, spec.foreground_threshold, spec.min_size)


@dataclass(frozen=True)
class Validation:
    """AP of every setting on every image.

    Attributes:
        settings: S settings.
        ap: (S, I) AP in [0, 1] of each image, over all classes, mean over IoU .50 to .90.
        ap50: (S, I) at IoU .50.
        spared: (S, I) of images without an object, whose AP is 0 whatever is found,
            1 / (1 + found objects); 0 of others. None where all have one.
    """

    settings: tuple[Setting, ...]
    ap: npt.NDArray[np.float64]
    ap50: npt.NDArray[np.float64]
    spared: npt.NDArray[np.float64] | None = None

    @property
    def worth(self) -> npt.NDArray[np.float64]:
        """(S, I) what calibration goes by: AP, and what is not found where nothing is."""
        return self.ap if self.spared is None else self.ap + self.spared

    @property
    def best(self) -> int:
        """Index of the setting with the highest mean AP, the first of equal ones."""
        return int(self.ap.mean(1).argmax())


def validate(
    model: Model,
    data: DataSet | Sequence[Sample],
    choices: Sequence[tuple[float, int]] | None = None,
    fabric: Fabric | None = None,
    diameters: Sequence[float] | None = None,
) -> Validation:
    """Score every seed threshold on all images of ``data``, in order.

    Args:
        model: network and settings.
        data: validation images with their truth.
        choices: (foreground threshold, minimum size) pairs to cluster with; the model's own if
            None.
        fabric: whose processes share the images; all get the scores of all. None for this alone.
        diameters: width of the objects of each image in pixels, where they are to be shown at one
            size; ``choices`` are then of that size. None: as the model sees images by itself.
    """
    choices = choices or [(model.spec.foreground_threshold, model.spec.min_size)]
    seeds = sorted({*SEED_THRESHOLDS, model.spec.seed_threshold})
    settings = tuple(Setting(s, f, m) for f, m in choices for s in seeds)
    ap, ap50, spared = np.zeros((3, len(settings), len(data)))
    first, processes = (0, 1) if fabric is None else (fabric.global_rank, fabric.world_size)
    for i in range(first, len(data), processes):
        sample = data[i]
        sized = model if diameters is None else model.seeing(diameters[i])
        with validation_within_memory(sample.name):
            output = sized.raw(sample.image)
        sizes = [(f, max(1, round(m / sized.size_ratio**2))) for f, m in choices]
        rows = [row for f, m in sizes for row in _score(sized, sample, output, seeds, f, m)]
        scores = Scores.stack(rows)
        ap[:, i], ap50[:, i] = scores.ap.mean(1), scores.ap[:, 0]
        empty = scores.tp[:, 0] + scores.fn[:, 0] == 0
        spared[:, i] = np.where(empty, 1 / (1 + scores.fp[:, 0]), 0.0)
    if fabric is not None and processes > 1:
        own = torch.from_numpy(np.stack([ap, ap50, spared]))
        whole: Any = fabric.all_reduce(own, reduce_op="sum")
        ap, ap50, spared = whole.cpu().numpy()
    return Validation(settings, ap, ap50, spared if spared.any() else None)


def matchings(
    model: Model,
    sample: Sample,
    output: npt.NDArray[np.float32],
    seeds: Sequence[float],
    foreground: float,
    min_size: int,
) -> list[Matching]:
    """What is found in one image at each of some increasing seed thresholds, beside its truth."""
    found = model.cluster(output, seeds[0], foreground, min_size, refined=False)
    whole = None if model.spec.refine else _match(found, sample)
    held: dict[int, Matching] = {}  # by the number of instances that are left
    counts = [int((found.scores >= np.float32(seed)).sum()) for seed in seeds]
    for seed, n in zip(seeds, counts, strict=True):
        if n in held:
            continue
        if whole is None:
            first = model.refined(found.at_least(seed), output, foreground, min_size)
            held[n] = _match(first, sample)
        else:
            held[n] = whole.first(n)
    return [held[n] for n in counts]


def _score(
    model: Model,
    sample: Sample,
    output: npt.NDArray[np.float32],
    seeds: Sequence[float],
    foreground: float,
    min_size: int,
) -> list[Scores]:
    """Scores of one image at each seed threshold, over all classes."""
    classes = range(len(model.spec.class_names))
    scores: dict[int, Scores] = {}
    found = matchings(model, sample, output, seeds, foreground, min_size)
    for matching in found:
        if id(matching) not in scores:
            each = [Scores.of(matching.of_class(k)) for k in classes]
            scores[id(matching)] = Scores.stack(each).pooled()
    return [scores[id(matching)] for matching in found]


def _match(found: Instances, sample: Sample) -> Matching:
    return match(found.label_map, sample.label_mask, sample.ignore, found.classes, sample.class_map)
