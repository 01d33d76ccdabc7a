import numpy as np
import pytest

from spatialembed.inference.zoom import resized, sampled


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
    close = 1e-4 if function is sampled else 0.1  # Pillow rounds the places of its weights
    np.testing.assert_allclose(other[0, 1, inner], expected[inner], atol=close)
    back = function(other, (10, 40))
    np.testing.assert_allclose(back[0, :, 8:-8], x[0, :, 8:-8], atol=close)


def test_what_shrinks_is_smoothed_before() -> None:
    """Stripes of one pixel become grey, not stripes of another width."""
    stripes = np.broadcast_to(np.arange(64) % 2, (1, 64, 64)).astype(np.float32)
    assert np.ptp(resized(stripes, (20, 20))) < 0.2


def test_one_pixel() -> None:
    assert sampled(np.full((1, 1, 1), 3, np.float32), (4, 2)).tolist() == [[[3, 3]] * 4]
