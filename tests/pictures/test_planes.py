import numpy as np
import pytest

from spatialembed.pictures.planes import (
    Plane,
    across,
    fullest,
    proportions,
    stretched,
    volume_rgb,
)


def test_a_plane_is_what_numpy_cuts() -> None:
    voxels = np.random.default_rng(0).integers(0, 9, (3, 4, 5, 2))
    np.testing.assert_array_equal(Plane(0, 2).of(voxels), voxels[2])
    np.testing.assert_array_equal(Plane(1, 3).of(voxels), voxels[:, 3])
    np.testing.assert_array_equal(Plane(2, 4).of(voxels), voxels[:, :, 4])
    assert str(Plane(1, 3)) == "y = 3"


def test_the_fullest_plane_cuts_most_objects() -> None:
    labels = np.zeros((3, 4, 5), int)
    labels[1, 0, 0] = labels[2, 0, 1] = 1
    labels[2, 3, 1] = 7
    assert [fullest(labels, axis) for axis in range(3)] == [Plane(0, 2), Plane(1, 0), Plane(2, 1)]
    assert fullest(np.zeros((3, 4, 5), int)) == Plane(0, 0)


def test_a_voxel_is_as_long_as_its_spacing_says() -> None:
    assert proportions(None) == (1, 1, 1)
    assert proportions((0.4, 0.2, 0.2)) == (2, 1, 1)
    assert proportions((0.1, 0.2, 0.2)) == (1, 2, 2)
    assert proportions((100, 1, 1)) == (20, 1, 1)
    assert [across((3, 2, 1), axis) for axis in range(3)] == [(2, 1), (3, 1), (3, 2)]


@pytest.mark.parametrize("ratio", [1, 1.5, 2, 2.6, 20])
def test_stretching_repeats_rows_evenly(ratio: float) -> None:
    plane = np.arange(12).reshape(4, 3)
    seen = stretched(plane, (ratio, 1))
    assert seen.shape == (round(4 * ratio), 3)
    counts = np.bincount(seen[:, 0] // 3, minlength=4)
    assert counts.max() - counts.min() <= 1
    assert (np.diff(seen[:, 0]) >= 0).all()
    np.testing.assert_array_equal(stretched(plane.T, (1, ratio)), seen.T)


def test_planes_of_a_volume_are_stretched_alike() -> None:
    voxels = np.zeros((2, 20, 20, 1), np.uint16)
    voxels[0] = np.arange(400).reshape(20, 20, 1)
    voxels[1] = voxels[0] // 4
    bright, dim = volume_rgb(voxels)
    assert bright.max() == 255
    assert dim.max() < 80
