"""A table of what was found: one row an instance, for spreadsheets and statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spatialembed.data.images.spacing import one_an_axis
from spatialembed.errors import missing_extra
from spatialembed.files.writing import write_csv
from spatialembed.formats.volume_measurements import in_channels, volume_measurements
from spatialembed.instances import Instances

SHAPE = ("perimeter", "eccentricity", "solidity", "axis_major_length", "axis_minor_length")
"""Properties of an instance's shape, in pixels, by scikit-image."""

MICROMETRES = ("area_um2", "equivalent_diameter_um")
"""Columns of images whose pixel size is known."""


def measurements(
    instances: Instances,
    image: np.ndarray | None = None,
    pixel_size: tuple[float, ...] | None = None,
) -> list[dict[str, object]]:
    """One row an instance, in their order.

    Args:
        instances: of an image (H, W).
        image: (H, W) or (H, W, C) pixels as stored, for mean intensities; None leaves them out.
        pixel_size: micrometres that a pixel is high and wide; None leaves out what needs it.

    Returns:
        Rows of "label" (as in the label map), "class", "score" in [0, 1], "area" in pixels, "y" and
        "x" of the centroid, box "y0", "x0", "y1", "x1" (half-open), the properties of
        :data:`SHAPE`, all in pixels; with a pixel size "area_um2" and "equivalent_diameter_um", of
        the disc of as much area; and "mean_0", "mean_1", … of the image's channels.

    Raises:
        UserError: scikit-image is missing, or a pixel size is not two numbers.
        ValueError: a volume, or a label map that was changed.
    """
    try:
        from skimage.measure import regionprops
    except ImportError as error:
        raise missing_extra("a table of measurements", "formats") from error
    if instances.label_map.ndim != 2:
        raise ValueError(f"measurements are for images, not {instances.label_map.ndim} axes")
    instances.require_unchanged()
    pixel_size = None if pixel_size is None else one_an_axis(pixel_size, 2)
    channels = None if image is None else in_channels(image, 2)
    rows = []
    for region in regionprops(instances.label_map, channels):
        k = region.label - 1
        y, x = region.centroid
        means = () if channels is None else np.atleast_1d(region.intensity_mean)
        values = (
            region.label,
            instances.class_names[instances.classes[k]],
            float(instances.scores[k]),
            int(region.area),
            round(float(y), 2),
            round(float(x), 2),
            *map(int, region.bbox),
            *(round(float(getattr(region, name)), 3) for name in SHAPE),
            *_in_micrometres(region.area, pixel_size),
            *(round(float(mean), 3) for mean in means),
        )
        rows.append(dict(zip(_columns(image, pixel_size), values, strict=True)))
    return rows


def _in_micrometres(pixels: float, size: tuple[float, ...] | None) -> tuple[float, ...]:
    """Values of the columns :data:`MICROMETRES`; none where the size of a pixel is not known."""
    if size is None:
        return ()
    area = float(pixels) * size[0] * size[1]
    return round(area, 4), round(math.sqrt(area * 4 / math.pi), 4)


def _columns(image: np.ndarray | None, pixel_size: tuple[float, ...] | None) -> list[str]:
    channels = 0 if image is None else math.prod(np.shape(image)[2:])
    means = [f"mean_{c}" for c in range(channels)]
    known = [] if pixel_size is None else MICROMETRES
    place = ["y", "x", "y0", "x0", "y1", "x1"]
    return ["label", "class", "score", "area", *place, *SHAPE, *known, *means]


def write_measurements(
    path: str | Path,
    instances: Instances,
    image: np.ndarray | None = None,
    spacing: tuple[float, ...] | None = None,
    more: Mapping[str, Sequence[object]] | None = None,
) -> None:
    """Write :func:`measurements` as CSV; of no instances, the names of the columns.

    Args:
        path: the file.
        instances: of an image, or of a volume, of which the table is that of
            :func:`~spatialembed.formats.volume_measurements.volume_measurements`.
        image: its pixels, for intensities.
        spacing: micrometres between pixels along (y, x), or the voxels of a volume along
            (z, y, x).
        more: further columns at the end, of one value an instance.

    Raises:
        UserError: scikit-image is missing, or the file cannot be written.
    """
    if instances.label_map.ndim == 3:
        table = volume_measurements(instances, image, spacing)
        columns, values = list(table), zip(*(each.tolist() for each in table.values()), strict=True)
        rows = [dict(zip(columns, row, strict=True)) for row in values]
    else:
        columns, rows = _columns(image, spacing), measurements(instances, image, spacing)
    for name, further in (more or {}).items():
        columns = [*columns, name]
        rows = [{**row, name: further[int(str(row["label"])) - 1]} for row in rows]
    write_csv(path, [columns, *(row.values() for row in rows)])
