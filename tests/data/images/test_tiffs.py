"""Some 350 TIFFs of all types, codings and layouts: each is read as it was written, or refused.

Windows of each agree with the whole, and the same values as a mask are the same ids.
"""

import struct
from itertools import product

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data.images.reading import image_size, open_windowed, read_image, read_mask
from spatialembed.errors import UserError

RNG = np.random.default_rng(5)
HEIGHT, WIDTH = 37, 43

TYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8", "?")
CODINGS = (None, "lzw", "zlib", "packbits", "zstd", "lzma")
LAYOUTS = {
    "grey": ((HEIGHT, WIDTH), {}),
    "rgb": ((HEIGHT, WIDTH, 3), {"photometric": "rgb"}),
    "planes": ((3, HEIGHT, WIDTH), {"photometric": "rgb", "planarconfig": "separate"}),
    "many": ((HEIGHT, WIDTH, 5), {"planarconfig": "contig"}),
    "pages": ((4, HEIGHT, WIDTH), {"metadata": {"axes": "CYX"}}),
    "ome": ((2, HEIGHT, WIDTH), {"ome": True, "metadata": {"axes": "CYX"}}),
}
STORED = ({}, {"tile": (16, 32)}, {"rowsperstrip": 5}, {"tile": (16, 16)}, {"rowsperstrip": 64})
ORDERS = ({"byteorder": "<"}, {"byteorder": ">"}, {"byteorder": ">", "bigtiff": True})


def values(shape, dtype):
    kind = np.dtype(dtype).kind
    if kind == "f":
        return RNG.normal(0, 100, shape).astype(dtype)
    if kind == "b":
        return RNG.integers(0, 2, shape).astype(bool)
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    return RNG.integers(least, most, shape, dtype, endpoint=True)


def written():
    """Arrays and how they are written: all types, codings and layouts, the rest in turn."""
    number = 0
    for dtype, coding, layout in product(TYPES, CODINGS, LAYOUTS):
        if (dtype in ("u8", "f2") and layout == "ome") or (dtype == "?" and layout != "grey"):
            continue
        number += 1
        shape, options = LAYOUTS[layout]
        options = {"photometric": "minisblack", **options, **STORED[number % len(STORED)]}
        predictor = dtype not in ("?", "u8") and coding not in (None, "packbits")
        options |= {"compression": coding, "predictor": predictor and number % 3 > 0}
        yield values(shape, dtype), options, ORDERS[number % len(ORDERS)]


def as_image(array):
    if array.ndim == 2:
        return array[..., None]
    return array if array.shape[:2] == (HEIGHT, WIDTH) else np.moveaxis(array, 0, 2)


def write(path, array, options, order):
    ome = options.pop("ome", False)
    with tifffile.TiffWriter(path, ome=ome, **order) as file:
        file.write(array, **options)


def require_same(path, expected, told):
    """The image is as expected, whole and by windows, in its size and its type."""
    read = read_image(path)
    assert read.dtype == expected.dtype, told
    np.testing.assert_array_equal(read, expected, err_msg=told)
    assert image_size(path) == expected.shape[:2], told
    image = open_windowed(path)
    if image is not None:
        assert (*image.shape, image.channels) == expected.shape, told
        assert image.dtype == expected.dtype, told
        np.testing.assert_array_equal(image.whole(), expected, err_msg=told)
        window = slice(3, 30), slice(14, 41)
        np.testing.assert_array_equal(image.read(*window), expected[window], err_msg=told)


def test_all_are_read_as_they_were_written(tmp_path):
    path, count = tmp_path / "x.tif", 0
    for array, options, order in written():
        told = f"{array.dtype} {array.shape} {options} {order}"
        write(path, array, dict(options), order)
        require_same(path, as_image(array), told)
        count += 1
    assert count > 350


