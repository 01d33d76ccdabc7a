"""Instances of a volume as closed surfaces, an OBJ file that Blender, MeshLab and ParaView open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spatialembed.data.images.spacing import one_an_axis
from spatialembed.errors import missing_extra
from spatialembed.files.writing import atomic_write
from spatialembed.instances import Instances


def surface(
    instances: Instances, k: int, spacing: tuple[float, ...] = (1, 1, 1)
) -> tuple[np.ndarray, np.ndarray]:
    """The closed surface of an instance, half-way between voxels in and out, by marching cubes.

    Args:
        instances: of a volume.
        k: row of the instance.
        spacing: micrometres between voxels along z, y and x.

    Returns:
        Its corners (V, 3) float64, x, y, z in micrometres (in voxels without a spacing), the center
        of the volume's first voxel at 0; and its triangles (T, 3) int32, rows of these, whose
        corners run counter-clockwise seen from outside.

    Raises:
        UserError: scikit-image is missing, or a spacing is not three numbers.
        ValueError: no volume.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError as error:
        raise missing_extra("meshes", "formats") from error
    if instances.label_map.ndim != 3:
        raise ValueError(f"surfaces are of volumes, not of {instances.label_map.ndim} axes")
    padded = np.pad(instances.mask(k), 1).astype(np.float32)  # closed at the volume's border, too
    corners, triangles, *_ = marching_cubes(padded, 0.5)
    places = (corners.astype(np.float64) + instances.boxes[k, :3] - 1) * one_an_axis(spacing, 3)
    return places[:, ::-1], triangles  # whose turn, outward in x, y, z, is inward in z, y, x


def write_meshes(
    path: str | Path, instances: Instances, spacing: tuple[float, ...] | None = None
) -> None:
    """Write the :func:`surface` of every instance as an object of an OBJ, named by its number.

    Its class is the object's group.

    Args:
        path: the file.
        instances: of a volume.
        spacing: micrometres between voxels along z, y and x; None for voxels as the unit.

    Raises:
        UserError: scikit-image is missing, or the file cannot be written.
        ValueError: no volume, or a label map that was changed.
    """
    instances.require_unchanged()
    unit = "voxels" if spacing is None else "micrometres"
    first = 1  # corners count from 1, through all objects
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f"# x, y, z in {unit}; the center of the first voxel is at 0\n")
        for k in range(len(instances)):
            corners, triangles = surface(instances, k, spacing or (1, 1, 1))
            group = instances.class_names[instances.classes[k]].replace(" ", "_")
            file.write(f"o {k + 1}\ng {group}\n")
            file.write("v %.7g %.7g %.7g\n" * len(corners) % tuple(corners.ravel().tolist()))
            rows = (triangles + first).ravel().tolist()
            file.write("f %d %d %d\n" * len(triangles) % tuple(rows))
            first += len(corners)
