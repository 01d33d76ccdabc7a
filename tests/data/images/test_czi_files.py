"""Zeiss' CZI: scenes, mosaics, planes that are missing, pixels of several types, levels."""

import numpy as np
import pytest

from microscopes import write_czi
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import (
    further_images,
    image_size,
    open_windowed,
    read_image,
    read_stack,
)
from spatialembed.data.images.series import Which
from spatialembed.data.images.vendor_image import vendor_remark
from spatialembed.errors import UserError

pytest.importorskip("pylibCZIrw", reason="reading CZI is an extra, vendor")

RNG = np.random.default_rng(3)
PLANES = RNG.integers(0, 65536, (3, 40, 64), dtype=np.uint16)
COLOR = RNG.integers(0, 256, (40, 64, 3), dtype=np.uint8)
ROWS, COLUMNS = slice(3, 21), slice(5, 40)


def test_a_czi_in_colors_has_red_first(tmp_path) -> None:
    other = COLOR[::-1].copy()
    at = [{"scene": 0}, {"scene": 1, "location": (90, 50)}]
    path = tmp_path / "a.czi"
    write_czi(path, [(COLOR[..., ::-1].copy(), at[0]), (other[..., ::-1].copy(), at[1])])
    np.testing.assert_array_equal(read_image(path, 0), COLOR)
    np.testing.assert_array_equal(read_image(path, 1), other)
    opened = open_windowed(path, series=1)
    np.testing.assert_array_equal(opened.read(ROWS, COLUMNS), other[ROWS, COLUMNS])


def tiles(whole, but=()):
    """Four of an image (80, 128)."""
    return [
        (whole[y : y + 40, x : x + 64].copy(), {"location": (x - 30, y + 9)})
        for y in (0, 40)
        for x in (0, 64)
        if (y, x) not in but
    ]


def test_a_mosaic_is_put_together_and_halved(tmp_path) -> None:
    whole = RNG.integers(0, 256, (80, 128), dtype=np.uint8)
    path = tmp_path / "a.czi"
    write_czi(path, tiles(whole))
    assert vendor_remark(path) == ""
    np.testing.assert_array_equal(read_image(path)[..., 0], whole)
    across = slice(30, 50), slice(50, 90)
    np.testing.assert_array_equal(open_windowed(path).read(*across)[..., 0], whole[across])
    half = read_image(path, Which(level=1))[..., 0]
    assert half.shape == image_size(path, Which(level=1)) == (40, 64)
    apart = [abs(half.astype(int) - whole[y::2, x::2]).max() for y in (0, 1) for x in (0, 1)]
    assert min(apart) == 0  # one of each four
    part = open_windowed(path, series=Which(level=1)).read(slice(3, 9), slice(7, 20))[..., 0]
    np.testing.assert_array_equal(part, half[3:9, 7:20])


def test_a_mosaic_that_lacks_a_tile_says_how_much_of_it_is_bare(tmp_path) -> None:
    whole = RNG.integers(1, 256, (80, 128), dtype=np.uint8)
    path = tmp_path / "a.czi"
    write_czi(path, tiles(whole, but=[(40, 64)]))
    for level in (0, 1):
        told = vendor_remark(path, Which(level=level))
        assert told.startswith("25.00% of its pixels lie in none of its tiles and are read as 0")
    whole[40:, 64:] = 0
    np.testing.assert_array_equal(read_image(path)[..., 0], whole)
    uneven = [(whole[:40, :64].copy(), {"location": (64 * k, 3 * k)}) for k in (0, 1)]
    write_czi(tmp_path / "b.czi", uneven)
    assert vendor_remark(tmp_path / "b.czi") == ""  # a few lines at the borders


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_czi_keeps_its_type(tmp_path, dtype) -> None:
    image = RNG.integers(0, 256, (40, 64)).astype(dtype)
    write_czi(tmp_path / "a.czi", [(image, {})])
    found = read_image(tmp_path / "a.czi")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[..., 0], image)


def test_a_czi_that_lacks_a_tile_of_one_channel_or_a_plane_of_all_is_refused(tmp_path) -> None:
    right = {"location": (PLANES[0].shape[1], 0)}
    tiles = [(PLANES[0], {"plane": {"C": c}, **at}) for c in (0, 1) for at in ({}, right)]
    write_czi(tmp_path / "a.czi", tiles[:-1])
    with pytest.raises(UserError, match=r"lacks 1 of the 2 planes.* or parts of them"):
        read_image(tmp_path / "a.czi")
    write_czi(tmp_path / "z.czi", [(PLANES[0], {"plane": {"Z": z}}) for z in (0, 1, 3)])
    with pytest.raises(UserError, match="lacks 1 of the 4 planes"):
        read_stack(tmp_path / "z.czi")


