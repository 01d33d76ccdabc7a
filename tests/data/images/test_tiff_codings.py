"""TIFFs by codings that may be lossy, of odd sizes, and damaged."""

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_tiffs import CODINGS, tiff

from spatialembed.data.images.reading import image_size, open_windowed, read_image, read_mask
from spatialembed.errors import UserError

SMOOTH = (np.add.outer(np.arange(64), np.arange(48)) * 2).astype(np.uint8)


COLORS = np.stack([SMOOTH, 250 - SMOOTH, SMOOTH // 2], axis=2)


LOSSY = {
    "jpeg": {},
    "jpeg, subsampled": {"compression": "jpeg", "subsampling": (2, 2)},
    "jpeg2000": {},
    "jpeg2000, lossy": {"compression": "jpeg2000", "compressionargs": {"level": 45}},
    "jpegxl": {},
    "jpegxl, lossy": {"compression": "jpegxl", "compressionargs": {"level": 90, "lossless": False}},
    "jpegxr": {},
    "webp": {},
    "lerc": {},
    "lerc, lossy": {"compression": "lerc", "compressionargs": {"level": 1.0}},
}


@pytest.mark.parametrize("tile", [{}, {"tile": (16, 32)}])
@pytest.mark.parametrize("kind", LOSSY)
def test_codings_that_can_be_lossy_are_images_and_no_masks(tmp_path, kind, tile):
    path = tmp_path / "x.tif"
    options = {"compression": kind, **LOSSY[kind], **tile}
    tifffile.imwrite(path, COLORS, photometric="rgb", **options)
    read = read_image(path)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - COLORS).mean() < 4
    image = open_windowed(path)
    if image is not None:
        np.testing.assert_array_equal(image.whole(), read)
    same = np.repeat(SMOOTH[..., None], 3, axis=2)  # webp has no grey
    tifffile.imwrite(path, same, photometric="rgb", **options)
    for read_it in (read_mask, lambda path: open_windowed(path, indices=True)):
        with pytest.raises(UserError, match=r"x\.tif is in the lossy coding"):
            read_it(path)


def test_jpeg_of_ycbcr_is_read_as_rgb(tmp_path):
    ycbcr = np.asarray(Image.fromarray(COLORS).convert("YCbCr"))
    tifffile.imwrite(tmp_path / "x.tif", ycbcr, photometric="ycbcr", compression="jpeg")
    assert np.abs(read_image(tmp_path / "x.tif").astype(int) - COLORS).mean() < 2


def test_content_counts_not_the_name(tmp_path):
    tifffile.imwrite(tmp_path / "x.png", SMOOTH.astype(">u2"), byteorder=">", compression="lzw")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png")[..., 0], SMOOTH)
    Image.fromarray(SMOOTH).save(tmp_path / "x.tif", format="PNG")
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif"), SMOOTH)


def test_a_directory_without_tags(tmp_path):
    (tmp_path / "x.tif").write_bytes(struct.pack("<HHIHI", 0x4949, 42, 8, 0, 0))
    for read in (read_image, read_mask, image_size, open_windowed):
        with pytest.raises(UserError, match=r"x\.tif .*replace it"):
            read(tmp_path / "x.tif")


def test_sizes_that_no_memory_holds(tmp_path):
    tiff(tmp_path / "x.tif", 65535, 65535, b"\x78\x9c", coding=8)
    with pytest.raises(UserError, match=r"x\.tif is too large to be read at once"):
        read_image(tmp_path / "x.tif")


@given(st.sampled_from(range(9)), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255))))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_files_are_read_or_refused_in_one_sentence(tmp_path, kind, damage):
    path = tmp_path / "x.tif"
    coding = (*CODINGS, "jpeg", "jpegxl", "png")[kind]
    tifffile.imwrite(path, SMOOTH, compression=coding, photometric="minisblack")
    data = bytearray(path.read_bytes())
    for place, value in damage:
        data[int(place * len(data))] = value
    path.write_bytes(data)
    for read in (read_image, read_mask, lambda path: open_windowed(path, series=0)):
        try:
            read(path)
        except UserError as error:
            said = str(error)
            assert said.startswith(str(path))
            assert "\n" not in said


@pytest.mark.parametrize("lost", ["TileOffsets", "TileByteCounts"])
def test_lost_places_of_tiles_are_refused(tmp_path, lost):
    """tifffile fills a tile of place or length 0 with zeros, as one that was never stored."""
    path = tmp_path / "x.tif"
    array = np.random.default_rng(0).integers(1, 255, (64, 64), np.uint8)
    tifffile.imwrite(path, array, tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags[lost]
        place, size = tag.valueoffset, tag.valuebytecount
    data = bytearray(path.read_bytes())
    data[place : place + size // 2] = bytes(size // 2)
    path.write_bytes(data)
    with pytest.raises(UserError, match="lost the places"):
        read_image(path)
