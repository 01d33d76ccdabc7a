"""Folders of planes are stacks in the order of their numbers, or refused; and what is a stack."""

import shutil
from contextlib import suppress

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spatialembed.data.images.plane_folder import planes_of
from spatialembed.data.images.reading import (
    is_stack,
    read_stack,
    read_stack_mask,
    stack_size,
    stack_spacing,
)
from spatialembed.errors import UserError

STACK = np.random.default_rng(5).integers(0, 255, (12, 9, 14)).astype(np.uint8)


def planes(folder, names, stack=STACK):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for plane, name in zip(stack, names, strict=False):
        if name.endswith(".tif"):
            tifffile.imwrite(folder / name, plane)
        else:
            Image.fromarray(plane).save(folder / name)
    return folder


@pytest.mark.parametrize("name", ["z{}.png", "t01_z{:03}.tif", "{}.tif", "day2 plane{} of 40.png"])
@pytest.mark.parametrize("first", [0, 1, 95])
def test_planes_are_in_the_order_of_their_numbers(tmp_path, name, first):
    folder = planes(tmp_path / "x", [name.format(first + z) for z in range(12)])
    (folder / ".hidden.txt").touch()
    (folder / "Thumbs.db").touch()
    np.testing.assert_array_equal(read_stack(folder), STACK[..., None])
    np.testing.assert_array_equal(read_stack_mask(folder), STACK)
    assert stack_size(folder) == STACK.shape
    assert stack_spacing(folder) is None
    assert is_stack(folder)


def test_each_plane_is_read_as_an_image(tmp_path):
    (tmp_path / "x").mkdir()
    colors = np.random.default_rng(1).integers(0, 255, (3, 9, 14, 4)).astype(np.uint8)
    for z, plane in enumerate(colors):
        Image.fromarray(plane).save(tmp_path / "x" / f"{z}.png")
    np.testing.assert_array_equal(read_stack(tmp_path / "x"), colors[..., :3])
    with pytest.raises(UserError, match="has 3 channels that differ"):
        read_stack_mask(tmp_path / "x")


def test_indices_of_palettes_are_ids(tmp_path):
    (tmp_path / "x").mkdir()
    for z in range(2):
        image = Image.fromarray(STACK[z] % 4, "P")
        image.putpalette([0, 0, 0, 9, 9, 9, 99, 0, 0, 0, 99, 0])
        image.save(tmp_path / "x" / f"{z}.png")
    np.testing.assert_array_equal(read_stack_mask(tmp_path / "x"), STACK[:2] % 4)
    assert read_stack(tmp_path / "x").shape == (2, 9, 14, 3)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(15)), st.integers(0, 200), st.integers(1, 4))
def test_the_order_is_that_of_numbers_with_or_without_zeros(tmp_path_factory, order, first, width):
    folder = tmp_path_factory.mktemp("planes")
    names = [f"a1_z{first + z:0{width}}.png" for z in range(15)]
    for z in order:
        (folder / names[z]).touch()
    assert [path.name for path in planes_of(folder)] == names


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["z1.png"], "holds 1 image files"),
        ([], "holds 0 image files"),
        (["z1.png", "z3.png"], "z1.png and z3.png leave a gap"),
        (["z1.png", "z01.png"], "z01.png and z1.png have one number"),
        (["z1.png", "z1.tif"], "z1.png and z1.tif have one number"),
        (["a.png", "b.png"], "differ in more than a number"),
        (["a.png", "a.tif"], "or have none"),
        (["a1.png", "b2.png"], "differ in more than a number"),
        (["z1c1.png", "z1c2.png", "z2c1.png", "z2c2.png"], "differ in 2 numbers"),
    ],
)
def test_names_that_give_no_order(tmp_path, names, said):
    folder = planes(tmp_path / "x", names)
    for read in (read_stack, read_stack_mask, stack_size, stack_spacing):
        with pytest.raises(UserError, match=f"x is no folder of planes: .*{said}"):
            read(folder)
    assert not is_stack(folder)