def tiff(path, width, height, data, **tags):
    """A TIFF of one strip, tag by tag: what no writer offers."""
    numbers = {"bits": 258, "coding": 259, "photometric": 262, "samples": 277, "extra": 338}
    numbers |= {"format": 339, "colormap": 320, "order": 266}
    rows = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: height, 279: len(data)}
    rows |= {numbers[name]: value for name, value in tags.items()} | {273: 8}
    rows = {tag: value for tag, value in rows.items() if value is not None}
    extra, entries = data + bytes(len(data) % 2), b""
    for tag, value in sorted(rows.items()):
        many = value if isinstance(value, tuple) else (value,)
        kind, code = (4, "I") if tag in (273, 279) else (3, "H")
        packed = struct.pack(f"<{len(many)}{code}", *many)
        if len(packed) > 4:
            packed, extra = struct.pack("<I", 8 + len(extra)), extra + packed
        entries += struct.pack("<HHI", tag, kind, len(many)) + packed.ljust(4, b"\0")
    start = struct.pack("<HHI", 0x4949, 42, 8 + len(extra))
    path.write_bytes(start + extra + struct.pack("<H", len(rows)) + entries + bytes(4))


def packed(array, bits):
    """Rows of values of few bits, each padded to a byte."""
    digits = (array[..., None] >> np.arange(bits)[::-1]) & 1
    return np.packbits(digits.reshape(len(array), -1).astype(np.uint8), axis=1).tobytes()


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_few_bits(tmp_path, bits):
    path, array = tmp_path / "x.tif", RNG.integers(0, 2**bits, (HEIGHT, WIDTH))
    tiff(path, WIDTH, HEIGHT, packed(array, bits), bits=bits)
    np.testing.assert_array_equal(read_image(path)[..., 0], array)
    np.testing.assert_array_equal(read_mask(path), array)
    tiff(path, WIDTH, HEIGHT, packed(array, bits), bits=bits, photometric=0)
    np.testing.assert_array_equal(read_image(path)[..., 0], 2**bits - 1 - array)
    expected = 1 - array if bits == 1 else array  # stored ids count, but black is the background
    np.testing.assert_array_equal(read_mask(path), expected)


def test_tags_that_are_missing(tmp_path):
    path, array = tmp_path / "x.tif", values((HEIGHT, WIDTH), "u1")
    tiff(path, WIDTH, HEIGHT, array.tobytes(), coding=None)
    np.testing.assert_array_equal(read_image(path)[..., 0], array)
    np.testing.assert_array_equal(read_mask(path), array)
    tiff(path, WIDTH, HEIGHT, array.tobytes(), photometric=None)
    with pytest.raises(UserError, match="colors of the kind UNKNOWN"):
        read_image(path)
    np.testing.assert_array_equal(read_mask(path), array)


def test_bits_in_the_other_order(tmp_path):
    array = RNG.integers(0, 2, (HEIGHT, WIDTH))
    data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in packed(array, 1))
    tiff(tmp_path / "x.tif", WIDTH, HEIGHT, data, bits=1, order=2)
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif"), array)


def test_bool_that_tifffile_wrote_is_as_it_was_given(tmp_path):
    array = RNG.integers(0, 2, (HEIGHT, WIDTH)).astype(bool)
    tifffile.imwrite(tmp_path / "x.tif", array)  # says that white is 0, but stores 1 for True
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif"), array)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif")[..., 0], array)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2"])
@pytest.mark.parametrize("options", STORED)
def test_white_that_is_zero(tmp_path, dtype, options):
    array, path = values((HEIGHT, WIDTH), dtype), tmp_path / "x.tif"
    options = {"compression": "lzw", **options}
    tifffile.imwrite(path, array, photometric="miniswhite", **options)
    most = -1 if dtype[0] == "i" else int(np.iinfo(dtype).max)
    require_same(path, (most - array)[..., None], str(options))
    array = array & np.array(7, dtype)
    tifffile.imwrite(path, array, photometric="miniswhite", **options)
    np.testing.assert_array_equal(read_mask(path), array)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_white_that_is_zero_in_floats_is_refused_in_images_alone(tmp_path, dtype):
    array = np.arange(12, dtype=dtype).reshape(3, 4)
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="miniswhite")
    with pytest.raises(UserError, match=r"x\.tif says that white is 0, but is of floats"):
        read_image(tmp_path / "x.tif")
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif"), array)


