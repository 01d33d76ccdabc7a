"""Instances whose label map was written to are not saved by the boxes of what was found."""

import numpy as np
import pytest

from spatialembed.formats.cityscapes_results import write_cityscapes_results
from spatialembed.formats.coco_results import coco_results
from spatialembed.formats.measurements import measurements
from spatialembed.formats.meshes import write_meshes
from spatialembed.formats.outlines import geojson, write_imagej_rois
from spatialembed.formats.volume_measurements import volume_measurements
from spatialembed.instances import Instances

pytest.importorskip("skimage")


def two(dims: int = 2) -> Instances:
    label_map = np.zeros((9, 12, 14)[-dims:], np.int32)
    label_map[..., 2:5, 2:6] = 1
    label_map[..., 7:9, 8:11] = 2
    return Instances.from_label_map(label_map)


def erase(label_map: np.ndarray) -> None:
    label_map[label_map == 1] = 0


def grow(label_map: np.ndarray) -> None:
    label_map[..., 1:6, 2:6] = 1


def add(label_map: np.ndarray) -> None:
    label_map[..., 0, 12:] = 3


@pytest.mark.parametrize("change", [erase, grow, add])
@pytest.mark.parametrize(
    ("save", "dims"),
    [
        (lambda path, found: geojson(found), 2),
        (lambda path, found: geojson(found), 3),
        (lambda path, found: write_imagej_rois(path / "x.zip", found), 2),
        (lambda path, found: coco_results(found, 1, {"object": 1}), 2),
        (lambda path, found: write_cityscapes_results(path, "x", found, {"object": 26}), 2),
        (lambda path, found: measurements(found), 2),
        (lambda path, found: volume_measurements(found), 3),
        (lambda path, found: write_meshes(path / "x.obj", found), 3),
    ],
    ids=["geojson", "planes", "imagej", "coco", "cityscapes", "table", "volumes", "meshes"],
)
def test_refused(tmp_path, change, save, dims) -> None:
    pytest.importorskip("roifile")
    found = two(dims)
    save(tmp_path, found)
    change(found.label_map)
    for file in tmp_path.rglob("*.*"):
        file.unlink()
    with pytest.raises(ValueError, match="from_label_map"):
        save(tmp_path, found)
    assert not list(tmp_path.rglob("*.*"))


def test_pixels_that_changed_within_the_boxes_are_saved_as_they_are() -> None:
    found = two()
    found.label_map[3, 3] = 0
    geojson(found)
    assert [row["area"] for row in measurements(found)] == [11, 6]
