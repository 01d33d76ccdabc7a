"""Test-time augmentation: every symmetry, undone, says the same of a network that is symmetric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.embedding import embed, sigma_to_margin, turn
from spatialembed.inference.symmetries import SYMMETRIES, averaged


def pointing_at_centers(pixels: np.ndarray, n_sigma: int = 2) -> np.ndarray:
    """A perfectly symmetric network: arrows to each blob's center, its half extents as margins."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width]
    output = np.zeros((2 + n_sigma + 1, height, width), np.float32)
    for value in np.unique(pixels[pixels > 0]):
        inside = pixels[..., 0] == value
        center = x[inside].mean(), y[inside].mean()
        output[0][inside] = np.arctanh((center[0] - x[inside]) / 1024)
        output[1][inside] = np.arctanh((center[1] - y[inside]) / 1024)
        extents = np.ptp(x[inside]) / 100, np.ptp(y[inside]) / 100
        output[2 : 2 + n_sigma, inside] = np.array(extents[:n_sigma])[:, None]
        output[-1][inside] = value
    return output


def blobs(height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 1))
    for k in range(3):
        y, x = rng.integers(height), rng.integers(width)
        pixels[y : y + 1 + rng.integers(6), x : x + 1 + rng.integers(9)] = k + 1
    return pixels


@given(st.integers(1, 17), st.integers(1, 17), st.integers(0, 99), st.sampled_from([1, 2, 4, 8]))
@settings(max_examples=50, deadline=None)
def test_the_mean_over_symmetries_of_a_symmetric_network_is_its_output(height, width, seed, count):
    pixels = blobs(height, width, seed)
    expected = pointing_at_centers(pixels)
    found = averaged(lambda seen, _: pointing_at_centers(seen), pixels, 2, count)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("quarters", "mirror"), SYMMETRIES[8])
def test_turning_the_output_is_the_output_of_the_turned_image(quarters, mirror) -> None:
    pixels = blobs(11, 16, 5)
    seen = np.rot90(pixels, quarters)
    seen = seen[:, ::-1] if mirror else seen
    turned = turn(pointing_at_centers(pixels), 2, quarters, mirror)
    np.testing.assert_allclose(turned, pointing_at_centers(seen), atol=1e-6)
    embedded = embed(turned, 2)
    assert sigma_to_margin(embedded.sigma).shape == (2, *seen.shape[:2])


def test_symmetries_are_as_many_as_they_say_and_all_differ() -> None:
    for count, symmetries in SYMMETRIES.items():
        assert len(set(symmetries)) == count