@pytest.mark.parametrize("coding", [None, "lzw", "zstd"])
@pytest.mark.parametrize(("bits", "scale"), [(8, 257), (8, 256), (8, 1), (8, None), (16, None)])
def test_palettes(tmp_path, coding, bits, scale):
    path, dtype = tmp_path / "x.tif", f"u{bits // 8}"
    indices = values((HEIGHT, WIDTH), dtype)
    colors = RNG.integers(0, 256 if scale else 65536, (3, 2**bits), dtype=np.uint16)
    options = {"photometric": "palette", "colormap": colors * (scale or 1), "tile": (16, 16)}
    tifffile.imwrite(path, indices, compression=coding, **options)
    expected = np.moveaxis(colors[:, indices], 0, 2).astype(np.uint8 if scale else np.uint16)
    require_same(path, expected, f"{coding} {bits} {scale}")
    np.testing.assert_array_equal(read_mask(path), indices)
    part = open_windowed(path, indices=True).read(slice(4, 21), slice(3, 40))
    np.testing.assert_array_equal(part[..., 0], indices[4:21, 3:40])


def test_palette_of_4_bits(tmp_path):
    indices = RNG.integers(0, 16, (HEIGHT, WIDTH))
    colors = RNG.integers(0, 65536, (3, 16))
    told = {"bits": 4, "photometric": 3, "colormap": tuple(colors.ravel().tolist())}
    tiff(tmp_path / "x.tif", WIDTH, HEIGHT, packed(indices, 4), **told)
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif"), indices)
    np.testing.assert_array_equal(
        read_image(tmp_path / "x.tif"), np.moveaxis(colors[:, indices], 0, 2)
    )


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kinds", [["unassalpha"], ["unassalpha", "unspecified"], ["unspecified"]])
def test_alpha_is_dropped_wherever_it_is(tmp_path, planar, kinds):
    array = values((HEIGHT, WIDTH, 3 + len(kinds)), "u1")
    kept = [i for i in range(array.shape[2]) if i < 3 or kinds[i - 3] == "unspecified"]
    stored = np.moveaxis(array, 2, 0) if planar == "separate" else array
    options = {"photometric": "rgb", "planarconfig": planar, "extrasamples": kinds}
    tifffile.imwrite(tmp_path / "x.tif", stored, tile=(16, 16), compression="lzw", **options)
    require_same(tmp_path / "x.tif", array[..., kept], f"{planar} {kinds}")


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_alpha_that_is_multiplied_into_colors(tmp_path, dtype):
    array = values((HEIGHT, WIDTH, 4), dtype)
    options = {"photometric": "rgb", "extrasamples": ["assocalpha"], "tile": (16, 16)}
    tifffile.imwrite(tmp_path / "x.tif", array, **options)
    with pytest.raises(UserError, match=r"x\.tif has its transparency multiplied"):
        read_image(tmp_path / "x.tif")
    with pytest.raises(UserError, match=r"x\.tif has its transparency multiplied"):
        open_windowed(tmp_path / "x.tif").whole()
    array[..., 3] = np.iinfo(dtype).max
    tifffile.imwrite(tmp_path / "x.tif", array, **options)
    require_same(tmp_path / "x.tif", array[..., :3], dtype)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "YCbCr"])
@pytest.mark.parametrize("coding", ["raw", "tiff_lzw"])
def test_colors_that_are_not_read_are_named(tmp_path, mode, coding):
    data = values((HEIGHT, WIDTH, len(mode) if mode == "CMYK" else 3), "u1").tobytes()
    Image.frombytes(mode, (WIDTH, HEIGHT), data).save(tmp_path / "x.tif", compression=coding)
    for read in (read_image, read_mask):
        with pytest.raises(UserError, match=r"x\.tif is a TIFF with colors of the kind \w+, which"):
            read(tmp_path / "x.tif")
