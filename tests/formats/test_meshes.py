"""Surfaces are closed, turned outward, as large as their objects, and where these are."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from spatialembed.formats.meshes import surface, write_meshes
from spatialembed.instances import Instances

pytest.importorskip("skimage")

SPACING = (0.5, 0.2, 0.25)


def blobs(seed: int, count: int = 4) -> Instances:
    """Objects in parts that touch by faces, edges and corners, and reach the borders."""
    labels = np.random.default_rng(seed).integers(0, count + 1, (6, 8, 9)).astype(np.int32)
    labels = ndimage.median_filter(labels, 3) if seed % 2 else labels
    kept, numbers = np.unique(np.append(labels, 0), return_inverse=True)
    assert kept[0] == 0
    return Instances.from_label_map(numbers[:-1].reshape(labels.shape).astype(np.int32))


def inside(corners: np.ndarray, triangles: np.ndarray) -> float:
    """Volume within triangles that turn outward."""
    a, b, c = corners[triangles].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("seed", range(6))
def test_every_edge_is_run_once_each_way(seed: int) -> None:
    instances = blobs(seed)
    for k in range(len(instances)):
        corners, triangles = surface(instances, k, SPACING)
        edges = Counter((int(a), int(b)) for t in triangles for a, b in pairwise([*t, t[0]]))
        assert edges == Counter({(b, a): n for (a, b), n in edges.items()})
        assert inside(corners, triangles) > 0


def test_a_ball_is_as_large_as_its_voxels_and_where_they_are() -> None:
    z, y, x = np.mgrid[:20, :40, :36]
    steps = np.array(SPACING)
    center = np.array([10, 18, 15]) * steps
    far = sum(
        (axis * step - at) ** 2 for axis, step, at in zip((z, y, x), steps, center, strict=True)
    )
    instances = Instances.from_label_map((far < 3**2).astype(np.int32))
    corners, triangles = surface(instances, 0, SPACING)
    volume = instances.areas[0] * np.prod(SPACING)
    assert inside(corners, triangles) == pytest.approx(volume, rel=0.02)
    assert inside(corners, triangles) == pytest.approx(4 / 3 * np.pi * 27, rel=0.03)
    middle = (corners.min(0) + corners.max(0)) / 2
    np.testing.assert_allclose(middle, center[::-1], atol=1e-5)  # x, y, z


def test_an_object_of_one_voxel_at_the_border_is_closed() -> None:
    labels = np.zeros((2, 3, 4), np.int32)
    labels[0, 0, 3] = 1
    corners, triangles = surface(Instances.from_label_map(labels), 0)
    assert len(triangles) == 8
    np.testing.assert_allclose(
        [corners.min(0), corners.max(0)], [(2.5, -0.5, -0.5), (3.5, 0.5, 0.5)]
    )
    with pytest.raises(ValueError, match="2 axes"):
        surface(Instances.from_label_map(labels[0]), 0)


def read(path) -> tuple[dict[str, list], np.ndarray]:
    """Triangles and group by object, and all corners."""
    corners, objects, name = [], {}, ""
    for line in path.read_text().splitlines():
        kind, *words = line.split()
        if kind == "o":
            name = words[0]
            objects[name] = []
        elif kind == "g":
            objects[name].append(words)
        elif kind == "v":
            corners.append([float(word) for word in words])
        elif kind == "f":
            objects[name].append([int(word) - 1 for word in words])
    return objects, np.array(corners)


def test_the_file_holds_an_object_an_instance(tmp_path) -> None:
    labels = np.zeros((5, 6, 7), np.int32)
    labels[1:4, 1:3, 1:3] = 1
    labels[2:4, 3:5, 4:6] = 2
    instances = Instances.from_label_map(
        labels, np.float32([0.9, 0.8]), np.int32([1, 0]), ("cell", "late stage")
    )
    write_meshes(tmp_path / "a.obj", instances, SPACING)
    objects, corners = read(tmp_path / "a.obj")
    assert list(objects) == ["1", "2"]
    assert [group for group, *_ in objects.values()] == [["late_stage"], ["cell"]]
    for k, (_, *triangles) in enumerate(objects.values()):
        places, rows = surface(instances, k, SPACING)
        np.testing.assert_allclose(corners[np.array(triangles)], places[rows], rtol=1e-6)
    assert "in micrometres" in (tmp_path / "a.obj").read_text().partition("\n")[0]
    write_meshes(tmp_path / "none.obj", Instances.from_label_map(labels * 0))
    assert (tmp_path / "none.obj").read_text().splitlines() == [
        "# x, y, z in voxels; the center of the first voxel is at 0"
    ]
