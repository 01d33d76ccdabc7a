"""How each of several targets is clustered before calibration, by its training objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spatialembed.data.data_set import FileDataSet
from spatialembed.data.index import ObjectIndex
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError
from spatialembed.models.spec import ModelSpec, Target


def targets_of(
    train: FileDataSet, index: ObjectIndex, start: ModelSpec, min_size: int | None
) -> tuple[Target, ...]:
    """The targets of a data set; none of one target.

    Args:
        train: training images.
        index: their objects, without specks.
        start: what a run goes on with, whose thresholds are kept if it is of the same targets.
        min_size: of all targets, as asked for; None for each one's own.

    Raises:
        UserError: a target of specks alone.
    """
    if not isinstance(train, Targets):
        return ()
    same = bool(start.targets) and start.class_names == train.class_names
    known = start.targets if same else (Target(),) * len(train.each)
    made = []
    for k, (name, own) in enumerate(zip(train.class_names, known, strict=True)):
        objects = index.class_index == k
        if not objects.any():
            raise UserError(
                f"{train.root} has specks alone of {name} beside the objects of other targets: "
                "leave it out by --classes, or enlarge its images"
            )
        size = min_size or least_size(index.area[objects])
        diameter = float(np.median(index.diameter[objects]))
        made.append(replace(own, min_size=size, object_diameter=diameter))
    return tuple(made)


def least_size(areas: np.ndarray) -> int:
    """Fewest pixels of a found object, by those of the training objects."""
    return max(1, round(float(np.quantile(areas, 0.01)) / 2))
