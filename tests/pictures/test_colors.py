from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatialembed.pictures import colors_of_objects, distinct_colors, to_rgb

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, bool])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 20])
def test_any_image_becomes_rgb_that_shows_something(dtype, channels):
    shape = (30, 40) if channels is None else (30, 40, channels)
    image = (RNG.random(shape) * 90).astype(dtype) if dtype is not bool else RNG.random(shape) > 0.5
    rgb = to_rgb(image)
    assert (rgb.shape, rgb.dtype) == ((30, 40, 3), np.uint8)
    assert rgb.max() > 200
    assert rgb.min() < 30 or channels == 20  # some channel is bright at every pixel


def test_photographs_are_left_alone():
    photo = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(to_rgb(photo), photo)


def test_stretching_rgb_keeps_hues_and_order():
    dark = np.zeros((8, 8, 3), np.uint16)
    dark[..., 0], dark[:4, :, 1] = 4000, 1000
    rgb = to_rgb(dark)
    assert (rgb[..., 0] > rgb[..., 1]).all()
    assert (rgb[:4, :, 1] > rgb[4:, :, 1]).all()


@pytest.mark.parametrize("value", [0, 7.5, np.nan, np.inf, -np.inf])
def test_constant_and_not_finite_images_do_not_fail(value):
    assert to_rgb(np.full((5, 6, 3), value, np.float32)).max() == 0


@pytest.mark.parametrize("shape", [(4,), (0, 5), (4, 5, 0), (2, 3, 4, 5)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="an image is"):
        to_rgb(np.zeros(shape))


def test_distinct_colors_are_distinct_and_a_prefix_stays():
    colors = distinct_colors(200).astype(int)
    assert len(np.unique(colors, axis=0)) == 200
    assert np.array_equal(distinct_colors(7), colors[:7])
    assert min(np.abs(a - b).sum() for a, b in pairwise(colors)) > 90
    assert distinct_colors(0).shape == (0, 3)


@given(hnp.arrays(np.int64, (9, 11), elements=st.integers(0, 9)))
@settings(max_examples=60, deadline=None)
def test_objects_that_touch_differ_clearly(label_map):
    ranks, colors = colors_of_objects(label_map * 70_001)
    assert np.array_equal(np.unique(label_map * 70_001, return_inverse=True)[1].reshape(9, 11)
                          + (0 if (label_map == 0).any() else 1), ranks)  # fmt: skip
    shown = colors[ranks].astype(int)
    for a, b, same in (
        (shown[1:], shown[:-1], label_map[1:] == label_map[:-1]),
        (shown[:, 1:], shown[:, :-1], label_map[:, 1:] == label_map[:, :-1]),
    ):
        assert (np.abs(a - b).sum(-1) > 40)[~same].all()


def test_many_small_objects_keep_apart():
    rows, columns = np.indices((120, 160))
    label_map = (rows // 6) * 27 + columns // 6 + 1
    ranks, colors = colors_of_objects(label_map)
    middles = colors[ranks].astype(int)[3::6, 3::6]
    assert ranks.max() == len(colors) - 1 == 20 * 27
    assert np.abs(middles[1:] - middles[:-1]).sum(-1).min() > 50
    assert np.abs(middles[:, 1:] - middles[:, :-1]).sum(-1).min() > 50


def test_a_map_narrower_than_a_step_has_colors():
    ranks, colors = colors_of_objects(np.array([[1, 0, 2], [1, 0, 2], [1, 0, 2]]))
    assert len(colors) == 3
    assert ranks.max() == 2
