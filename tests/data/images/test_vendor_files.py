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


def test_lif_and_nd2_in_colors_have_red_first(tmp_path) -> None:
    pytest.importorskip("liffile")
    pytest.importorskip("nd2")
    write_lif(tmp_path / "a.lif", {"a": (COLOR, "YXS")}, {})
    np.testing.assert_array_equal(read_image(tmp_path / "a.lif"), COLOR)
    write_nd2(tmp_path / "a.nd2", COLOR[None, ..., ::-1].copy())  # as NIS-Elements stores it
    np.testing.assert_array_equal(read_image(tmp_path / "a.nd2"), COLOR)


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
def test_a_folder_of_files_of_several_scenes_says_which_they_hold(tmp_path, write) -> None:
    path = write(tmp_path / f"a.{write.__name__}", FRAMES[:, :1, :1])
    [problem] = check_data(tmp_path).errors
    assert "holds no layout that is known" in problem.message
    assert f"{path} holds 2 images (series 0 " in problem.message
    assert "--series N, and for training store each as a file" in problem.message
    path.unlink()
    write(path, FRAMES[:1])  # a stack alone
    assert "series" not in str(check_data(tmp_path).errors)


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
