"""Test-time augmentation: every symmetry, undone, says the same of a network that is symmetric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.embedding import embed, sigma_to_margin, turn
from spatialembed.inference.symmetries import GIVEN_BACK, SYMMETRIES, averaged


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


def lopsided(pixels: np.ndarray, _: object = None) -> np.ndarray:
    """A network of two classes that says another thing of each turn of an image."""
    weights = np.random.default_rng(0).normal(size=(6, 3))
    right, below = np.roll(pixels[..., 0], 1, 1), np.roll(pixels[..., 0], 1, 0)
    return np.tensordot(weights, np.stack([pixels[..., 0], right, below]), 1).astype(np.float32)


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


def test_one_view_is_the_output_itself() -> None:
    pixels = blobs(11, 16, 5)
    np.testing.assert_array_equal(averaged(lopsided, pixels, 2, 1), lopsided(pixels))


@pytest.mark.parametrize(
    ("count", "quarters", "mirror"), [(2, 0, True), (4, 3, False), (8, 1, True)]
)
def test_a_turned_image_gives_the_turned_mean(count, quarters, mirror) -> None:
    pixels = blobs(11, 16, 5)
    seen = np.rot90(pixels, quarters)
    seen = seen[:, ::-1] if mirror else seen
    turned = turn(averaged(lopsided, pixels, 2, count), 2, quarters, mirror)
    np.testing.assert_allclose(averaged(lopsided, seen, 2, count), turned, atol=1e-5)


@pytest.mark.parametrize("n_sigma", [1, 2])
def test_what_views_differ_by_is_given_back_to_seeds_alone(n_sigma) -> None:
    pixels = blobs(11, 11, 5)
    views = []
    for quarters, mirror in SYMMETRIES[8]:
        seen = np.rot90(pixels, quarters)
        output = lopsided(seen[:, ::-1] if mirror else seen)
        output = output[:, :, ::-1] if mirror else output
        back = np.rot90(output, -quarters, (1, 2)).copy()
        x, y = (-back[0] if mirror else back[0]).copy(), back[1].copy()
        for _ in range(quarters):  # what points up came from the right
            x, y = -y, x
        back[:2] = x, y
        if n_sigma == 2 and quarters % 2:
            back[2:4] = back[3:1:-1].copy()
        views.append(back)
    found, mean = averaged(lopsided, pixels, n_sigma, 8), np.mean(views, axis=0)
    np.testing.assert_allclose(found[: 2 + n_sigma], mean[: 2 + n_sigma], atol=1e-5)
    for at in np.ndindex(mean[2 + n_sigma :].shape):
        own = [float(view[2 + n_sigma :][at]) for view in views]
        middle = sum(own) / 8
        spread = (sum((value - middle) ** 2 for value in own) / 8) ** 0.5
        expected = middle + GIVEN_BACK * spread / (1 + np.exp(-middle))
        assert found[2 + n_sigma :][at] == pytest.approx(expected, abs=1e-4)
