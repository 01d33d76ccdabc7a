"""The table of what was found in a volume, as measurements.py has it of an image."""

from __future__ import annotations

import numpy as np

from spatialembed.data.images.spacing import one_an_axis
from spatialembed.errors import missing_extra
from spatialembed.instances import Instances

INTENSITIES = ("mean", "min", "max")
"""Of each channel."""


def volume_measurements(
    instances: Instances,
    image: np.ndarray | None = None,
    spacing: tuple[float, ...] | None = None,
) -> dict[str, np.ndarray]:
    """Columns with one value an instance, in their order.

    Args:
        instances: of a volume (Z, H, W).
        image: (Z, H, W) or (Z, H, W, C) voxels as stored, for intensities; None leaves them out.
        spacing: micrometres between voxels along z, y and x; None leaves out what needs it.

    Returns:
        "label" (as in the label map), "class", "score" in [0, 1], "voxels", "z", "y" and "x" of
        the centroid and box "z0", "y0", "x0", "z1", "y1", "x1" (half-open) in voxels,
        "equivalent_diameter" in voxels, of the ball of as many; with a spacing "volume_um3" and
        "equivalent_diameter_um"; and "mean_0", "min_0", "max_0", "mean_1", … of the image's
        channels.

    Raises:
        UserError: scikit-image is missing, or a spacing is not three numbers.
        ValueError: no volume, or a label map that was changed.
    """
    try:
        from skimage.measure import regionprops_table
    except ImportError as error:
        raise missing_extra("a table of measurements", "formats") from error
    if instances.label_map.ndim != 3:
        raise ValueError(f"instances are of a volume, not of {instances.label_map.ndim} axes")
    instances.require_unchanged()
    spacing = None if spacing is None else one_an_axis(spacing, 3)
    channels = None if image is None else in_channels(image, 3)
    asked = ["label", "area", "centroid", "bbox"]
    asked += [] if channels is None else [f"intensity_{name}" for name in INTENSITIES]
    held = regionprops_table(instances.label_map, channels, asked)
    of, voxels = held["label"] - 1, held["area"].astype(np.int64)
    table = {
        "label": held["label"],
        "class": np.array(instances.class_names)[instances.classes[of]],
        "score": instances.scores[of].astype(float),
        "voxels": voxels,
        **{axis: held[f"centroid-{k}"].round(2) for k, axis in enumerate("zyx")},
        **{f"{a}{end}": held[f"bbox-{k + 3 * end}"] for end in (0, 1) for k, a in enumerate("zyx")},
        "equivalent_diameter": _ball(voxels),
    }
    if spacing is not None:
        volume = voxels * np.prod(spacing)
        table |= {"volume_um3": volume.round(4), "equivalent_diameter_um": _ball(volume)}
    for c in range(0 if channels is None else channels.shape[3]):
        table |= {f"{name}_{c}": held[f"intensity_{name}-{c}"].round(3) for name in INTENSITIES}
    return table


def in_channels(image: np.ndarray, dims: int) -> np.ndarray:
    """(*S, C) of (*S) or (*S, C); floats as float64: means have the type of what they are of."""
    stored = np.asarray(image)
    channels = stored.reshape(*stored.shape[:dims], -1)
    return channels.astype(np.float64) if channels.dtype.kind == "f" else channels


def _ball(volume: np.ndarray) -> np.ndarray:
    """Diameter of the ball of such a volume."""
    return np.asarray(np.cbrt(volume * (6 / np.pi)).round(3))
