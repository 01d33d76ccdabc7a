"""Label Studio's run lengths: those of its own converter are read, ours are read back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spatialembed.convert.brush_rle import decode, encode

THEIRS = list(
    bytes.fromhex(
        "00007d00391bff07e300c77ffc054c031dfff015300c77ffc054c031dfff015300c77ffc054c031dfff01530"
        "0c77ffc054c031dfff015300c77ffc054c031dfff015300c77ffc054c031dfff015300c77ffc054c031dfff0"
        "15300c77ffd7bfc000"
    )
)
"""A square of 15 x 15 from row and column 5 on in an image of 80 x 100: label_studio_sdk 2.1.2,
``brush.mask2rle``."""


def test_what_label_studio_writes_is_read() -> None:
    wanted = np.zeros((80, 100), bool)
    wanted[5:20, 5:20] = True
    np.testing.assert_array_equal(decode(THEIRS, 80, 100), wanted)


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_masks_come_back(mask) -> None:
    np.testing.assert_array_equal(decode(encode(mask, (0, 0), mask.shape), *mask.shape), mask)


def test_a_run_longer_than_a_count_holds() -> None:
    mask = np.zeros((300, 300), bool)
    mask[100:] = True
    np.testing.assert_array_equal(decode(encode(mask[90:], (0, 90), (300, 300)), 300, 300), mask)


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        (THEIRS[:60], "end early"),
        ([], "no bytes"),
        ([300], "no bytes"),
        (["a"], "no bytes"),
        (encode(np.ones((3, 3), bool), (0, 0), (3, 3)), "9 pixels, the image has 8000"),
    ],
)
def test_broken_run_lengths(rle, words) -> None:
    with pytest.raises(ValueError, match=words):
        decode(rle, 80, 100)
