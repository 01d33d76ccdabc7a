"""Instances as polygons: GeoJSON for QuPath, and ROIs for ImageJ and Fiji."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from spatialembed.errors import missing_extra
from spatialembed.files.writing import atomic_write
from spatialembed.instances import Instances

Ring = np.ndarray
"""(N, 2) float64 corners x, y of a closed line; the first is the last again."""


def polygons(instances: Instances, k: int) -> list[list[Ring]]:
    """The parts of an instance, as :func:`rings_of` gives them, in pixels of the image.

    Args:
        instances: of an image.
        k: row of the instance.

    Raises:
        UserError: scikit-image is missing.
        ValueError: a volume.
    """
    if instances.label_map.ndim != 2:
        raise ValueError(f"outlines are for images, not {instances.label_map.ndim} axes")
    corner = instances.boxes[k, 1::-1]
    return [[ring + corner for ring in rings] for rings in rings_of(instances.mask(k))]


def rings_of(mask: np.ndarray) -> list[list[Ring]]:
    """The parts of a mask (H, W) bool, each its outer line followed by those of its holes.

    A line runs half-way between pixels in and out, in coordinates in which the upper left pixel
    covers 0 to 1: the centers of just the mask's pixels lie inside. Pixels that touch at a
    corner alone are parts of their own.

    Raises:
        UserError: scikit-image is missing.
    """
    try:
        from skimage.measure import find_contours
    except ImportError as error:
        raise missing_extra("outlines", "formats") from error
    from scipy import ndimage  # here: its import takes a sixth of a prediction's start

    parts, count = ndimage.label(np.pad(mask, 1))
    found = []
    for part in range(1, count + 1):
        # "low": pixels that touch at a corner alone are parts of their own, as ndimage has them.
        lines = find_contours(parts == part, 0.5, fully_connected="low")  # type: ignore[no-untyped-call]
        # Back by the padding of 1, on by 0.5 from centers of pixels to their corners.
        rings = [line[:, ::-1] - 0.5 for line in lines]
        outer = max(range(len(rings)), key=lambda i: float(np.ptp(rings[i], axis=0).sum()))
        found.append([rings[outer], *(ring for i, ring in enumerate(rings) if i != outer)])
    return found


def geojson(instances: Instances) -> dict[str, Any]:
    """A GeoJSON FeatureCollection of plain types that ``json`` writes, for QuPath and others.

    A feature is an instance: a Polygon or, of several parts, a MultiPolygon in pixels; QuPath
    imports it as a detection with its class, and its score as a measurement.

    Raises:
        UserError: scikit-image is missing.
        ValueError: a volume.
    """
    features = []
    for k in range(len(instances)):
        parts = [[ring.tolist() for ring in rings] for rings in polygons(instances, k)]
        one = len(parts) == 1
        features.append(
            {
                "type": "Feature",
                "geometry": {
                    "type": "Polygon" if one else "MultiPolygon",
                    "coordinates": parts[0] if one else parts,
                },
                "properties": {
                    "objectType": "detection",
                    "name": str(k + 1),
                    "classification": {"name": instances.class_names[instances.classes[k]]},
                    "measurements": {"score": float(instances.scores[k])},
                },
            }
        )
    return {"type": "FeatureCollection", "features": features}


def write_imagej_rois(path: str | Path, instances: Instances) -> None:
    """Write a zip of polygon ROIs that ImageJ's ROI Manager opens, named "1", "2", …

    An ROI is the outer line of an instance; further parts are named "1-2", "1-3", and holes,
    which such an ROI cannot have, are filled.

    Raises:
        UserError: roifile or scikit-image is missing, or the file cannot be written.
        ValueError: a volume.
    """
    try:
        import roifile
    except ImportError as error:
        raise missing_extra("ImageJ ROIs", "formats") from error
    with atomic_write(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as file:
        for name, line in _outer(instances):
            roi = roifile.ImagejRoi.frompoints(line.astype(np.float32), name=name)
            file.writestr(f"{name}.roi", roi.tobytes())


def _outer(instances: Instances) -> Iterator[tuple[str, Ring]]:
    for k in range(len(instances)):
        for part, (outer, *_) in enumerate(polygons(instances, k), 1):
            yield (f"{k + 1}" if part == 1 else f"{k + 1}-{part}"), outer[:-1]
