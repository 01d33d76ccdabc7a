import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from spatialembed.data.crops.augmentation import Augmentation, Change, shade
from spatialembed.data.crops.warp import Warp, gaussian_blur
from spatialembed.errors import UserError

FULL = Augmentation(scale=(0.5, 2), brightness=0.2, contrast=0.4, gamma=0.5, noise=0.1, blur=2.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def coordinates(height: int, width: int) -> np.ndarray:
    """An image (2, H, W) whose values are its own pixels' y and x."""
    return np.mgrid[:height, :width].astype(np.float32)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scale": (1.2, 0.8)}, "scale"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"scale": (1.0, math.inf)}, "scale"),
        ({"scale": (1.0,)}, "scale"),
        ({"contrast": 1.0}, "contrast"),
        ({"brightness": -0.1}, "brightness"),
        ({"gamma": math.nan}, "gamma"),
        ({"noise": math.inf}, "noise"),
        ({"blur": -1.0}, "blur"),
        ({"invert": 1.1}, "invert"),
        ({"color": -0.1}, "color"),
    ],
)
def test_values_out_of_range_are_refused_by_name(options, named):
    with pytest.raises(UserError, match=rf"(?i)augmentation\W+{named}"):
        Augmentation(**options)


def test_a_recipe_may_give_scale_as_a_list():
    assert Augmentation(scale=[0.5, 2]) == Augmentation(scale=(0.5, 2.0))


def test_draws_stay_in_their_ranges_and_reach_all_of_them():
    changes = [FULL.draw(rng(i)) for i in range(400)]
    assert {(c.flip, c.turns) for c in changes} == {(f, t) for f in (0, 1) for t in range(4)}
    for name, low, high in (
        ("scale", 0.5, 2),
        ("brightness", -0.2, 0.2),
        ("contrast", 0.6, 1.4),
        ("gamma", 1 / 1.5, 1.5),
        ("noise", 0, 0.1),
        ("blur", 0, 2),
    ):
        values = np.array([getattr(c, name) for c in changes])
        assert low <= values.min() < low + 0.1 * (high - low), name
        assert high - 0.1 * (high - low) < values.max() <= high, name
    assert 0.4 < np.mean([c.blur > 0 for c in changes]) < 0.6
    assert 0.4 < np.mean([c.noise > 0 for c in changes]) < 0.6


