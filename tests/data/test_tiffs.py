"""Some 350 TIFFs of all types, codings and layouts: each is read as it was written, or refused.

Windows of each agree with the whole, and the same values as a mask are the same ids.
"""

from itertools import product

import numpy as np
import tifffile

from spatialembed.data.image_io import image_size, read_image
from spatialembed.data.windowed import open_windowed

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
