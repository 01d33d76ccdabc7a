"""The same picture in any type gives the same input, and what leaves a doubt is said."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.errors import ImageWarning
from spatialembed.models.input_warnings import noticed, tell, tell_sampled
from spatialembed.models.normalization import Normalization

TYPES = ["uint8", "uint16", "uint32", "int16", "int32", "int64", "uint64", "float32", "float64"]


def picture(seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (40, 40, 1)).astype(np.uint8)
    image[:4] = 250  # a picture has bright parts
    return image


def stretched(image: np.ndarray, dtype: str) -> np.ndarray:
    """The same picture, by the whole range of a type."""
    top = 1 if dtype.startswith("float") else np.iinfo(dtype).max
    return (image / 255 * float(top) * (1 - 1e-9)).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([*TYPES, "int8", "float16"]),
    st.sampled_from([None, 1.0, 255.0, 4095.0, 65535.0]),
    st.sampled_from(["range", "percentile"]),
)
def test_a_picture_that_fills_its_type_gives_the_same_input(seed, dtype, white, kind) -> None:
    normalization = Normalization(kind, white=white)
    expected = normalization(picture(seed))
    found = stretched(picture(seed), dtype)
    coarse = {"int8": 0.01, "float16": 2e-3, "uint8": 1.1 / 255}.get(dtype, 1e-3)
    np.testing.assert_allclose(normalization(found), expected, atol=coarse * 1.3)
    assert noticed(normalization, found) == ()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(TYPES),
    st.sampled_from([None, 255.0]),
    st.sampled_from(["range", "percentile"]),
)
def test_eight_bits_in_a_wider_type_give_the_same_input(seed, dtype, white, kind) -> None:
    normalization = Normalization(kind, white=white)
    expected, found = normalization(picture(seed)), picture(seed).astype(dtype)
    np.testing.assert_allclose(normalization(found), expected, atol=1e-5)
    told = noticed(normalization, found)
    doubtful = dtype != "uint8" and white is None and kind == "range"
    assert ["255 is taken as white" in text for text in told] == [True] * doubtful


def test_the_range_of_training_holds_for_dim_images_of_a_camera() -> None:
    dim = (picture() // 4).astype(np.uint16)
    camera = Normalization("range", white=4095)
    np.testing.assert_allclose(camera(dim), dim / 4095, rtol=1e-6)
    [told] = noticed(camera, dim)
    assert "training images go up to 4095" in told
    assert noticed(camera, picture().astype(np.uint16) * 16) == ()


def test_a_range_beyond_that_of_training_is_its_own_and_said() -> None:
    bright = picture().astype(np.uint16) * 16
    streets = Normalization("range", white=255)
    assert streets(bright).max() == pytest.approx(1, abs=0.01)
    [told] = noticed(streets, bright)
    assert "4095 is taken as white, 255 in training" in told


def test_floats_of_no_known_range_are_taken_as_they_are_and_said() -> None:
    image = np.random.default_rng(0).normal(0, 3, (40, 40, 1)).astype(np.float32)
    for white in (None, 1.0, 255.0):
        normalization = Normalization("range", white=white)
        np.testing.assert_array_equal(normalization(image), image)
        assert "no known range" in noticed(normalization, image)[0]


def test_stored_values_of_another_range_than_those_of_training_are_said() -> None:
    none = Normalization("none", white=255)
    assert noticed(none, picture()) == ()
    assert "which went up to 255" in noticed(none, picture().astype(np.uint16) * 257)[0]
    fixed = Normalization("mean-std", mean=(125,), std=(70,))
    assert noticed(fixed, picture()) == ()
    for other in (picture().astype(np.uint16) * 257, picture() / 255):
        assert "those of training 125 and 70" in noticed(fixed, other)[0]


@pytest.mark.parametrize("kind", ["range", "percentile", "none"])
def test_pixels_that_are_no_number_are_counted(kind) -> None:
    image = picture() / np.float32(255)
    image[3, :5], image[9, 9] = np.nan, -np.inf
    [told] = noticed(Normalization(kind), image)
    assert told.startswith("6 pixels (0.38% of all) are NaN or infinite")


def test_a_warning_names_the_image_and_survives_the_way_between_processes() -> None:
    image = np.full((4, 4, 1), np.nan)
    with pytest.warns(ImageWarning, match=r"^a\.tif: 16 pixels"):
        tell(Normalization("percentile"), image, "a.tif")
    warning = pickle.loads(pickle.dumps(ImageWarning("dark", "a.tif")))
    assert (str(warning), warning.note) == ("a.tif: dark", "dark")


class Windows:
    def __init__(self, image: np.ndarray) -> None:
        self.image, self.shape = image, image.shape[:2]

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        return self.image[rows, columns]


def test_of_a_large_image_a_part_is_looked_at() -> None:
    image = np.zeros((5000, 40, 1), np.float32)
    image[0, :7] = np.nan
    with pytest.warns(ImageWarning, match=r"x\.zarr \(a part of it\): 7 pixels"):
        tell_sampled(Normalization("range"), Windows(image), "x.zarr")
