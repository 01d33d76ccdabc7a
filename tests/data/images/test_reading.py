"""Reading images and masks: every stored type, and one clear line for what is no image."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data.images.kinds import image_names
from spatialembed.data.images.reading import read_image, read_mask
from spatialembed.errors import UserError

rng = np.random.default_rng(0)
GREY_8 = rng.integers(0, 256, (20, 30), dtype=np.uint8)
GREY_16 = rng.integers(0, 65536, (20, 30), dtype=np.uint16)
RGB = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
MANY = rng.integers(0, 65536, (20, 30, 5), dtype=np.uint16)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_grey_and_rgb(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    for array in (GREY_8, RGB):
        Image.fromarray(array).save(path)
        read = read_image(path)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, array.reshape(20, 30, -1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(GREY_16).save(path)
    assert read_image(path).dtype == np.uint16
    np.testing.assert_array_equal(read_image(path)[..., 0], GREY_16)


def test_alpha_is_dropped_and_keeps_colors(tmp_path):
    path = tmp_path / "x.png"
    alpha = np.zeros((20, 30, 1), np.uint8)
    Image.fromarray(np.concatenate([RGB, alpha], 2)).save(path)
    np.testing.assert_array_equal(read_image(path), RGB)
    Image.fromarray(np.concatenate([GREY_8[..., None], alpha], 2)).save(path)
    np.testing.assert_array_equal(read_image(path)[..., 0], GREY_8)
    rgba = np.concatenate([RGB, alpha], 2)
    tifffile.imwrite(tmp_path / "x.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), RGB)


def test_palette_is_rgb_in_an_image_and_ids_in_a_mask(tmp_path):
    path = tmp_path / "x.png"
    indices = GREY_8 % 4
    image = Image.fromarray(indices, mode=None).convert("L")
    image = Image.frombytes("P", image.size, indices.tobytes())
    palette = np.array([[0, 0, 0], [200, 10, 30], [7, 90, 250], [255, 255, 255]], np.uint8)
    image.putpalette(palette.tobytes())
    image.save(path)
    np.testing.assert_array_equal(read_image(path), palette[indices])
    np.testing.assert_array_equal(read_mask(path), indices)


def test_jpeg_is_an_image_but_no_mask_whatever_its_name(tmp_path):
    Image.fromarray(GREY_8).save(tmp_path / "x.jpg")
    assert read_image(tmp_path / "x.jpg").shape == (20, 30, 1)
    (tmp_path / "x.png").write_bytes((tmp_path / "x.jpg").read_bytes())
    for name in ("x.jpg", "x.png"):
        with pytest.raises(UserError, match=rf"{name} is in a lossy format"):
            read_mask(tmp_path / name)


def test_channels_of_a_tiff_first_or_last(tmp_path):
    first = np.moveaxis(MANY, 2, 0)
    path = tmp_path / "x.tif"
    for array, options in (
        (first, {"metadata": {"axes": "CYX"}}),
        (MANY, {}),
        (MANY, {"photometric": "minisblack", "planarconfig": "contig"}),
        (first, {"photometric": "minisblack", "planarconfig": "separate"}),
        (first, {"imagej": True, "metadata": {"axes": "CYX"}}),
        (first, {"ome": True, "metadata": {"axes": "CYX"}}),
        (first, {"metadata": {"axes": "CYX"}, "compression": "zlib", "predictor": True}),
        (first, {"metadata": {"axes": "CYX"}, "byteorder": ">"}),
    ):
        tifffile.imwrite(path, array, **options)
        read = read_image(path)
        assert read.dtype == np.uint16, options
        np.testing.assert_array_equal(read, MANY, err_msg=str(options))


def test_float_tiff_keeps_its_type(tmp_path):
    array = rng.normal(size=(20, 30)).astype(np.float32)
    tifffile.imwrite(tmp_path / "x.tif", array)
    assert read_image(tmp_path / "x.tif").dtype == np.float32
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], array)


def test_lzw_tiff(tmp_path):
    Image.fromarray(GREY_16).save(tmp_path / "x.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], GREY_16)


def test_a_stack_in_depth_is_refused(tmp_path):
    stack = np.moveaxis(MANY, 2, 0)
    tifffile.imwrite(tmp_path / "x.tif", stack, metadata={"axes": "ZYX"}, ome=True)
    with pytest.raises(UserError, match=r"x\.tif is a stack"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize(
    ("encode", "channels"),
    [("png", 1), ("png", 2), ("png", 3), ("png", 4), ("jpeg2k", 1), ("jpeg2k", 3)],
)
def test_16_bit_color_is_not_cut_to_8_bits(tmp_path, encode, channels):
    array, path = MANY[..., :channels], tmp_path / f"x.{encode.replace('eg2k', '2')}"
    options = {"reversible": True} if encode == "jpeg2k" else {}
    path.write_bytes(
        getattr(imagecodecs, f"{encode}_encode")(np.ascontiguousarray(array.squeeze()), **options)
    )
    read = read_image(path)
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, array[..., : channels - 1 + channels % 2])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="cannot be read"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.png", {}),
        ("x.jpg", {}),
        ("x.tif", {}),
        ("x.tif", {"compression": "tiff_deflate"}),
        ("x.tif", {"compression": "tiff_lzw"}),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_truncated(tmp_path, name, options, share):
    path = tmp_path / name
    noise = np.random.default_rng(1).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=rf"{name} .*(truncated|replace it)"):
        read_image(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_tiff_of_strips_whose_directory_comes_first(tmp_path, compression):
    path = tmp_path / "x.tif"
    noise = np.random.default_rng(1).integers(0, 256, (90, 80), dtype=np.uint8)
    tifffile.imwrite(path, noise, rowsperstrip=10, compression=compression)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    for read in (read_image, read_mask):
        with pytest.raises(UserError, match=r"x\.tif .*truncated"):
            read(path)


def test_missing_and_no_image(tmp_path):
    with pytest.raises(UserError, match=r"x\.png does not exist"):
        read_image(tmp_path / "x.png")
    for name in ("x.png", "x.tif"):
        (tmp_path / name).write_text("not an image")
        with pytest.raises(UserError, match=rf"{name} cannot be read"):
            read_image(tmp_path / name)


def test_masks_of_every_integer_type(tmp_path):
    for dtype in ("bool", "uint8", "int16", "uint16", "int32", "uint32", "float32"):
        mask = (GREY_8 % 2).astype(dtype)
        tifffile.imwrite(tmp_path / "x.tif", mask)
        read = read_mask(tmp_path / "x.tif")
        assert read.dtype == np.int32
        np.testing.assert_array_equal(read, mask.astype(int))
    Image.fromarray(GREY_8 > 9).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "x.png"), GREY_8 > 9)


def test_large_ids_survive(tmp_path):
    for big, dtype in ((2**24 + 1, np.int32), (2**31 - 1, np.int32), (2**32 - 1, np.int64)):
        mask = np.zeros((4, 5), np.uint32)
        mask[1, 2] = big
        tifffile.imwrite(tmp_path / "x.tif", mask)
        read = read_mask(tmp_path / "x.tif")
        assert read.dtype == dtype
        assert read[1, 2] == big


def test_mask_of_equal_channels(tmp_path):
    Image.fromarray(np.repeat(GREY_8[..., None], 3, 2)).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "x.png"), GREY_8)
    Image.fromarray(RGB).save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"x\.png has 3 channels that differ.* number the colors"):
        read_mask(tmp_path / "x.png")


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_mask_that_is_not_integer(tmp_path, value):
    mask = np.ones((4, 5), np.float32)
    mask[0, 0] = value
    tifffile.imwrite(tmp_path / "x.tif", mask)
    with pytest.raises(UserError, match=r"x\.tif is not integer"):
        read_mask(tmp_path / "x.tif")


def test_ids_past_63_bits_are_refused_and_those_below_kept_apart(tmp_path):
    mask = np.zeros((4, 5), np.uint64)
    mask[1, 1], mask[2, 2] = 2**63 - 2, 2**63 - 1
    tifffile.imwrite(tmp_path / "x.tif", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif"), mask.astype(np.int64))
    for dtype, most in ((np.uint64, 2**64 - 1), (np.uint64, 2**63), (np.float64, 2.0**63)):
        mask = mask.astype(dtype)
        mask[3, 3] = most
        tifffile.imwrite(tmp_path / "x.tif", mask)
        with pytest.raises(UserError, match=r"x\.tif has ids of 2\^63 and more"):
            read_mask(tmp_path / "x.tif")


def test_values_that_are_not_finite_are_counted_in_a_mask(tmp_path):
    mask = np.ones((4, 5), np.float32)
    mask[0, :2] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "x.tif", mask)
    with pytest.raises(UserError, match=r"x\.tif is not integer: 2 of its values are NaN or inf"):
        read_mask(tmp_path / "x.tif")


def test_mask_with_negative_ids(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.full((4, 5), -1, np.int32))
    with pytest.raises(UserError, match=r"x\.tif has negative ids"):
        read_mask(tmp_path / "x.tif")


def test_an_image_too_large_for_memory_or_pillow_is_told_where_to_go(tmp_path, monkeypatch):
    Image.fromarray(GREY_8).save(tmp_path / "x.png")
    tifffile.imwrite(tmp_path / "x.tif", GREY_8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"x\.png is too large to be read at once; predict it"):
        read_image(tmp_path / "x.png")

    def no_memory(*given, **named):
        raise MemoryError

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", no_memory)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", no_memory)
    with pytest.raises(UserError, match=r"x\.tif is too large to be read at once"):
        read_image(tmp_path / "x.tif")


def test_image_names(tmp_path):
    assert image_names(tmp_path) == image_names(tmp_path / "missing") == []
    for name in ("b.png", "a.TIF", ".hidden.png", "notes.txt", "file.zarr"):
        (tmp_path / name).touch()
    for name in ("c.ome.zarr", "folder.png"):
        (tmp_path / name).mkdir()
    assert image_names(tmp_path) == ["a.TIF", "b.png", "c.ome.zarr"]
