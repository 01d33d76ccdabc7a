import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatialembed.errors import UserError
from spatialembed.models.normalization import MOST_SIDE, PERCENTILE_CLIP, Normalization, sampled

KINDS = [
    Normalization("range"),
    Normalization("percentile"),
    Normalization("mean-std", mean=(3.0, 5.0), std=(2.0, 0.5)),
    Normalization("none"),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16])
def test_range_divides_integers_by_the_largest_of_their_type(dtype: type) -> None:
    top = np.iinfo(dtype).max
    image = np.array([[[0], [top // 2], [top]]], dtype)
    result = Normalization("range")(image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0, :, 0], [0, (top // 2) / top, 1], rtol=1e-6)


def test_range_leaves_floats_and_bools_and_the_given_array_alone() -> None:
    image = np.array([[[-2.5], [7.0]]])
    result = Normalization("range")(image)
    np.testing.assert_array_equal(result, image)
    result[:] = 9
    assert image[0, 0, 0] == -2.5
    single = image.astype(np.float32)
    assert not np.shares_memory(Normalization("none")(single), single)
    np.testing.assert_array_equal(Normalization("range")(image > 0), [[[0], [1]]])


def test_percentile_is_per_channel_and_whatever_the_units() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 4000, (40, 30, 2)).astype(np.uint16)
    image[..., 1] //= 10
    result = Normalization("percentile", low=5, high=95)(image)
    for channel in range(2):
        low, high = np.percentile(image[..., channel], (5, 95))
        expected = np.clip((image[..., channel] - low) / (high - low), -1, 4)
        np.testing.assert_allclose(result[..., channel], expected, rtol=1e-5, atol=1e-6)
    scaled = Normalization("percentile", low=5, high=95)(image.astype(np.float64) * 7 + 100)
    np.testing.assert_allclose(scaled, result, rtol=1e-4, atol=1e-5)


@given(
    st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64, np.int16]).flatmap(
        lambda dtype: hnp.arrays(dtype, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(1)))
    ),
    st.tuples(st.floats(0, 49), st.floats(50, 100)),
)
@settings(max_examples=100, deadline=None)
def test_percentiles_of_integers_are_those_of_floats_bit_for_bit(image, percentiles) -> None:
    normalization = Normalization("percentile", *percentiles)
    found = normalization._percentiles([image])
    np.testing.assert_array_equal(found[0], np.percentile(image.astype(np.float64), percentiles))


def test_percentile_of_a_constant_channel_is_zero_and_a_hot_pixel_is_clipped() -> None:
    image = np.full((50, 50, 2), 17, np.uint8)
    image[:25, :, 1] = 20
    hot = image.astype(np.float32)
    hot[0, 0, 1] = 1e30
    result = Normalization("percentile")(hot)
    assert not result[..., 0].any()
    assert result[0, 0, 1] == PERCENTILE_CLIP[1]
    assert result[1, 0, 1] == 1


def test_percentiles_are_clipped_where_networks_were_trained_to_see_them() -> None:
    """Model files do not hold these bounds: at others every network would see other pixels."""
    image = np.linspace(0, 1, 1001, dtype=np.float32).reshape(1, -1, 1)
    result = Normalization("percentile", low=45, high=55)(image)[0, :, 0]
    np.testing.assert_allclose(result, np.clip((image[0, :, 0] - 0.45) / 0.1, -1, 4), atol=1e-5)
    assert (result.min(), result.max()) == (-1, 4)


def test_mean_std_counts_in_stored_units() -> None:
    image = np.array([[[5, 6], [1, 4]]], np.uint8)
    np.testing.assert_allclose(KINDS[2](image), [[[1, 2], [-1, -2]]])


@pytest.mark.parametrize("normalization", KINDS, ids=lambda n: n.kind)
def test_pixels_that_are_not_finite_become_zero_and_disturb_no_other(
    normalization: Normalization,
) -> None:
    rng = np.random.default_rng(1)
    image = rng.random((30, 30, 2)).astype(np.float32)
    image[0, 0] = np.median(image, (0, 1))
    broken = image.copy()
    broken[0, 0] = np.nan, np.inf
    result, whole = normalization(broken), normalization(image)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result[0, 0], 0)
    np.testing.assert_allclose(result[1:], whole[1:], atol=0.02)
    assert not normalization(np.full((4, 4, 2), np.nan)).any()


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int32, np.float32, np.float64, np.float16, np.bool_]),
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(2)),
    ),
    st.sampled_from(KINDS),
)
def test_any_image_gives_finite_float32(image: np.ndarray, normalization: Normalization) -> None:
    result = normalization(image)
    assert result.dtype == np.float32
    assert result.shape == image.shape
    assert np.isfinite(result).all()


