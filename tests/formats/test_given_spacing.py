"""A spacing that Python code gives is a number for each axis: others were taken in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatialembed.errors import UserError
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.formats.measurements import measurements, write_measurements
from spatialembed.formats.meshes import surface
from spatialembed.formats.volume_measurements import volume_measurements
from spatialembed.instances import Instances
from spatialembed.tracking import track

pytest.importorskip("skimage")

MAP = np.zeros((6, 8, 9), np.int32)
MAP[2:5, 3:6, 2:7] = 1
VOLUME, IMAGE = Instances.from_label_map(MAP), Instances.from_label_map(MAP[3])

OF_IMAGES: dict[str, Callable[[Path, Any], object]] = {
    "measurements": lambda path, size: measurements(IMAGE, None, size),
    "csv": lambda path, size: write_measurements(path, IMAGE, None, size),
    "tiff": lambda path, size: save_label_tiff(path, IMAGE.label_map, size),
    "track": lambda path, size: track([MAP[3], MAP[3]], spacing=size),
}
OF_VOLUMES: dict[str, Callable[[Path, Any], object]] = {
    "measurements": lambda path, size: volume_measurements(VOLUME, None, size),
    "csv": lambda path, size: write_measurements(path, VOLUME, None, size),
    "tiff": lambda path, size: save_label_tiff(path, VOLUME.label_map, size),
    "surface": lambda path, size: surface(VOLUME, 0, size),
    "track": lambda path, size: track([MAP, MAP], spacing=size),
}


@pytest.mark.parametrize("name", OF_IMAGES)
@pytest.mark.parametrize("size", [0.5, (0.5,), (2, 0.5, 0.5), (0, 1), (np.nan, 1), "0.5", ("a", 1)])
def test_of_an_image_two_numbers(tmp_path, name, size) -> None:
    with pytest.raises(UserError, match="along y and x, not"):
        OF_IMAGES[name](tmp_path / "file", size)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", OF_VOLUMES)
@pytest.mark.parametrize("size", [0.5, (0.5, 0.5), (2, -0.5, 0.5)])
def test_of_a_volume_three(tmp_path, name, size) -> None:
    with pytest.raises(UserError, match="along z, y and x, not"):
        OF_VOLUMES[name](tmp_path / "file", size)
    assert not list(tmp_path.iterdir())


def test_any_that_holds_numbers_will_do(tmp_path) -> None:
    expected = measurements(IMAGE, None, (0.5, 0.25))
    for size in ([0.5, 0.25], np.array([0.5, 0.25], np.float32)):
        assert measurements(IMAGE, None, size) == expected
    assert expected[0]["area_um2"] == 15 * 0.125
