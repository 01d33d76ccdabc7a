"""Files of microscopes' own formats, written here: scenes, channels, colors, planes, levels."""

import sys

import numpy as np
import pytest
import tifffile

from microscopes import write_czi, write_lif, write_nd2
from spatialembed.data import check_data, open_data
from spatialembed.data.images.kinds import VENDOR
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import (
    further_images,
    image_size,
    is_stack,
    open_windowed,
    read_image,
    read_mask,
    read_stack,
    stack_size,
    stack_spacing,
    stated_shape,
)
from spatialembed.data.images.series import Which
from spatialembed.data.images.stack_windows import open_windowed_stack, stack_grid
from spatialembed.errors import UserError
from spatialembed.inference.image_files import find_images

RNG = np.random.default_rng(3)
FRAMES = RNG.integers(0, 65536, (2, 3, 2, 40, 64), dtype=np.uint16)
"""Scenes, planes, channels, rows, columns."""
PLANES = FRAMES[0, :, 0]
COLOR = RNG.integers(0, 256, (40, 64, 3), dtype=np.uint8)
ROWS, COLUMNS = slice(3, 21), slice(5, 40)


def czi(path, frames):
    """Scenes side by side, of (scenes, planes, channels, H, W)."""
    pytest.importorskip("pylibCZIrw", reason="reading CZI is an extra, vendor")
    planes = [
        (frame, {"plane": {"Z": z, "C": c}, "location": (100 * s, 7), "scene": s})
        for s, scene in enumerate(frames)
        for z, plane in enumerate(scene)
        for c, frame in enumerate(plane)
    ]
    write_czi(path, planes)
    return path


def lif(path, frames):
    pytest.importorskip("liffile", reason="reading LIF is an extra, vendor")
    images = {f"field {s}": _squeezed(scene) for s, scene in enumerate(frames)}
    write_lif(path, images, {"Z": 2, "Y": 0.25, "X": 0.25})
    return path


def _squeezed(scene):
    long = [i for i, n in enumerate(scene.shape) if n > 1]
    return np.ascontiguousarray(scene.squeeze()), "".join("ZCYX"[i] for i in long)


def nd2(path, frames):
    pytest.importorskip("nd2", reason="reading ND2 is an extra, vendor")
    scenes, planes = frames.shape[:2]
    of = np.moveaxis(frames.reshape(scenes * planes, *frames.shape[2:]), 1, 3)
    write_nd2(path, np.ascontiguousarray(of), scenes, planes)
    return path


KINDS = pytest.mark.parametrize("write", [czi, lif, nd2])


@KINDS
def test_an_image_of_several_channels_is_read_whole_and_by_windows(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES[:1, :1])
    expected = np.moveaxis(FRAMES[0, 0], 0, 2)
    np.testing.assert_array_equal(read_image(path), expected)
    assert image_size(path) == (40, 64)
    assert stated_shape(path) == (40, 64, 2)
    assert further_images(path) is None
    opened = open_windowed(path)
    assert opened.dtype == np.uint16
    np.testing.assert_array_equal(opened.read(ROWS, COLUMNS), expected[ROWS, COLUMNS])
    with pytest.raises(UserError, match="not a stack of planes in z"):
        read_stack(path)


@KINDS
def test_channels_are_taken_in_the_order_asked_for(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES[:1, :1])
    both, second = Which(channels=(1, 0)), Which(0, 0, (1,))
    np.testing.assert_array_equal(read_image(path, both), np.moveaxis(FRAMES[0, 0, ::-1], 0, 2))
    opened = open_windowed(path, series=second)
    assert opened.channels == 1
    np.testing.assert_array_equal(
        opened.read(ROWS, COLUMNS)[..., 0], FRAMES[0, 0, 1, ROWS, COLUMNS]
    )
    with pytest.raises(UserError, match="no channel 2: it has 2 channels"):
        read_image(path, Which(channels=(2,)))


@KINDS
def test_of_several_scenes_none_is_taken_until_one_is_named(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES[:, :1, :1])
    for read in (read_image, read_stack, open_windowed, image_size):
        with pytest.raises(
            UserError, match=r"holds 2 images \(series 0 .*64x40, series 1 .*--series"
        ):
            read(path)
    for scene in (0, 1):
        np.testing.assert_array_equal(read_image(path, scene)[..., 0], FRAMES[scene, 0, 0])
    assert "series 1" in further_images(path, 0)
    with pytest.raises(UserError, match="no series 2"):
        read_image(path, 2)


@pytest.mark.parametrize("write", [czi, lif])  # positions of an ND2 are of one size
def test_a_scene_half_as_large_is_no_copy_of_another(tmp_path, write) -> None:
    path = tmp_path / f"a.{write.__name__}"
    small = np.ascontiguousarray(PLANES[1][:20, :32])
    if write is czi:
        pytest.importorskip("pylibCZIrw")
        write_czi(path, [(PLANES[0], {"scene": 0}), (small, {"scene": 1, "location": (200, 0)})])
    else:
        pytest.importorskip("liffile")
        write_lif(path, {"a": (PLANES[0], "YX"), "b": (small, "YX")}, {})
    with pytest.raises(UserError, match="holds 2 images"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], small)


