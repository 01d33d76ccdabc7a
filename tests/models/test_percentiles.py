"""Counting gives numpy's percentiles to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spatialembed.models.normalization import Normalization
from spatialembed.models.percentiles import counted, is_counted, percentiles

PERCENT = st.floats(0, 100)


@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: arrays.arrays(dtype, st.integers(1, 70))
    ),
    PERCENT,
    PERCENT,
)
@settings(max_examples=300, deadline=None)
def test_they_are_those_of_numpy(values, low, high) -> None:
    found = percentiles(counted([values]), (low, high))
    np.testing.assert_array_equal(found, np.percentile(values, (low, high)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_parts_are_counted_together_however_they_lie(dtype) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, np.iinfo(dtype).max, (301, 407, 3), endpoint=True).astype(dtype)
    parts = [image[:100, ::-1, 1], image[100:, :, 1], image[:0, :, 1]]
    counts = counted(parts)
    np.testing.assert_array_equal(counts, np.bincount(image[..., 1].ravel(), minlength=len(counts)))
    for wanted in ((1.0, 99.8), (0.0, 100.0), (50.0, 50.1)):
        expected = np.percentile(image[..., 1], wanted)
        np.testing.assert_array_equal(percentiles(counts, wanted), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32])
def test_images_of_all_types_are_normalised_by_the_same(dtype) -> None:
    values = np.random.default_rng(0).integers(0, 100, (40, 50, 2)).astype(np.uint8)
    expected = Normalization("percentile")(values.astype(np.float64))
    np.testing.assert_array_equal(Normalization("percentile")(values.astype(dtype)), expected)


@pytest.mark.parametrize("kind", ["range", "percentile", "mean-std", "none"])
def test_values_that_are_looked_up_are_those_that_are_computed(kind) -> None:
    image = np.random.default_rng(0).integers(0, 2**16, (420, 320, 2)).astype(np.uint16)
    normalization = Normalization(kind, mean=(900, 2000), std=(70, 3), white=4095)
    scale = normalization._scale([image])
    expected = normalization._computed(image, scale)
    np.testing.assert_array_equal(normalization(image), expected)
    few = image[:200, :300]  # which are computed
    np.testing.assert_array_equal(normalization._apply(few, scale), expected[:200, :300])


def test_which_are_counted() -> None:
    kinds = ["u1", "u2", "u4", "i1", "i2", "f4", "?"]
    assert [k for k in kinds if is_counted(np.dtype(k))] == ["u1", "u2"]
