"""Label masks of stacks: ids as they are stored, refused as those of images are."""

import numpy as np
import pytest
import tifffile

from spatialembed.data.images.reading import read_stack_mask
from spatialembed.errors import UserError

MASK = np.zeros((5, 12, 15), np.uint16)
MASK[:2, 3:8, 2:9], MASK[2, 5:7, 10:] = 7, 60_000


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint64, np.float32])
@pytest.mark.parametrize("options", [{"metadata": {"axes": "ZYX"}}, {}, {"compression": "zlib"}])
def test_ids_are_those_of_the_file(tmp_path, dtype, options):
    tifffile.imwrite(tmp_path / "m.tif", MASK.astype(dtype), **options)
    read = read_stack_mask(tmp_path / "m.tif")
    assert read.dtype == np.int32
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, MASK)


def test_ids_that_need_64_bits(tmp_path):
    large = MASK.astype(np.int64) * 2**40
    tifffile.imwrite(tmp_path / "m.tif", large)
    read = read_stack_mask(tmp_path / "m.tif")
    assert read.dtype == np.int64
    np.testing.assert_array_equal(read, large)


def test_white_and_palettes_as_for_images(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", MASK, photometric="miniswhite")
    np.testing.assert_array_equal(read_stack_mask(tmp_path / "m.tif"), MASK)
    small = (MASK > 0).astype(np.uint8) * 3
    colors = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", small, photometric="palette", colormap=colors)
    np.testing.assert_array_equal(read_stack_mask(tmp_path / "m.tif"), small)


def test_equal_channels_are_one(tmp_path):
    colors = np.repeat(MASK[..., None].astype(np.uint8), 3, -1)
    tifffile.imwrite(tmp_path / "m.tif", colors, photometric="rgb", metadata={"axes": "ZYXS"})
    np.testing.assert_array_equal(read_stack_mask(tmp_path / "m.tif"), colors[..., 0])
    colors[1, 4, 4, 1] += 1
    tifffile.imwrite(tmp_path / "m.tif", colors, photometric="rgb", metadata={"axes": "ZYXS"})
    with pytest.raises(UserError, match=r"m\.tif has 3 channels that differ"):
        read_stack_mask(tmp_path / "m.tif")


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (-1, np.int16, "has negative ids"),
        (1.5, np.float32, "is not integer"),
        (np.nan, np.float32, "NaN or infinite"),
        (2**63, np.uint64, r"ids of 2\^63"),
    ],
)
def test_values_that_are_no_ids(tmp_path, value, dtype, said):
    mask = MASK.astype(dtype)
    mask[3, 11, 14] = value
    tifffile.imwrite(tmp_path / "m.tif", mask)
    with pytest.raises(UserError, match=rf"m\.tif .*{said}"):
        read_stack_mask(tmp_path / "m.tif")


def test_lossy_formats(tmp_path):
    small = (MASK > 0).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", small, compression="jpeg", metadata={"axes": "ZYX"})
    with pytest.raises(UserError, match=r"m\.tif is in the lossy coding JPEG"):
        read_stack_mask(tmp_path / "m.tif")
    (tmp_path / "m.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match=r"m\.jpg is in a lossy format"):
        read_stack_mask(tmp_path / "m.jpg")


def test_a_plane_is_no_stack(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", MASK[0])
    with pytest.raises(UserError, match=r"m\.tif is no stack"):
        read_stack_mask(tmp_path / "m.tif")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of that, by tifffile
def test_planes_that_tifffile_calls_colors_are_not_taken_for_planes(tmp_path):
    """It stores three or four planes so, unless it is told what they are."""
    tifffile.imwrite(tmp_path / "m.tif", MASK[:4])
    with pytest.raises(UserError, match=r"m\.tif is no stack .*axes SYX.*'ZYX'"):
        read_stack_mask(tmp_path / "m.tif")
    tifffile.imwrite(tmp_path / "m.tif", MASK[:4], metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(read_stack_mask(tmp_path / "m.tif"), MASK[:4])