@KINDS
def test_planes_in_z_are_a_stack_with_its_spacing(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES)
    expected = np.moveaxis(FRAMES[1], 1, 3)
    np.testing.assert_array_equal(read_stack(path, 1), expected)
    assert stack_size(path, 1) == (3, 40, 64)
    assert stack_spacing(path, 1) == pytest.approx((2, 0.5 if write is czi else 0.25, 0.25))
    assert stack_grid(path, 1).size[0] == pytest.approx(2)
    opened = open_windowed_stack(path, Which(1, 0, (1,)))
    found = opened.read(slice(1, 3), ROWS, COLUMNS)
    np.testing.assert_array_equal(found, expected[1:3, ROWS, COLUMNS, 1:])
    with pytest.raises(UserError, match=r"axes z, c, y, x\), not a 2D image; .*--stitch"):
        read_image(path, 1)


def test_a_czi_in_colors_has_red_first(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw")
    other = COLOR[::-1].copy()
    at = [{"scene": 0}, {"scene": 1, "location": (90, 50)}]
    path = tmp_path / "a.czi"
    write_czi(path, [(COLOR[..., ::-1].copy(), at[0]), (other[..., ::-1].copy(), at[1])])
    np.testing.assert_array_equal(read_image(path, 0), COLOR)
    np.testing.assert_array_equal(read_image(path, 1), other)
    opened = open_windowed(path, series=1)
    np.testing.assert_array_equal(opened.read(ROWS, COLUMNS), other[ROWS, COLUMNS])


def test_lif_and_nd2_in_colors_have_red_first(tmp_path) -> None:
    pytest.importorskip("liffile")
    pytest.importorskip("nd2")
    write_lif(tmp_path / "a.lif", {"a": (COLOR, "YXS")}, {})
    np.testing.assert_array_equal(read_image(tmp_path / "a.lif"), COLOR)
    write_nd2(tmp_path / "a.nd2", COLOR[None, ..., ::-1].copy())  # as NIS-Elements stores it
    np.testing.assert_array_equal(read_image(tmp_path / "a.nd2"), COLOR)


def test_a_mosaic_is_put_together_and_halved(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw")
    whole = RNG.integers(0, 256, (80, 128), dtype=np.uint8)
    tiles = [
        (whole[y : y + 40, x : x + 64].copy(), {"location": (x - 30, y + 9)})
        for y in (0, 40)
        for x in (0, 64)
    ]
    path = tmp_path / "a.czi"
    write_czi(path, tiles)
    np.testing.assert_array_equal(read_image(path)[..., 0], whole)
    across = slice(30, 50), slice(50, 90)
    np.testing.assert_array_equal(open_windowed(path).read(*across)[..., 0], whole[across])
    half = read_image(path, Which(level=1))[..., 0]
    assert half.shape == image_size(path, Which(level=1)) == (40, 64)
    apart = [abs(half.astype(int) - whole[y::2, x::2]).max() for y in (0, 1) for x in (0, 1)]
    assert min(apart) == 0  # one of each four
    part = open_windowed(path, series=Which(level=1)).read(slice(3, 9), slice(7, 20))[..., 0]
    np.testing.assert_array_equal(part, half[3:9, 7:20])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_czi_keeps_its_type(tmp_path, dtype) -> None:
    pytest.importorskip("pylibCZIrw")
    image = RNG.integers(0, 256, (40, 64)).astype(dtype)
    write_czi(tmp_path / "a.czi", [(image, {})])
    found = read_image(tmp_path / "a.czi")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[..., 0], image)


def test_times_are_refused(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw")
    pytest.importorskip("liffile")
    write_czi(tmp_path / "a.czi", [(p, {"plane": {"T": t}}) for t, p in enumerate(PLANES)])
    write_lif(tmp_path / "a.lif", {"a": (PLANES, "TYX")}, {})
    for name in ("a.czi", "a.lif"):
        for read in (read_image, read_stack, open_windowed, image_size):
            with pytest.raises(
                UserError, match=r"axes t, y, x\).*save the times as separate files"
            ):
                read(tmp_path / name)


def test_missing_planes_are_not_read_as_zeros(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw")
    pytest.importorskip("nd2")
    planes = [(PLANES[z], {"plane": {"Z": z, "C": c}}) for z in range(3) for c in range(2)]
    write_czi(tmp_path / "a.czi", planes[:-1])
    write_nd2(tmp_path / "a.nd2", PLANES[..., None].copy(), planes=3, missing=1)
    for name, of in (("a.czi", "lacks 1 of the 6 planes"), ("a.nd2", "lacks 1 of its 3 planes")):
        with pytest.raises(UserError, match=of):
            read_stack(tmp_path / name)


def test_a_czi_that_lacks_a_tile_of_one_channel_or_a_plane_of_all_is_refused(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw")
    right = {"location": (PLANES[0].shape[1], 0)}
    tiles = [(PLANES[0], {"plane": {"C": c}, **at}) for c in (0, 1) for at in ({}, right)]
    write_czi(tmp_path / "a.czi", tiles[:-1])
    with pytest.raises(UserError, match=r"lacks 1 of the 2 planes.* or parts of them"):
        read_image(tmp_path / "a.czi")
    write_czi(tmp_path / "z.czi", [(PLANES[0], {"plane": {"Z": z}}) for z in (0, 1, 3)])
    with pytest.raises(UserError, match="lacks 1 of the 4 planes"):
        read_stack(tmp_path / "z.czi")


def test_scenes_of_a_czi_that_are_whole_are_read_beside_one_that_is_not(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw")
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
    pytest.importorskip("pylibCZIrw")
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
    pytest.importorskip("pylibCZIrw")
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
    pytest.importorskip("pylibCZIrw")
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
    pytest.importorskip("pylibCZIrw")
    plane = np.zeros((64, 64), np.uint8)
    write_czi(tmp_path / "a.czi", [(plane, {})], (2, 0.5, 0.5))
    assert pixel_size(tmp_path / "a.czi", Which(level=1)) == pytest.approx((1, 1))
    write_czi(tmp_path / "b.czi", [(plane, {})], (2, 1, 1))
    assert pixel_size(tmp_path / "b.czi", Which(level=1)) is None
    with pytest.raises(UserError, match="has no level 4 of 8 pixels or more"):
        read_image(tmp_path / "a.czi", Which(level=4))


def test_pixels_of_several_types_are_refused(tmp_path) -> None:
    pytest.importorskip("pylibCZIrw")
    planes = [(PLANES[0], {"plane": {"C": 0}}), (COLOR[..., 0].copy(), {"plane": {"C": 1}})]
    write_czi(tmp_path / "a.czi", planes)
    with pytest.raises(UserError, match="kinds Gray16, Gray8, not of one of"):
        read_image(tmp_path / "a.czi")


@KINDS
def test_a_damaged_file_is_one_sentence(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES[:1, :1])
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UserError, match=r"a\.\w+ cannot be read"):
        read_image(path)
    path.write_text("hello")
    with pytest.raises(UserError, match=r"a\.\w+ cannot be read"):
        image_size(path)
    with pytest.raises(UserError, match="does not exist"):
        read_image(path.with_stem("b"))


@KINDS
def test_a_level_that_is_not_there_is_refused(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES[:1, :1])
    with pytest.raises(UserError, match=r"has no level 99: .*--level"):
        read_image(path, Which(level=99))


@pytest.mark.parametrize("suffix", VENDOR)
def test_without_the_extra_it_is_named(tmp_path, suffix, monkeypatch) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"anything")
    for library in ("pylibCZIrw", "liffile", "nd2"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=rf"a{suffix} needs the 'vendor' extra: pip install"):
        read_image(path)


@KINDS
def test_images_of_a_label_folder(tmp_path, write) -> None:
    for part in ("images", "masks"):
        (tmp_path / "train" / part).mkdir(parents=True)
    mask = np.zeros((40, 64), np.uint16)
    mask[5:20, 5:20] = 1
    tifffile.imwrite(tmp_path / "train/masks/a.tif", mask)
    write(tmp_path / f"train/images/a.{write.__name__}", FRAMES[:1, :1, :1])
    (sample,) = open_data(tmp_path, "train")
    np.testing.assert_array_equal(sample.image[..., 0], FRAMES[0, 0, 0])
    assert not [problem for problem in check_data(tmp_path).problems if not problem.warning]


@KINDS
def test_images_of_a_folder(tmp_path, write) -> None:
    (tmp_path / "images").mkdir()
    name = f"B.{write.__name__.upper()}"
    path = write(tmp_path / "images" / name, FRAMES[:, :1])
    told = []
    (file,) = find_images([tmp_path / "images"], tmp_path / "out", told.append)
    assert (file.path, file.name, told) == (path, "B", [])
    assert not is_stack(path)
    planes = write(tmp_path / f"c.{write.__name__}", FRAMES[:1])
    assert is_stack(planes)


@KINDS
def test_pixels_have_a_size_at_each_level(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES[:, :1])
    expected = (0.5, 0.25) if write is czi else (0.25, 0.25)
    assert pixel_size(path, 1) == pytest.approx(expected)
    with pytest.raises(UserError, match="holds 2 images"):
        pixel_size(path)
    if write is czi:
        assert pixel_size(path, Which(1, 2)) == pytest.approx((2, 1))


def test_a_mask_is_no_file_of_a_microscope(tmp_path) -> None:
    path = tmp_path / "a.czi"
    path.write_bytes(b"anything")
    with pytest.raises(UserError, match="microscope's file, no label mask; store masks as"):
        read_mask(path)


def test_where_the_extra_has_no_library_for_this_python(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.czi"
    path.write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    with pytest.raises(UserError, match=r"a\.czi is read by pylibCZIrw.*use an earlier one"):
        read_image(path)
