from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.formats.label_images import save_label_png, save_label_tiff
from spatialembed.formats.measurements import measurements, write_measurements
from spatialembed.formats.volume_measurements import volume_measurements
from spatialembed.instances import Instances
from spatialembed.pictures import found_against_truth, overlay


@pytest.mark.parametrize("shape", [(16, 16), (4, 8, 8)])
def test_means_of_short_floats_are_exact(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 50_000, np.float16)
    image.flat[::4] += 32  # their mean, 50,008, is no number of float16
    found = Instances.from_label_map(np.ones(shape, np.int32))
    made = (
        [row["mean_0"] for row in measurements(found, image)]
        if len(shape) == 2
        else volume_measurements(found, image)["mean_0"].tolist()
    )
    assert made == [image.astype(np.float64).mean()]


class Lazy:
    """As xarray's and dask's arrays: NumPy takes it, and it has not what NumPy's have."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.ndim, self.size, self.min, self.max = values.ndim, values.size, values.min, values.max

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.values if dtype is None else self.values.astype(dtype)


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 2), (4, 8, 8), (4, 8, 8, 2)])
def test_an_image_may_be_what_numpy_takes(shape: tuple[int, ...], tmp_path: Path) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    found = Instances.from_label_map(np.ones(shape[:2] if shape[0] == 16 else shape[:3], np.int32))
    write_measurements(tmp_path / "lazy.csv", found, Lazy(image))
    write_measurements(tmp_path / "own.csv", found, image)
    assert (tmp_path / "lazy.csv").read_text() == (tmp_path / "own.csv").read_text()


def test_label_maps_may_be_what_numpy_takes(tmp_path: Path) -> None:
    image, labels = np.arange(256).reshape(16, 16), np.eye(16, dtype=np.int32)
    np.testing.assert_array_equal(overlay(Lazy(image), Lazy(labels)), overlay(image, labels))
    twice = [found_against_truth(*map(of, (image, labels, labels))) for of in (Lazy, np.asarray)]
    np.testing.assert_array_equal(*twice)
    save_label_tiff(tmp_path / "x.tif", Lazy(labels))
    save_label_png(tmp_path / "x.png", Lazy(labels))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "x.tif"), labels)
    np.testing.assert_array_equal(Image.open(tmp_path / "x.png"), labels)
