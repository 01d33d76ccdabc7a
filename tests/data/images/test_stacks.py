"""Stacks in z are read by what a file says of its axes, or refused."""

import numpy as np
import pytest
import tifffile

from spatialembed.data.images.reading import read_image, read_stack
from spatialembed.errors import UserError

STACK = np.random.default_rng(0).integers(0, 60_000, (5, 20, 31), dtype=np.uint16)
WITH_CHANNELS = np.random.default_rng(1).integers(0, 256, (5, 3, 20, 31), dtype=np.uint8)


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_planes_in_z(tmp_path, options) -> None:
    tifffile.imwrite(tmp_path / "x.tif", STACK, metadata={"axes": "ZYX"}, **options)
    read = read_stack(tmp_path / "x.tif")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, STACK[..., None])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_that_say_nothing_are_planes(tmp_path, compression) -> None:
    tifffile.imwrite(tmp_path / "x.tif", STACK, compression=compression)
    np.testing.assert_array_equal(read_stack(tmp_path / "x.tif"), STACK[..., None])
    with tifffile.TiffWriter(tmp_path / "y.tif") as file:
        for plane in STACK:
            file.write(plane, metadata=None, compression=compression)
    np.testing.assert_array_equal(read_stack(tmp_path / "y.tif"), STACK[..., None])


@pytest.mark.parametrize(
    ("axes", "order", "options"),
    [
        ("ZCYX", (0, 1, 2, 3), {"imagej": True}),  # which has channels within planes alone
        ("ZCYX", (0, 1, 2, 3), {"ome": True}),
        ("ZCYX", (0, 1, 2, 3), {}),
        ("CZYX", (1, 0, 2, 3), {"ome": True}),
        ("CZYX", (1, 0, 2, 3), {}),
    ],
)
def test_channels_of_a_stack_come_last(tmp_path, axes, order, options) -> None:
    array = WITH_CHANNELS.transpose(order)
    tifffile.imwrite(
        tmp_path / "x.tif", array, metadata={"axes": axes}, photometric="minisblack", **options
    )
    np.testing.assert_array_equal(read_stack(tmp_path / "x.tif"), np.moveaxis(WITH_CHANNELS, 1, 3))


def test_color_planes(tmp_path) -> None:
    colors = np.moveaxis(WITH_CHANNELS, 1, 3)
    tifffile.imwrite(tmp_path / "x.tif", colors, photometric="rgb", metadata={"axes": "ZYXS"})
    np.testing.assert_array_equal(read_stack(tmp_path / "x.tif"), colors)


def test_a_stack_is_turned_as_it_says(tmp_path) -> None:
    tifffile.imwrite(
        tmp_path / "x.tif", STACK, metadata={"axes": "ZYX"}, extratags=[(274, "H", 1, 6, True)]
    )
    expected = np.rot90(STACK, -1, axes=(1, 2))[..., None]
    np.testing.assert_array_equal(read_stack(tmp_path / "x.tif"), expected)


@pytest.mark.parametrize("axes", ["TYX", "CYX"])
@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
def test_times_and_channels_are_no_planes(tmp_path, axes, options) -> None:
    tifffile.imwrite(tmp_path / "x.tif", STACK, metadata={"axes": axes}, **options)
    with pytest.raises(UserError, match=rf"x\.tif is no stack .*axes {axes}"):
        read_stack(tmp_path / "x.tif")


def test_other_files_are_refused(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "plane.tif", STACK[0])
    with pytest.raises(UserError, match=r"plane\.tif is no stack .*without --stitch"):
        read_stack(tmp_path / "plane.tif")
    with pytest.raises(UserError, match="does not exist"):
        read_stack(tmp_path / "none.tif")
    (tmp_path / "x.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"x\.png is no TIFF"):
        read_stack(tmp_path / "x.png")
    whole = tmp_path / "whole.tif"
    tifffile.imwrite(whole, STACK, metadata={"axes": "ZYX"})
    (tmp_path / "cut.tif").write_bytes(whole.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"cut\.tif"):
        read_stack(tmp_path / "cut.tif")


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_stack_is_no_smaller_one_and_no_image(tmp_path, options, compression, share):
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    tifffile.imwrite(whole, STACK, metadata={"axes": "ZYX"}, compression=compression, **options)
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    for read in (read_image, read_stack):
        with pytest.raises(UserError, match=r"cut\.tif (is truncated|cannot be read|is a stack)"):
            read(cut)


def test_pages_that_are_cut_where_one_begins_are_not_fewer_pages(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for plane in STACK:
            file.write(plane, metadata=None, contiguous=False)
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        begins = file.pages[3].offset
    content = (tmp_path / "x.tif").read_bytes()[:begins]
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.tif is truncated"):
        read_stack(tmp_path / "x.tif")


def test_a_series_of_stacks(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif", ome=True) as file:
        for stack in (STACK, STACK[:3]):
            file.write(stack, metadata={"axes": "ZYX"})
    with pytest.raises(UserError, match=r"x\.tif holds 2 images .*--series"):
        read_stack(tmp_path / "x.tif")
    np.testing.assert_array_equal(read_stack(tmp_path / "x.tif", 1), STACK[:3, ..., None])


def test_an_image_is_still_no_stack(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", STACK, metadata={"axes": "ZYX"})
    with pytest.raises(UserError, match=r"x\.tif is a stack .*--stitch"):
        read_image(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "x.tif", STACK)
    with pytest.raises(UserError, match=r"x\.tif is a stack of 5 planes .*--stitch"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.npy", "a.h5"])
def test_stacks_of_other_formats_are_to_be_stored_with_their_spacing(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(400))
    with pytest.raises(UserError, match="store it as a TIFF stack that states its spacing in mic"):
        read_stack(tmp_path / name)