@pytest.mark.parametrize("normalization", KINDS, ids=lambda n: n.kind)
def test_survives_json(normalization: Normalization) -> None:
    text = json.dumps(normalization.to_dict())
    assert Normalization.from_dict(json.loads(text)) == normalization


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"kind": "max"}, "max"),
        ({"low": 50, "high": 50}, "percentiles"),
        ({"low": -1}, "percentiles"),
        ({"kind": "mean-std"}, "one mean"),
        ({"mean": [1], "std": [1, 2]}, "one mean"),
        ({"kind": "mean-std", "mean": [1], "std": [0]}, "positive"),
        ({"kind": "mean-std", "mean": [float("nan")], "std": [1]}, "finite"),
        ({"gamma": 1}, "gamma"),
    ],
)
def test_refuses_bad_settings(values: dict, told: str) -> None:
    with pytest.raises(UserError, match=told):
        Normalization.from_dict(values)


def test_refuses_images_it_cannot_normalize() -> None:
    with pytest.raises(UserError, match="2 channels, the image has 3"):
        KINDS[2](np.zeros((2, 2, 3)))
    with pytest.raises(UserError, match="real numbers"):
        Normalization()(np.zeros((2, 2, 1), complex))


class Windows:
    """An array read by windows; counts the pixels that are read."""

    def __init__(self, image: np.ndarray) -> None:
        self.image, self.read_pixels = image, 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        part = self.image[rows, columns]
        self.read_pixels += part.shape[0] * part.shape[1]
        return part


@pytest.mark.parametrize("normalization", KINDS, ids=lambda n: n.kind)
@pytest.mark.parametrize("shape", [(40, 50, 2), (30, 5000, 2), (4097, 60, 2)])
def test_a_part_of_an_image_is_normalised_as_in_the_whole(normalization, shape) -> None:
    image = np.random.default_rng(1).gamma(2.0, 300.0, shape).astype(np.float32)
    image[3, 4] = np.nan
    windows = Windows(image)
    fixed = normalization.fixed(windows)
    whole = normalization(image)
    for rows, columns in ((slice(2, 9), slice(1, 30)), (slice(20, 29), slice(None))):
        np.testing.assert_array_equal(fixed(image[rows, columns]), whole[rows, columns])
    assert windows.read_pixels <= 1 or normalization.kind in ("percentile", "range")
    eight_bits = Windows(np.nan_to_num(image).clip(0, 255).astype(np.uint8))
    normalization.fixed(eight_bits)
    assert eight_bits.read_pixels <= 1 or normalization.kind == "percentile"


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_few_pixels_stand_for_an_image_of_any_size(height, width) -> None:
    windows = sampled((height, width))
    sizes = [(r.stop - r.start) * (c.stop - c.start) for r, c in windows]
    assert sum(sizes) <= MOST_SIDE**2
    assert min(r.start for r, _ in windows) == min(c.start for _, c in windows) == 0
    assert max(r.stop for r, _ in windows) == height
    assert max(c.stop for _, c in windows) == width
    if max(height, width) <= MOST_SIDE:
        assert windows == [(slice(0, height), slice(0, width))]


def test_percentiles_of_a_sample_are_near_those_of_all_pixels() -> None:
    image = np.random.default_rng(1).gamma(2.0, 300.0, (6000, 500, 1)).astype(np.uint16)
    image[3000:] *= 2
    low, high = np.percentile(image, (1, 99.8))
    ends = Normalization("percentile")(image.clip(low, high))
    assert abs(ends.min()) < 0.01
    assert abs(ends.max() - 1) < 0.02


@pytest.mark.parametrize("kind", ["percentile", "mean-std", "none"])
def test_eight_bits_are_looked_up_as_they_would_be_computed(kind):
    image = np.random.default_rng(0).integers(0, 256, (30, 20, 3)).astype(np.uint8)
    normalization = Normalization(kind, mean=(3.3, 100, 0), std=(7, 0.1, 900))
    looked_up, computed = normalization(image), normalization(image.astype(np.uint16))
    assert looked_up.dtype == np.float32
    np.testing.assert_array_equal(looked_up, computed)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e9), (1e40, 0.0), (1e-45, 0.0)])
def test_float64_is_normalised_as_such(scale: float, offset: float) -> None:
    # By way of float32 the first was steps of 64, the second infinite, and the third nearly 0.
    image = np.random.default_rng(0).integers(0, 200, (40, 50, 1)).astype(np.float64)
    normal = Normalization("percentile")
    np.testing.assert_allclose(normal(image * scale + offset), normal(image), atol=1e-6)
