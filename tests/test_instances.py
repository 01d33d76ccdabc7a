"""Instances agree with their label map and refuse arrays that do not fit each other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from spatialembed.instances import Instances, bounding_boxes


def relabel(labels: np.ndarray) -> np.ndarray:
    """Labels of the same regions as 1 to N without gaps, 0 kept."""
    values, inverse = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    assert values[0] == 0
    return inverse[:-1].reshape(labels.shape).astype(np.int32)


label_maps = array_shapes(min_dims=2, max_dims=3, max_side=9).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 6)).map(relabel)
)


@settings(max_examples=60, deadline=None)
@given(label_maps)
def test_boxes_masks_and_areas_agree_with_the_label_map(label_map):
    found = Instances.from_label_map(label_map)
    assert len(found) == label_map.max()
    painted = np.zeros_like(label_map)
    for k in range(len(found)):
        where = np.argwhere(label_map == k + 1)
        expected = [*where.min(0), *(where.max(0) + 1)]
        np.testing.assert_array_equal(found.boxes[k], expected)
        mask = found.mask(k)
        assert mask.dtype == bool
        assert mask.sum() == found.areas[k] == len(where)
        painted[found.window(k)][mask] = k + 1
    np.testing.assert_array_equal(painted, label_map)


def test_more_than_65535_instances():
    label_map = np.arange(300 * 300, dtype=np.int32).reshape(300, 300)
    found = Instances.from_label_map(label_map)
    assert len(found) == 89_999
    np.testing.assert_array_equal(found.boxes[-1], [299, 299, 300, 300])
    assert (found.areas == 1).all()


def test_no_instance():
    found = Instances.from_label_map(np.zeros((4, 5), np.uint8))
    assert len(found) == 0
    assert repr(found) == "Instances(0 of object in 4×5 pixels)"
    assert found.boxes.shape == (0, 4)
    assert found.areas.shape == (0,)
    with pytest.raises(IndexError, match="no instance 0"):
        found.mask(0)


@pytest.fixture
def two() -> Instances:
    label_map = np.zeros((6, 8), np.int32)
    label_map[1:3, 2:5] = 1
    label_map[4, 7] = 2
    return Instances.from_label_map(label_map, [0.95, 0.9], [1, 0], ["car", "bus"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.float32([0.9, 0.95])}, "never increase"),
        ({"scores": np.float32([1.5, 0.95])}, "never increase"),
        ({"scores": np.float32([np.nan, 0.5])}, "never increase"),
        ({"scores": np.array([0.9, 0.8])}, "scores is float64"),
        ({"scores": np.float32([0.9])}, "1 scores need"),
        ({"classes": np.int32([0, 2])}, "class index"),
        ({"classes": np.int32([-1, 0])}, "class index"),
        ({"boxes": np.int32([[1, 2, 3, 5], [4, 7, 4, 8]])}, "box is empty"),
        ({"boxes": np.int32([[1, 2, 3, 5], [4, 7, 5, 9]])}, "reaches outside"),
        ({"label_map": np.full((6, 8), 3, np.int32)}, "outside 0 to 2"),
        ({"label_map": np.full((6, 8), -1, np.int32)}, "outside 0 to 2"),
        ({"label_map": np.zeros((6, 8), np.uint16)}, "label_map is uint16"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(two, change, message):
    with pytest.raises(ValueError, match=message):
        replace(two, **change)


def test_a_gap_in_the_labels_is_named():
    with pytest.raises(ValueError, match="label 2 has no pixel"):
        bounding_boxes(np.int32([[1, 3]]))


def test_a_float_label_map_is_refused():
    with pytest.raises(TypeError, match="same_kind"):
        Instances.from_label_map(np.zeros((2, 2)))


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.uint64])
def test_labels_beyond_the_pixels_are_refused_not_wrapped(dtype):
    label_map = np.zeros((4, 5), dtype)
    label_map[1:3, 1:3] = 2**32 - 1 if dtype == np.uint32 else 2**32 + 1
    with pytest.raises(ValueError, match="of 20 pixels; relabel without gaps"):
        Instances.from_label_map(label_map)