def test_scenes_of_a_czi_that_are_whole_are_read_beside_one_that_is_not(tmp_path) -> None:
    path = tmp_path / "a.czi"
    tiles = [
        (PLANES[s], {"plane": {"C": c}, "scene": s, "location": (100 * s + 500 * tile, 0)})
        for s in range(3)
        for c in (0, 1)
        for tile in (0, 1)
        if (s, c, tile) != (1, 1, 1)
    ]
    write_czi(path, tiles)
    for scene in (0, 2):
        found = read_image(path, scene)[:, :64]
        np.testing.assert_array_equal(found, np.stack([PLANES[scene]] * 2, 2))
    rest = "series 0 564x40, series 2 564x40"
    with pytest.raises(
        UserError, match=rf"lacks 1 of the 2 planes of scene 1.*can be read: {rest}$"
    ):
        read_image(path, 1)
    with pytest.raises(
        UserError, match=rf"holds 3 images \(.*\), of which {rest} alone can be read"
    ):
        read_image(path)
    assert "series 1 564x40" in further_images(path, 0)


def test_scenes_of_a_czi_keep_their_numbers_where_some_are_left_out(tmp_path) -> None:
    path = tmp_path / "a.czi"
    write_czi(path, [(PLANES[s], {"scene": s, "location": (100 * s, 7)}) for s in (0, 2)])
    for scene in (0, 2):
        np.testing.assert_array_equal(read_image(path, scene)[..., 0], PLANES[scene])
    with pytest.raises(UserError, match=r"no series 1: it holds 2 images \(series 0 .*, series 2 "):
        read_image(path, 1)
    with pytest.raises(
        UserError, match=r"holds 2 images \(series 0 64x40, series 2 64x40\); predict"
    ):
        read_image(path)
    write_czi(tmp_path / "b.czi", [(PLANES[0], {"scene": 2, "location": (-9, 7)})])
    np.testing.assert_array_equal(read_image(tmp_path / "b.czi")[..., 0], PLANES[0])


def test_scenes_of_a_czi_may_differ_in_type_and_levels(tmp_path) -> None:
    path = tmp_path / "a.czi"
    small = COLOR[:10, :10, 0].copy()
    write_czi(path, [(small, {}), (PLANES[0], {"scene": 1, "location": (100, 7)})])
    for scene, image in enumerate((small, PLANES[0])):
        found = read_image(path, scene)
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found[..., 0], image)
    assert read_image(path, Which(1, 2)).shape == (10, 16, 1)
    with pytest.raises(
        UserError, match=r"has no level 2 of 8 pixels or more.* read: series 1 16x10"
    ):
        read_image(path, Which(0, 2))


@pytest.mark.parametrize("only", [0, 1])
def test_a_scene_of_a_czi_that_lacks_a_channel_of_the_file_is_refused(tmp_path, only) -> None:
    path = tmp_path / "a.czi"
    both = [(PLANES[c], {"plane": {"C": c}, "scene": 0}) for c in (0, 1)]
    one = (PLANES[2], {"plane": {"C": only}, "scene": 2, "location": (100, 0)})
    write_czi(path, [*both, one])
    np.testing.assert_array_equal(read_image(path, Which(0, channels=(1,)))[..., 0], PLANES[1])
    with pytest.raises(UserError, match="lacks 1 of the 2 planes of scene 2"):
        read_image(path, Which(2))
    write_czi(tmp_path / "b.czi", [(PLANES[0], {"plane": {"C": 1}, "scene": s}) for s in (0, 1)])
    np.testing.assert_array_equal(read_image(tmp_path / "b.czi", 1)[..., 0], PLANES[0])


def test_a_czi_of_1_micrometre_at_a_lower_level_states_it(tmp_path) -> None:
    plane = np.zeros((64, 64), np.uint8)
    write_czi(tmp_path / "a.czi", [(plane, {})], (2, 0.5, 0.5))
    assert pixel_size(tmp_path / "a.czi", Which(level=1)) == pytest.approx((1, 1))
    write_czi(tmp_path / "b.czi", [(plane, {})], (2, 1, 1))
    assert pixel_size(tmp_path / "b.czi", Which(level=1)) is None
    with pytest.raises(UserError, match="has no level 4 of 8 pixels or more"):
        read_image(tmp_path / "a.czi", Which(level=4))


def test_channels_of_several_types_are_refused_together_and_read_by_themselves(tmp_path) -> None:
    planes = [(PLANES[0], {"plane": {"C": 0}}), (COLOR[..., 0].copy(), {"plane": {"C": 1}})]
    write_czi(tmp_path / "a.czi", planes)
    told = r"several types \(channel 0 is Gray16, 1 is Gray8\).*by `predict --channel`, or"
    for channels in ((), (0, 1)):
        with pytest.raises(UserError, match=told):
            read_image(tmp_path / "a.czi", Which(channels=channels))
    with pytest.raises(UserError, match="no channel 2"):
        read_image(tmp_path / "a.czi", Which(channels=(2,)))
    for channel, (image, _) in enumerate(planes):
        one = Which(channels=(channel,))
        found = read_image(tmp_path / "a.czi", one)
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found[..., 0], image)
        opened = open_windowed(tmp_path / "a.czi", series=one)
        np.testing.assert_array_equal(opened.read(ROWS, COLUMNS)[..., 0], image[ROWS, COLUMNS])