@pytest.mark.parametrize("other", ["notes.txt", "z13.zarr", "more"])
def test_other_things_among_the_planes(tmp_path, other):
    folder = planes(tmp_path / "x", [f"z{z}.png" for z in range(12)])
    (folder / other).mkdir()
    with pytest.raises(UserError, match=f"x is no folder of planes: {other} is no image file"):
        read_stack(folder)
    assert not is_stack(folder)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (STACK[0, :8], r"z0\.tif is 14x9 pixels.*, z2\.tif is 14x8 pixels"),
        (STACK[0].astype(np.uint16), "of uint8 in 1 channels, .* of uint16 in 1 channels"),
        (np.stack([STACK[0]] * 3, -1), "in 1 channels, .* in 3 channels"),
    ],
)
def test_planes_that_differ(tmp_path, odd, said):
    folder = planes(tmp_path / "x", ["z0.tif", "z1.tif", "z2.tif"], [*STACK[:2], odd])
    for read in (read_stack, read_stack_mask):
        with pytest.raises(UserError, match=f"x is no folder of planes: .*{said}"):
            read(folder)


def test_planes_of_several_sizes_are_no_stack_by_their_headers(tmp_path):
    folder = planes(tmp_path / "x", ["1.png", "2.png"], [STACK[0], STACK[0, :8]])
    with pytest.raises(UserError, match=r"1\.png is 14x9 pixels, 2\.png is 14x8"):
        stack_size(folder)
    assert not is_stack(folder)


def test_a_damaged_or_lossy_plane_is_named(tmp_path):
    folder = planes(tmp_path / "x", ["1.png", "2.png"])
    content = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"x/2\.png cannot be read"):
        read_stack(folder)
    folder = planes(tmp_path / "x", ["1.jpg", "2.jpg"])
    with pytest.raises(UserError, match=r"x/1\.jpg is in a lossy format"):
        read_stack_mask(folder)


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}])
@pytest.mark.parametrize("axes", ["ZYX", "CYX", "TYX"])
def test_tiffs_that_are_stacks(tmp_path, options, axes):
    tifffile.imwrite(tmp_path / "x.tif", STACK, metadata={"axes": axes}, **options)
    assert is_stack(tmp_path / "x.tif") == (axes == "ZYX")


def test_pages_that_say_nothing_are_a_stack_if_they_are_of_one_size(tmp_path):
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for plane in STACK:
            file.write(plane, metadata=None)
    assert is_stack(tmp_path / "x.tif")
    assert stack_size(tmp_path / "x.tif") == STACK.shape
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for plane in (STACK[0], STACK[0, :5]):
            file.write(plane, metadata=None)
    assert not is_stack(tmp_path / "x.tif")


def test_what_is_no_stack(tmp_path):
    tifffile.imwrite(tmp_path / "plane.tif", STACK[0])
    tifffile.imwrite(tmp_path / "colors.tif", STACK[..., :3], photometric="rgb")
    Image.fromarray(STACK[0]).save(tmp_path / "x.png")
    frames = [Image.fromarray(plane) for plane in STACK]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "empty.tif").touch()
    for name in ("plane.tif", "colors.tif", "x.png", "x.gif", "empty.tif", "none.tif"):
        assert not is_stack(tmp_path / name)


def test_a_file_cut_where_its_next_page_is_named_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "x.ome.tif", STACK, ome=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "x.ome.tif") as file:
        page, layout = file.pages[2], file.tiff
        end = page.offset + layout.tagnosize + len(page.tags) * layout.tagsize
    content = (tmp_path / "x.ome.tif").read_bytes()
    (tmp_path / "x.ome.tif").write_bytes(content[:end])
    with pytest.raises(UserError, match="truncated"):
        read_stack(tmp_path / "x.ome.tif")


@settings(deadline=None, max_examples=60)
@given(st.data())
@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {"compression": "zlib"}])
def test_a_cut_file_is_no_stack_or_refused_in_reading(tmp_path_factory, options, data):
    path = tmp_path_factory.getbasetemp() / f"cut_{'_'.join(options)}.tif"
    tifffile.imwrite(path, STACK, metadata={"axes": "ZYX"}, **options)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    read = None
    if is_stack(path):  # by what stands before the pixels, which may be cut
        with suppress(UserError):
            read = read_stack(path)
    assert read is None or np.array_equal(read[..., 0], STACK)
