"""Refined label maps equal those of a naive loop, and do what they are for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from spatialembed.clustering import cluster, cluster_foreground
from spatialembed.embedding import PITCH
from spatialembed.instances import Instances
from spatialembed.kernels.foreground import take_foreground
from spatialembed.refinement import refine, refine_foreground
from test_clustering import random_scene


def assert_equal_to_reference(output: np.ndarray, min_size: int = 4, **options) -> int:
    """Compare with the naive loop; gives the number of instances that are left."""
    found = cluster(output, min_size=min_size, seed_threshold=0.6, **options)
    refined = refine(found, output, min_size=min_size, **options)
    expected = reference.refine(
        output, found.label_map, found.classes, min_size=min_size, **options
    )
    taken = take_foreground(
        output,
        options.get("n_sigma", 1),
        0.5,
        options.get("pitch", PITCH),
        options.get("margin"),
    )
    over = refine_foreground(cluster_foreground(taken, 0.6, min_size), taken, min_size, True)
    for field in ("label_map", "scores", "classes", "boxes"):
        np.testing.assert_array_equal(getattr(over, field), getattr(refined, field))
    left = np.unique(expected[expected > 0])
    numbers = np.zeros(len(found) + 1, np.int32)
    numbers[left] = np.arange(1, len(left) + 1)
    np.testing.assert_array_equal(refined.label_map, numbers[expected])
    np.testing.assert_array_equal(refined.scores, found.scores[left - 1])
    np.testing.assert_array_equal(refined.classes, found.classes[left - 1])
    for k in range(len(refined)):
        where = np.argwhere(refined.label_map == k + 1)
        np.testing.assert_array_equal(refined.boxes[k], [*where.min(0), *(where.max(0) + 1)])
    return len(refined)


def test_without_foreground_no_instance_is_left() -> None:
    output = random_scene(3, (40, 50), 9, 1, 1)
    found = cluster(output, min_size=4, seed_threshold=0.6)
    output[3:] = -20
    assert len(found) > 0
    refined = refine(found, output)
    assert (len(refined), refined.boxes.shape, refined.label_map.any()) == (0, (0, 4), False)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    shape=st.sampled_from([(1, 1), (7, 60), (40, 50), (8, 12, 14)]),
    objects=st.integers(0, 30),
    elliptical=st.booleans(),
    n_classes=st.integers(1, 3),
    margin=st.sampled_from([None, 4.0]),
)
def test_any_scene(seed, shape, objects, elliptical, n_classes, margin) -> None:
    n_sigma = len(shape) if elliptical else 1
    output = random_scene(seed, shape, objects, n_sigma, n_classes)
    assert_equal_to_reference(output, n_sigma=n_sigma, margin=margin)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite(value) -> None:
    output = random_scene(3, n_sigma=2)
    hit = np.random.default_rng(0).random(output.shape) < 0.02
    output[hit] = value
    assert assert_equal_to_reference(output, n_sigma=2) > 0


def test_many_objects() -> None:
    output = random_scene(1, (200, 240), 300, 2, radius=5)
    assert assert_equal_to_reference(output, n_sigma=2) > 100


def test_a_pixel_goes_where_it_fits_best() -> None:
    """The first seed's margin is wide and takes four pixels that lie nearer to the other object."""
    x = np.arange(44)
    lands = np.select([x < 20, x < 24], [10, 16], 25)
    margin = np.where(x == 30, 9.5, 8.0)
    output = np.zeros((4, 1, 44), np.float32)
    output[0, 0] = np.arctanh((lands - x) * PITCH)
    output[2] = np.log(np.log(2) / (margin * PITCH) ** 2) / 10
    output[3] = 4
    output[3, 0, [30, 5]] = 7, 6
    found = cluster(output, min_size=1)
    assert found.label_map.tolist() == [[2] * 20 + [1] * 24]
    assert refine(found, output).label_map.tolist() == [[2] * 24 + [1] * 20]


def test_nothing_found_stays_nothing() -> None:
    output = random_scene(0, objects=0)
    output[3] = -9
    assert len(refine(cluster(output), output)) == 0


def test_a_pixel_as_near_to_two_instances_goes_to_the_first() -> None:
    label_map = np.array([[1] * 5 + [0] + [2] * 5], np.int32)
    output = np.zeros((4, 1, 11), np.float32)
    output[2] = np.log(np.log(2) / (5 * PITCH) ** 2) / 10
    output[3] = 4
    refined = refine(Instances.from_label_map(label_map), output)
    assert refined.label_map.tolist() == [[1] * 6 + [2] * 5]


def test_an_instance_of_a_class_without_a_seed_map_is_refused() -> None:
    output = random_scene(0)
    found = Instances.from_label_map(
        np.ones(output.shape[1:], np.int32), classes=np.array([1]), class_names=("car", "bus")
    )
    with pytest.raises(ValueError, match="class 1, whose seed map"):
        refine(found, output)
