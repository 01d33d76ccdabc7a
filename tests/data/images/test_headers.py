"""A header says what reading the image gives, or nothing."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data.images.reading import read_image, stated_shape
from spatialembed.errors import UserError

MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "jpg": ("1", "L", "RGB", "CMYK"),
    "webp": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"),
    "bmp": ("1", "L", "P", "RGB", "RGBA"),
    "tif": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"),
}
"""What pillow writes into each."""


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind in MODES for mode in MODES[kind]])
def test_formats_of_pillow(mode, kind, tmp_path):
    path = tmp_path / f"x.{kind}"
    Image.new("L", (7, 5)).convert(mode).save(path)
    if (kind, mode) == ("tif", "CMYK"):  # colors that are not read
        with pytest.raises(UserError, match="SEPARATED"):
            stated_shape(path)
        return
    header = stated_shape(path)
    assert header in (None, read_image(path).shape)
    assert (header is None) <= (kind == "tif")


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (4, 50, 70)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiffs(shape, compression, tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint16), compression=compression)
    try:
        expected = read_image(path).shape
    except UserError:
        with pytest.raises(UserError):
            stated_shape(path)
    else:
        assert stated_shape(path) in (None, expected)


def test_what_is_no_image_is_named(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"x\.png cannot be read"):
        stated_shape(path)
    with pytest.raises(UserError, match=r"y\.png cannot be read"):
        stated_shape(tmp_path / "y.png")
