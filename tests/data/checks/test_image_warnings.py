"""A check names images with pixels that are no number, and ranges that mislead."""

import numpy as np
import pytest
import tifffile

from spatialembed.data import check_data


def folder(root, images):
    for part in ("images", "masks"):
        (root / "train" / part).mkdir(parents=True)
    for name, image in images.items():
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[2:5, 2:5] = 1
        tifffile.imwrite(root / "train" / "images" / f"{name}.tif", image)
        tifffile.imwrite(root / "train" / "masks" / f"{name}.tif", mask)
    return root


def warnings(root):
    report = check_data(root, holdout=0)
    assert not report.errors
    return {problem.file.stem: problem.message for problem in report.warnings}


def ramp(dtype, top):
    return np.linspace(0, top, 80).reshape(8, 10).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "top"),
    [("uint8", 20), ("uint16", 3012), ("int64", 255), ("float32", 255), ("float32", 9)],
)
def test_a_range_that_does_not_fill_its_type_is_no_fault(tmp_path, dtype, top):
    """Percentiles do not go by it, and training by the range of a type says it itself."""
    assert warnings(folder(tmp_path, {"a": ramp(dtype, top), "b": ramp(dtype, top)})) == {}


def test_images_of_another_range_than_most_are_named(tmp_path):
    images = {"a": ramp("uint8", 250), "b": ramp("uint8", 250), "c": ramp("uint16", 65000)}
    found = warnings(folder(tmp_path, images))
    assert list(found) == ["c"]
    assert "most images are uint8 up to 255" in found["c"]


def test_pixels_that_are_no_number_are_counted(tmp_path):
    image = ramp("float32", 1)
    image[0, :4] = np.nan
    found = warnings(folder(tmp_path, {"a": image, "b": ramp("float32", 1)}))
    assert list(found) == ["a"]
    assert found["a"].startswith("has 4 pixels (5.00% of all) that are NaN or infinite")


def test_a_large_image_is_looked_at_by_windows(tmp_path):
    image = np.zeros((2100, 2000), np.float32)
    image[5, :9], image[2050] = np.nan, 200
    root = folder(tmp_path, {})
    mask = np.zeros(image.shape, np.uint8)
    mask[5:9, 5:9] = 1
    tifffile.imwrite(root / "train" / "images" / "a.tif", image, tile=(256, 256))
    tifffile.imwrite(root / "train" / "masks" / "a.tif", mask, tile=(256, 256))
    report = check_data(root, holdout=0)
    told = [problem.message for problem in report.warnings]
    assert told[0].startswith("has 9 pixels")
    assert "has one training image" in told[1]
