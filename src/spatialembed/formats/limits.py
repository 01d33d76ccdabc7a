"""What the formats of images cannot hold: volumes, and classes without an id."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spatialembed.instances import Instances


def image_size(label_map: np.ndarray) -> tuple[int, int]:
    """Height and width of a label map; a ValueError for a volume."""
    if label_map.ndim != 2:
        raise ValueError(f"this format holds images, not {label_map.ndim} axes; write a TIFF")
    return label_map.shape[0], label_map.shape[1]


def class_ids(instances: Instances, ids: Mapping[str, int]) -> list[int]:
    """The format's id of each instance's class; a ValueError for a class without one."""
    names = [instances.class_names[k] for k in instances.classes]
    missing = sorted(set(names) - set(ids))
    if missing:
        raise ValueError(f"no id was given for class {', '.join(missing)}, only for {sorted(ids)}")
    return [int(ids[name]) for name in names]
