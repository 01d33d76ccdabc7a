"""Instances as polygons: GeoJSON for QuPath, and ROIs for ImageJ and Fiji.

Of a volume each plane has its own, since both programs draw on planes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from spatialembed.errors import missing_extra
from spatialembed.files.writing import atomic_write
from spatialembed.instances import Instances
from spatialembed.pictures import distinct_colors

Ring = np.ndarray
"""(N, 2) float64 corners x, y of a closed line; the first is the last again."""


def polygons(instances: Instances, k: int) -> list[list[Ring]]:
    """The parts of an instance, each its outer line followed by those of its holes.

    A line runs half-way between pixels in and out, in coordinates in which the upper left pixel
    covers 0 to 1: the centers of just the instance's pixels lie inside. Pixels that touch at a
    corner alone are parts of their own.

    Args:
        instances: of an image.
        k: row of the instance.

    Raises:
        UserError: scikit-image is missing.
        ValueError: a volume.
    """
    if instances.label_map.ndim != 2:
        raise ValueError(f"outlines are for images, not {instances.label_map.ndim} axes")
    y, x = instances.boxes[k, :2]
    return rings_of(instances.mask(k), int(y), int(x))


def outlines(instances: Instances, k: int) -> Iterator[tuple[int | None, list[list[Ring]]]]:
    """What an instance's :func:`polygons` are: of an image (None, those), of a volume of each plane
    that it is in (z, those), z from 0.

    Raises:
        UserError: scikit-image is missing.
    """
    if instances.label_map.ndim == 2:
        yield None, polygons(instances, k)
        return
    z, y, x = map(int, instances.boxes[k, :3])
    for depth, plane in enumerate(instances.mask(k), z):
        if plane.any():
            yield depth, rings_of(plane, y, x)


def rings_of(mask: np.ndarray, y: int, x: int) -> list[list[Ring]]:
    """The :func:`polygons` of a mask (H, W) bool whose upper left pixel is at x, y.

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
        lines = find_contours(parts == part, 0.5, fully_connected="low")
        # Back by the padding of 1, on by 0.5 from centers of pixels to their corners.
        rings = [line[:, ::-1] + (x - 0.5, y - 0.5) for line in lines]
        outer = max(range(len(rings)), key=lambda i: float(np.ptp(rings[i], axis=0).sum()))
        found.append([rings[outer], *(ring for i, ring in enumerate(rings) if i != outer)])
    return found


def geojson(instances: Instances) -> dict[str, Any]:
    """A GeoJSON FeatureCollection of plain types that ``json`` writes, for QuPath and others.

    A feature is an instance, of a volume an instance in a plane: a Polygon or, of several parts, a
    MultiPolygon in pixels. QuPath imports it as a detection with its class, its number as name and
    its score as a measurement, and takes the plane from the geometry's "plane" (where its
    ROITypeAdapters read and write it; z counts from 0, c of -1 is every channel).

    Raises:
        UserError: scikit-image is missing.
        ValueError: the label map was changed.
    """
    colors = distinct_colors(len(instances.class_names)).tolist()
    return {"type": "FeatureCollection", "features": features(instances, colors)}


def features(instances: Instances, colors: list[list[int]]) -> list[dict[str, Any]]:
    """Those of :func:`geojson`, in the order of instances; a color a class.

    Raises:
        UserError: scikit-image is missing.
        ValueError: the label map was changed.
    """
    instances.require_unchanged()
    # QuPath (0.4 to 0.7) refuses the whole file where a class has no color.
    named = zip(instances.class_names, colors, strict=True)
    kinds = [{"name": name, "color": color} for name, color in named]
    return [
        {
            "type": "Feature",
            "geometry": _geometry(parts, z),
            "properties": {
                "objectType": "detection",
                "name": str(k + 1),
                "classification": kinds[instances.classes[k]],
                "measurements": {"score": float(instances.scores[k])},
            },
        }
        for k in range(len(instances))
        for z, parts in outlines(instances, k)
    ]


def _geometry(parts: list[list[Ring]], z: int | None) -> dict[str, Any]:
    lines = [[ring.tolist() for ring in rings] for rings in parts]
    one = len(lines) == 1
    plane = {} if z is None else {"plane": {"c": -1, "z": z, "t": 0}}
    kind = "Polygon" if one else "MultiPolygon"
    return {"type": kind, "coordinates": lines[0] if one else lines, **plane}


def write_imagej_rois(path: str | Path, instances: Instances, channels: int = 1) -> None:
    """Write a zip of polygon ROIs that ImageJ's ROI Manager opens, named "1", "2", …

    An ROI is the outer line of an instance; further parts are named "1-2", "1-3", and holes,
    which such an ROI cannot have, are filled. Of a volume an ROI is of one plane, which it states
    and is named by, "1-z5" of the fifth.

    Args:
        path: the file.
        instances: what was found.
        channels: of the volume. Of several ImageJ shows a hyperstack, where an ROI states z; of
            one a stack, where it states the number of its plane.

    Raises:
        UserError: roifile or scikit-image is missing, or the file cannot be written.
        ValueError: the label map was changed.
    """
    try:
        import roifile
    except ImportError as error:
        raise missing_extra("ImageJ ROIs", "formats") from error
    instances.require_unchanged()
    place = "position" if channels == 1 else "z"
    with atomic_write(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as file:
        for name, line, z in _outer(instances):
            at = {} if z is None else {place: z}
            roi = roifile.ImagejRoi.frompoints(line.astype(np.float32), name=name, **at)
            file.writestr(f"{name}.roi", roi.tobytes())


def _outer(instances: Instances) -> Iterator[tuple[str, Ring, int | None]]:
    for k in range(len(instances)):
        for z, parts in outlines(instances, k):
            name = f"{k + 1}" if z is None else f"{k + 1}-z{z + 1}"
            for part, (outer, *_) in enumerate(parts, 1):
                yield (name if part == 1 else f"{name}-{part}"), outer[:-1], z
