import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spatialembed.inference.resizing import resized as resized_to
from spatialembed.inference.resizing import sampled as sampled_at
from spatialembed.inference.zoom import Enlarged, Part, Side


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return resized_to(image, between(image.shape[1:], shape))


def sampled(maps: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return sampled_at(maps, between(shape, maps.shape[1:]))


def between(pixels: tuple[int, int], lines: tuple[int, int]) -> Enlarged:
    """All of an image of so many pixels as so many lines."""
    sides = zip(pixels, lines, strict=True)
    return Enlarged(*(Side(0, line, 0, pixel, line / pixel) for pixel, line in sides))


@pytest.mark.parametrize("function", [resized, sampled])
def test_the_same_size_is_the_same_array(function) -> None:
    maps = np.zeros((2, 5, 7), np.float32)
    assert function(maps, (5, 7)) is maps


def test_half_the_size_is_sampled_as_means() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 6, 8)).astype(np.float32)
    means = maps.reshape(3, 3, 2, 4, 2).mean((2, 4))
    np.testing.assert_allclose(sampled(maps, (3, 4)), means, atol=1e-6)


@pytest.mark.parametrize("function", [resized, sampled])
@pytest.mark.parametrize("factor", [0.3, 0.5, 1.5, 2, 3])
def test_pixel_centers_stay_in_place(function, factor) -> None:
    """A ramp stays a ramp: at another size, and back again."""
    x = np.broadcast_to(np.arange(40, dtype=np.float32), (2, 10, 40))
    shape = round(10 * factor), round(40 * factor)
    other = function(np.ascontiguousarray(x), shape)
    border = max(2, round(2 * factor))
    expected = (np.arange(shape[1]) + 0.5) / factor - 0.5
    inner = slice(border, -border)
    close = 1e-4 if function is sampled else 0.1  # places of weights are rounded
    np.testing.assert_allclose(other[0, 1, inner], expected[inner], atol=close)
    back = function(other, (10, 40))
    np.testing.assert_allclose(back[0, :, 8:-8], x[0, :, 8:-8], atol=close)


def test_what_shrinks_is_smoothed_before() -> None:
    """Stripes of one pixel become grey, not stripes of another width."""
    stripes = np.broadcast_to(np.arange(64) % 2, (1, 64, 64)).astype(np.float32)
    assert np.ptp(resized(stripes, (20, 20))) < 0.2


def test_one_pixel() -> None:
    assert sampled(np.full((1, 1, 1), 3, np.float32), (4, 2)).tolist() == [[[3, 3]] * 4]


@pytest.mark.parametrize("zoom", [0.4, 1.0, 1.53, 3.0])
@pytest.mark.parametrize("symmetry", [(0, False), (1, False), (2, True), (3, True)])
def test_a_part_is_enlarged_as_in_the_whole(zoom, symmetry) -> None:
    """Bit for bit nearly: places of weights are rounded, as Pillow rounds them."""
    quarters, mirror = symmetry
    image = np.random.default_rng(0).random((1, 300, 420)).astype(np.float32)
    part = Part(slice(50, 250), slice(130, 420), (300, 420))
    turned = part.turned(quarters, mirror)

    def turn(array: np.ndarray) -> np.ndarray:
        array = np.rot90(array, quarters, (1, 2))
        return np.ascontiguousarray(array[:, :, ::-1] if mirror else array)

    whole, cut = turn(image), turn(image[:, part.rows, part.columns])
    np.testing.assert_array_equal(whole[:, turned.rows, turned.columns], cut)
    at, there = Part.whole(whole.shape[1:]).enlarged(zoom), turned.enlarged(zoom)
    lines, own = resized_to(whole, at), resized_to(cut, there)
    expected = lines[:, there.rows.first : there.rows.last, there.columns.first :]
    expected = expected[:, :, : len(there.columns)]
    assert there.rows.first % 32 == there.columns.first % 32 == 0
    inner = (slice(None), slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(own[inner], expected[inner], atol=2e-3)
    border = round(33 / zoom) + 3
    inner = (slice(None), slice(border, -border), slice(border, -border))
    back = sampled_at(lines, at)[:, turned.rows, turned.columns]
    np.testing.assert_allclose(sampled_at(expected, there)[inner], back[inner], atol=1e-5)


PARTS = st.builds(
    lambda height, width, before, after, zoom: Part(
        slice(before, before + height), slice(after, after + width), (height + 90, width + 60)
    ).enlarged(zoom),
    *[st.integers(1, 60)] * 2,
    st.integers(0, 90),
    st.integers(0, 60),
    st.floats(0.1, 4),
)


@given(PARTS, st.integers(1, 3))
@settings(deadline=None)
def test_images_are_resized_as_pillow_does_to_the_last_bit(to, channels) -> None:
    sides = (side.stop - side.start for side in (to.rows, to.columns))
    image = np.random.default_rng(0).normal(size=(channels, *sides)).astype(np.float32)
    (top, bottom), (left, right) = to.rows.ends, to.columns.ends
    box, how = (left, top, right, bottom), Image.Resampling.BILINEAR
    for channel, found in zip(image, resized_to(image, to), strict=True):
        expected = np.asarray(Image.fromarray(channel).resize(to.shape[::-1], how, box))
        np.testing.assert_array_equal(found, expected)


@given(PARTS)
@settings(deadline=None)
def test_maps_are_sampled_as_numpy_does(at) -> None:
    maps = np.random.default_rng(0).normal(size=(2, *at.shape)).astype(np.float32)
    expected = maps
    for axis, side in ((1, at.rows), (2, at.columns)):
        below = np.floor(side.places).astype(int)
        share = np.expand_dims(side.places - below, (0, 3 - axis))
        above = np.minimum(below + 1, len(side) - 1)
        expected = expected.take(below, axis) * (1 - share) + expected.take(above, axis) * share
    np.testing.assert_allclose(sampled_at(maps, at), expected, atol=1e-5)


def test_large_maps_are_resampled_by_all_cores_alike(monkeypatch) -> None:
    maps = np.random.default_rng(0).random((2, 301, 200)).astype(np.float32)
    at = between((301, 200), (450, 310))
    alone = resized_to(maps, at)
    monkeypatch.setattr("spatialembed.inference.resizing.SHARED", 0)
    monkeypatch.setattr("spatialembed.inference.resizing.cores", lambda: 7)
    np.testing.assert_array_equal(resized_to(maps, at), alone)