def test_every_change_is_drawn_by_itself():
    """No two share a number: of any two, one says nothing about the other."""
    changes = [FULL.draw(rng(i)) for i in range(2000)]
    columns = {
        name: np.array([getattr(c, name) for c in changes], float)
        for name in ("flip", "turns", "scale", "brightness", "contrast", "gamma")
    }
    for name in ("noise", "blur"):
        values = np.array([getattr(c, name) for c in changes])
        columns[f"whether {name}"] = values > 0
        columns[f"how much {name}"] = np.where(values > 0, values, values[values > 0].mean())
    table = np.corrcoef(np.array(list(columns.values()), float))
    assert len(table) == 10
    assert np.abs(table - np.eye(10)).max() < 0.1  # 4 standard errors
    # Draws are equally likely throughout their range: log-uniform where the range is of factors.
    for name, low, high in (("scale", 0.5, 2), ("gamma", 1 / 1.5, 1.5)):
        place = np.log(columns[name] / low) / np.log(high / low)
        assert np.abs(np.quantile(place, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.05, name
    for name, low, high in (("brightness", -0.2, 0.2), ("contrast", 0.6, 1.4)):
        place = (columns[name] - low) / (high - low)
        assert np.abs(np.quantile(place, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.05, name
    assert np.abs(np.bincount(columns["turns"].astype(int)) / 2000 - 0.25).max() < 0.05
    assert abs(columns["flip"].mean() - 0.5) < 0.05


def test_nothing_on_changes_nothing():
    assert Augmentation(flip=False, turn=False).draw(rng()) == Change()


def test_one_option_does_not_shift_the_draw_of_another():
    plain, full = Augmentation(scale=(0.5, 2)).draw(rng(3)), FULL.draw(rng(3))
    assert (plain.flip, plain.turns, plain.scale) == (full.flip, full.turns, full.scale)


@given(st.booleans(), st.integers(0, 3), st.integers(1, 9))
def test_without_scale_a_warp_is_flip_and_rot90_of_a_slice(flip, turns, size):
    image = rng(1).random((2, 20, 23), dtype=np.float32)
    half = (size - 1) / 2
    warp = Warp.about((5 + half, 7 + half), Change(flip, turns), size)
    cut = image[:, 5 : 5 + size, 7 : 7 + size]
    expected = np.rot90(cut[:, :, ::-1] if flip else cut, turns, (1, 2))
    np.testing.assert_array_equal(warp.image(image), expected)
    np.testing.assert_array_equal(warp.nearest(image), expected)
    assert warp.inside((20, 23)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 24),
    st.floats(0.3, 3),
    st.booleans(),
    st.integers(0, 3),
    st.floats(-10, 50),
    st.floats(-10, 50),
)
def test_image_and_mask_are_warped_alike(height, width, size, scale, flip, turns, y, x):
    """The image's values are coordinates: where bilinear sampling reads, nearest must gather."""
    warp = Warp.about((y, x), Change(flip, turns, scale), size)
    # A blur leaves a ramp as it is, but for the border; so that is tested without one.
    image = Warp._bilinear(warp, coordinates(height, width), 0, 0)
    inside = warp.inside((height, width))
    assert inside.shape == (size, size)
    found = warp.nearest(np.indices((height, width)))
    assert np.abs(image - found)[:, inside].max(initial=0) <= 0.501
    naive = (
        (warp.rows >= -0.5)
        & (warp.rows < height - 0.5)
        & (warp.columns >= -0.5)
        & (warp.columns < width - 0.5)
    )
    np.testing.assert_array_equal(inside, naive)


@pytest.mark.parametrize("change", [Change(True, 1, 1.7), Change(False, 3, 0.6), Change(blur=1.5)])
def test_only_a_window_is_read_and_it_makes_no_difference(change):
    image = rng(2).random((3, 120, 130), dtype=np.float32)
    warp = Warp.about((60.3, 50.2), change, 32)
    sigma = math.hypot(change.blur * warp.step, 0.5 * math.sqrt(max(warp.step**2 - 1, 0)))
    blurred = gaussian_blur(image, sigma) if sigma else image
    np.testing.assert_allclose(
        warp.image(image, change.blur), warp._bilinear(blurred, 0, 0), atol=1e-4
    )


def test_magnified_by_two_a_pixel_becomes_two():
    image = rng(3).random((1, 8, 8), dtype=np.float32)
    larger = Warp.about((3.5, 3.5), Change(scale=2.0), 16).nearest(image)
    np.testing.assert_array_equal(larger, image.repeat(2, axis=1).repeat(2, axis=2))


def test_shrinking_blurs_away_what_would_alias():
    stripes = np.tile(np.float32([0, 1]), (1, 64, 32))
    shrunk = Warp.about((31.3, 31.8), Change(scale=0.4), 20).image(stripes)
    assert shrunk.std() < 0.1


@given(st.floats(0.3, 4))
@settings(max_examples=20, deadline=None)
def test_blur_equals_scipys(sigma):
    image = rng(4).random((2, 17, 9), dtype=np.float32)
    expected = ndimage.gaussian_filter(
        image, (0, sigma, sigma), mode="nearest", radius=(0, *[math.ceil(3 * sigma)] * 2)
    )
    np.testing.assert_allclose(gaussian_blur(image, sigma), expected, atol=1e-5)


def test_shading_does_what_its_names_say():
    image = rng(5).random((2, 16, 16), dtype=np.float32) * 3 - 1
    mean = image.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(
        shade(image, Change(brightness=0.3, contrast=1.5), rng()),
        (image - mean) * 1.5 + mean + 0.3,
        atol=1e-5,
    )
    low, high = image.min((1, 2), keepdims=True), image.max((1, 2), keepdims=True)
    np.testing.assert_allclose(
        shade(image, Change(gamma=2.0), rng()),
        ((image - low) / (high - low)) ** 2 * (high - low) + low,
        atol=1e-5,
    )
    added = shade(np.zeros((1, 200, 200), np.float32), Change(noise=0.2), rng())
    assert abs(added.std() - 0.2) < 0.01
    assert abs(added.mean()) < 0.01


@pytest.mark.parametrize("value", [0.0, -1.0, 7.5])
def test_a_constant_image_stays_finite(value):
    image = np.full((1, 8, 8), value, np.float32)
    shaded = shade(image, Change(gamma=0.4, contrast=2), rng())
    np.testing.assert_allclose(shaded, image, atol=1e-6)


def test_shading_leaves_its_argument_alone():
    image = rng(6).random((1, 8, 8), dtype=np.float32)
    before = image.copy()
    shade(image, Change(gamma=2, contrast=1.2, brightness=0.1, noise=0.1), rng())
    np.testing.assert_array_equal(image, before)


def test_configuration_loads_without_torch():
    code = (
        "import sys; from spatialembed.data.crops.augmentation import Augmentation; Augmentation();"
        "import spatialembed.data.crops; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_pickles():
    assert pickle.loads(pickle.dumps(FULL)) == FULL


def test_inverting_is_one_minus_the_image():
    image = rng().random((3, 5, 4)).astype(np.float32)
    np.testing.assert_array_equal(shade(image, Change(invert=True), rng()), 1 - image)


def test_crops_are_inverted_as_often_as_asked():
    half = Augmentation(invert=0.3)
    share = np.mean([half.draw(rng(i)).invert for i in range(1000)])
    assert share == pytest.approx(0.3, abs=0.05)


def test_mixed_channels_are_means_of_all_that_keep_grey_grey():
    grey = np.repeat(rng().random((1, 6, 5)), 3, 0).astype(np.float32)
    np.testing.assert_allclose(shade(grey, Change(mix=1.0), rng(1)), grey, atol=1e-6)
    color = rng().random((3, 6, 5)).astype(np.float32)
    mixed = shade(color, Change(mix=1.0), rng(1))
    assert (mixed >= color.min(0) - 1e-6).all()
    assert (mixed <= color.max(0) + 1e-6).all()
    weak = shade(color, Change(mix=0.1), rng(1))
    np.testing.assert_allclose(weak, 0.9 * color + 0.1 * mixed, atol=1e-6)


def test_options_of_kinds_shift_no_other_draw():
    plain, kinds = FULL.draw(rng(3)), replace(FULL, invert=1.0, color=1.0).draw(rng(3))
    assert replace(kinds, invert=False, mix=0.0) == plain
