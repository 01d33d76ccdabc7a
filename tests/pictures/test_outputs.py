import numpy as np
import pytest

from spatialembed.pictures import bandwidth_ellipses, embedding_space, offset_wheel, seed_picture

BLACK = np.zeros((60, 80), np.uint8)


def test_offsets_of_one_direction_have_one_hue_and_no_offset_is_white():
    offset = np.zeros((2, 20, 30))
    offset[0, :, 10:20], offset[0, :, 20:] = 5, -5
    rgb = offset_wheel(offset, radius=5, legend=False).astype(int)
    assert rgb[:, :10].min() > 235
    assert len(np.unique(rgb[:, 10:20].reshape(-1, 3), axis=0)) == 1
    assert np.abs(rgb[0, 15] - rgb[0, 25]).sum() > 120


def test_longer_offsets_are_stronger_and_saturate_at_the_radius():
    offset = np.zeros((2, 1, 4))
    offset[1, 0] = 0, 2, 4, 400
    spread = np.ptp(offset_wheel(offset, radius=4, legend=False)[0].astype(int), axis=-1)
    assert spread[0] < spread[1] < spread[2] == spread[3]


def test_legend_agrees_with_the_picture():
    offset = np.zeros((2, 200, 300))
    offset[0] = 7
    rgb = offset_wheel(offset, radius=7).astype(int)
    changed = np.argwhere((rgb != rgb[0, 0]).any(axis=2))
    size = 200 // 7
    top, left = changed.min(axis=0)
    pad = max(3, size // 8)
    right_edge = rgb[top + pad + size // 2, left + pad + size - 2]
    left_edge = rgb[top + pad + size // 2, left + pad + 1]
    assert np.abs(right_edge - rgb[0, 0]).sum() < 40 < np.abs(left_edge - rgb[0, 0]).sum()


def test_offsets_survive_values_that_are_not_finite_and_an_empty_foreground():
    offset = np.full((2, 30, 40), np.nan)
    offset[0, 0, 0] = np.inf
    assert offset_wheel(offset, legend=False).min() > 235
    nowhere = offset_wheel(offset, where=np.zeros((30, 40), bool), legend=False)
    assert len(np.unique(nowhere.reshape(-1, 3), axis=0)) == 1
    with pytest.raises(ValueError, match="offsets are"):
        offset_wheel(np.zeros((3, 4, 4)))


def test_an_ellipse_is_drawn_at_its_half_axes_around_the_center_of_its_pixel():
    ink = np.array([[255, 0, 0]], np.uint8)
    rgb = bandwidth_ellipses(BLACK, np.array([[40, 30]]), np.array([[20, 10]]), ink)
    y, x = np.nonzero(rgb[..., 0] > 100)
    assert (x.min(), x.max(), y.min(), y.max()) == (20, 60, 20, 40)
    assert rgb[30, 40, 0] > 150
    assert rgb[30, 50, 0] == 0
    circle = bandwidth_ellipses(BLACK, np.array([[40, 30]]), np.array([[15]]), ink)
    assert np.array_equal(circle[:, 10:71], circle[:, 70:9:-1])
    assert np.array_equal(circle[10:51], circle[50:9:-1])


def test_ellipses_leave_the_rest_as_it_is_and_skip_nonsense():
    image = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    none = bandwidth_ellipses(image, np.zeros((0, 2)), np.zeros((0, 2)))
    assert np.array_equal(none[..., 0], (image * 0.6).astype(np.uint8))
    centers = np.array([[np.nan, 3], [5, 5], [1e7, -1e7], [40, 30]])
    margins = np.array([[4, 4], [np.inf, 4], [3, 3], [1e9, 1e9]])
    far = bandwidth_ellipses(image, centers, margins)
    assert (far != none).any(axis=2).sum() < 30


def test_seed_picture_grows_lighter_with_the_score():
    rgb = seed_picture(np.linspace(0, 1, 50)[None]).astype(float)[0]
    luminance = rgb @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -0.5).all()
    assert luminance[-1] > 220
    assert luminance[0] < 25
    assert np.array_equal(seed_picture(np.array([[np.nan, 7]])), seed_picture(np.array([[0, 1]])))


def test_pixels_are_drawn_where_they_land_in_the_color_of_their_object():
    height, width = 40, 50
    colors = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    rng = np.random.default_rng(0)
    position = rng.uniform(-5, 55, (2, 300))
    position[:, :3] = np.nan, np.inf, -np.inf
    label = rng.integers(0, 3, 300)
    none = np.full((2, 2), np.nan)  # no margin is drawn
    rgb = embedding_space(position, label, (height, width), none, none, colors)
    scale = rgb.shape[0] // height
    assert rgb.shape == (scale * height, scale * width, 3)
    lands = {}
    for (x, y), k in zip(position.T.tolist(), label.tolist(), strict=True):
        if np.isfinite(x) and np.isfinite(y):
            at = int(np.floor((y + 0.5) * scale)), int(np.floor((x + 0.5) * scale))
            lands.setdefault(at, []).append(k)
    drawn = {at for at in lands if 0 <= at[0] < rgb.shape[0] and 0 <= at[1] < rgb.shape[1]}
    backdrop = rgb[next((y, x) for y in range(9) for x in range(9) if (y, x) not in drawn)]
    differs = (rgb != backdrop).any(axis=2)
    assert set(zip(*np.nonzero(differs), strict=True)) == drawn
    for at in drawn:
        kinds = set(lands[at])
        if kinds == {1}:
            assert rgb[at][0] > 90 > rgb[at][1] == rgb[at][2]
        elif kinds == {0}:
            assert rgb[at][0] == rgb[at][1] == rgb[at][2]


def test_a_margin_lies_around_its_center_in_the_embedding_space():
    ink = np.array([[255, 0, 0]], np.uint8)
    nowhere, center = np.zeros((2, 0)), np.array([[40.0, 30.0]])
    rgb = embedding_space(nowhere, np.zeros(0, int), (60, 80), center, np.array([[20, 10]]), ink)
    scale = rgb.shape[0] // 60
    y, x = np.nonzero(rgb[..., 0] > 100)
    box = np.array([x.min(), x.max() + 1, y.min(), y.max() + 1]) / scale - 0.5
    np.testing.assert_allclose(box, [20, 60, 20, 40], atol=0.8)
