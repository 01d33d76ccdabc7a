"""What is white, of any type and depth, and which pixels are no number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.files.pixel_values import merged, values_of


@pytest.mark.parametrize(
    ("dtype", "top", "white", "fills"),
    [
        ("uint8", 3, 255, True),
        ("int8", 100, 127, True),
        ("bool", 1, 1, True),
        ("uint16", 200, 255, False),
        ("uint16", 3012, 4095, False),
        ("uint16", 60000, 65535, True),
        ("int16", 32767, 32767, True),
        ("int16", 20000, 32767, True),
        ("uint32", 255, 255, False),
        ("int32", 2**31 - 1, 2**31 - 1, True),
        ("uint32", 2**31, 2**32 - 1, True),
        ("int64", 65535, 65535, False),
        ("uint64", 2**64 - 1, 2.0**64 - 1, True),
        ("float32", 1, 1, True),
        ("float64", 255, 255, False),
        ("float16", 60000, 65535, False),
        ("float32", 1e30, 1, False),
    ],
)
def test_white_is_the_full_scale_of_the_depth_that_is_used(dtype, top, white, fills) -> None:
    image = np.zeros((10, 30, 1), dtype)
    image[2:8] = top
    values = values_of([image])
    assert (values.white, values.fills_type) == (white, fills)
    assert (values.low, values.high) == (0, pytest.approx(top))


def test_a_hot_pixel_says_nothing_of_the_others() -> None:
    image = np.full((200, 200, 1), 3000, np.uint16)
    image[7, 7] = 65535
    assert values_of([image]).white == 4095
    image[:3] = 65535
    assert values_of([image]).white == 65535


def test_standardised_floats_are_of_no_known_range() -> None:
    values = np.random.default_rng(0).normal(0, 30, (50, 50, 1)).astype(np.float32)
    assert values_of([values]).white == 1
    assert values_of([values]).is_standardised
    ringing = np.full((50, 50, 1), 200, np.float32)
    ringing[0] = -5  # a picture that was resized
    assert values_of([ringing]).white == 255


def test_what_is_no_number_is_counted_by_pixels() -> None:
    image = np.ones((5, 6, 2), np.float32)
    image[0, 0], image[1, 2, 0], image[3, 3, 1] = np.nan, np.inf, -np.inf
    values = values_of([image])
    assert (values.not_finite, values.pixels, values.low, values.high) == (3, 30, 1, 1)
    empty = values_of([np.full((2, 2, 1), np.nan)])
    assert (empty.not_finite, empty.white) == (4, 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["uint16", "int64", "float32", "bool"]))
def test_parts_merge_into_what_the_whole_says(seed, dtype) -> None:
    rng = np.random.default_rng(seed)
    image = (rng.random((20, 12, 1)) * 10 ** rng.uniform(0, 4)).astype(dtype)
    whole = values_of([image])
    assert merged([values_of([image[:7]]), values_of([image[7:]])]) == whole
    assert values_of([image[:, :5], image[:, 5:]]) == whole
