"""An image in which nothing can be seen is told from one that is merely dim."""

import numpy as np
import pytest
import tifffile

from spatialembed.data.checks.check import check_data
from spatialembed.data.checks.noise import is_noise


def scene(shape, contrast=1.0, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.int32)
    mask[..., 20:40, 30:60] = 1
    mask[..., 60:90, 80:110] = 2
    image = rng.poisson(20 + 5 * contrast * (mask > 0), shape).astype(np.uint16)
    return image[..., None], mask


@pytest.mark.parametrize("shape", [(120, 130), (4, 120, 130)])
def test_dim_objects_are_no_noise_and_none_are(shape) -> None:
    assert not is_noise(*scene(shape))
    assert is_noise(*scene(shape, contrast=0))


def test_values_that_wrap_around_are_noise() -> None:
    rng = np.random.default_rng(0)
    _, mask = scene((8, 120, 130))
    bright = rng.normal(8000 + 6000 * (mask > 0), 700)
    assert not is_noise(bright.astype(np.uint16)[..., None], mask)
    assert is_noise(bright.astype(np.uint16).astype(np.uint8)[..., None], mask)


def test_one_channel_that_shows_something_is_enough() -> None:
    seen, mask = scene((120, 130))
    unseen, _ = scene((120, 130), contrast=0, seed=1)
    assert not is_noise(np.concatenate([unseen, seen], -1), mask)


@pytest.mark.parametrize("value", [0, 7])
def test_nothing_is_said_of_flat_and_small_images_and_of_no_objects(value) -> None:
    flat, mask = np.full((120, 130, 1), value, np.uint8), scene((120, 130))[1]
    assert not is_noise(flat, mask)
    noise = scene((120, 130), contrast=0)[0]
    assert not is_noise(noise, mask * 0)
    assert not is_noise(noise[:50, :50], mask[:50, :50])


def test_check_names_the_image(tmp_path) -> None:
    for name, contrast in (("a", 1), ("b", 0)):
        image, mask = scene((3, 120, 130), contrast)
        for kind, array in (("images", image[..., 0]), ("masks", mask.astype(np.uint16))):
            file = tmp_path / "train" / kind / f"{name}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(file, array, metadata={"axes": "ZYX"}, photometric="minisblack")
    said = [str(problem) for problem in check_data(tmp_path).problems]
    noisy = [text for text in said if "looks like noise" in text]
    assert len(noisy) == 1
    assert "b.tif" in noisy[0]
