"""The orientation that a file states is applied as viewers do, for image and mask alike."""

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from spatialembed.data import check_data, open_data
from spatialembed.data.images.orientation import stored_window, turned, turned_size
from spatialembed.data.images.reading import (
    image_size,
    open_windowed,
    read_image,
    read_mask,
)
from spatialembed.errors import UserError
from spatialembed.inference.image_like import to_array

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (33, 50), dtype=np.uint8)
RGB = RNG.integers(0, 256, (33, 50, 3), dtype=np.uint8)


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.jpg"])
def test_pictures_as_pillow_turns_them(tmp_path, name, orientation):
    path = tmp_path / name
    Image.fromarray(RGB).save(
        path, exif=exif(orientation), **{"lossless": True} if "w" in name else {}
    )
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(to_array(image)[0], np.asarray(image))
    np.testing.assert_array_equal(read_image(path), expected)
    np.testing.assert_array_equal(to_array(path)[0], expected)
    assert image_size(path) == expected.shape[:2]


def write_tiff(path, array, orientation, **options):
    tag = (274, 3, 1, orientation, True)
    photometric = "rgb" if array.ndim == 3 else "minisblack"
    tifffile.imwrite(path, array, photometric=photometric, extratags=[tag], **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "lzw", "rowsperstrip": 5}, {"tile": (16, 32), "compression": "zlib"}],
)
def test_tiffs_whole_and_by_windows(tmp_path, options, orientation):
    path = tmp_path / "x.tif"
    for array in (GREY, RGB):
        write_tiff(path, array, orientation, **options)
        Image.fromarray(array).save(tmp_path / "x.png", exif=exif(orientation))
        expected = read_image(tmp_path / "x.png")
        np.testing.assert_array_equal(read_image(path), expected)
        assert image_size(path) == expected.shape[:2]
        image = open_windowed(path)
        assert image.shape == expected.shape[:2]
        np.testing.assert_array_equal(image.whole(), expected)
        window = slice(3, 20), slice(7, 31)
        np.testing.assert_array_equal(image.read(*window), expected[window])
    write_tiff(path, GREY, orientation, **options)
    np.testing.assert_array_equal(read_mask(path), read_image(path)[..., 0])


sides = st.tuples(st.integers(0, 33), st.integers(0, 33)).map(lambda ends: slice(*sorted(ends)))


@given(st.integers(1, 8), sides, sides)
@settings(max_examples=60, deadline=None)
def test_a_window_of_the_turned_is_the_turned_window(orientation, rows, columns):
    whole = turned(RGB, orientation)
    size = turned_size(RGB.shape[:2], orientation)
    assert whole.shape[:2] == size
    window = slice(*rows.indices(size[0])[:2]), slice(*columns.indices(size[1])[:2])
    part = RGB[stored_window(window, size, orientation)]
    np.testing.assert_array_equal(turned(part, orientation), whole[window])


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_is_none_is_passed_over(tmp_path, orientation):
    write_tiff(tmp_path / "x.tif", GREY, orientation)
    Image.fromarray(GREY).save(tmp_path / "x.png", exif=exif(orientation))
    for name in ("x.tif", "x.png"):
        np.testing.assert_array_equal(read_image(tmp_path / name)[..., 0], GREY)


def test_a_damaged_exif_is_passed_over(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "x.png", exif=b"Exif\0\0II*\0" + b"\xff" * 9)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png")[..., 0], GREY)


def coco(folder, orientation, height, width):
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for name in "ab":
        Image.fromarray(GREY).save(folder / f"images/{name}.png", exif=exif(orientation))
    box = [2, 3, 12, 3, 12, 9, 2, 9]
    content = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "height": height, "width": width}
            for i, name in enumerate("ab")
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "segmentation": [box], "iscrowd": 0}
            for i in range(2)
        ],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (folder / "annotations/instances_train.json").write_text(json.dumps(content))
    return folder


def test_annotations_are_of_the_turned_picture(tmp_path):
    sample = open_data(coco(tmp_path / "a", 6, 50, 33), "train", holdout=0)[0]
    assert sample.image.shape[:2] == sample.label_mask.shape == (50, 33)
    np.testing.assert_array_equal(sample.image[..., 0], np.rot90(GREY, -1))
    assert sample.label_mask[5, 5] == 1
    assert check_data(tmp_path / "a", holdout=0.0).problems == ()
    stored = coco(tmp_path / "b", 6, 33, 50)
    with pytest.raises(UserError, match=r"a\.png is 33x50, its truth .* orientation \(EXIF\)"):
        open_data(stored, "train", holdout=0)[0]
    assert not check_data(coco(tmp_path / "c", 3, 33, 50)).errors
    told = [str(problem) for problem in check_data(tmp_path / "c", holdout=0.0).warnings]
    assert len(told) == 2
    assert "orientation 3, which is applied" in told[0]
