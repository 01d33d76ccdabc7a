"""Labels in parts: their ids, where they lie, and of which image of a file they are."""

from pathlib import Path

import numpy as np
import pytest
from pointing import Pointing, pointing_image
from test_by_workers import SIDE, labels_of, store
from test_seams import same_objects

from spatialembed.errors import UserError
from spatialembed.large import Workers, predict_large
from spatialembed.large import image as large_image
from spatialembed.large import labels as large_labels
from spatialembed.large.mosaic import Mosaic
from spatialembed.large.segment import read_arrays, write_arrays

zarr = pytest.importorskip("zarr")


def test_ids_that_32_bits_cannot_hold_have_64(there, tmp_path, monkeypatch) -> None:
    before = 2**32 - 5  # as many objects as if there were already

    def number(mosaic: Mosaic, folder: Path, dropped: np.ndarray) -> int:
        count = large_labels.number(mosaic, folder, dropped)
        ids = read_arrays(folder / large_labels.IDS)
        write_arrays(folder / large_labels.IDS, ids | {"before": ids["before"] + before})
        return count + before

    monkeypatch.setattr(large_image, "number", number)
    image = pointing_image((SIDE, 200), 7)
    path, out = store(tmp_path / "a.zarr", image), tmp_path / "labels.zarr"
    count = predict_large(
        Pointing(), path, out, there, mosaic=Mosaic((SIDE, 200), (96, 96), (96, 96))
    )
    found, whole = labels_of(out), Pointing().load().predict(image)
    assert found.dtype == np.uint64
    assert found[found > 0].min() == before + 1
    assert found.max() == count == before + len(whole)
    assert same_objects(found, whole.label_map)
    table = zarr.open_group(out, mode="r")["instances/score"]
    np.testing.assert_array_equal(np.sort(table[before:])[::-1], whole.scores)


def test_labels_lie_where_the_image_lies(there, tmp_path) -> None:
    """Units, pixel size and place of an OME-Zarr image, whose axes may come in any order."""
    changes = [{"type": "scale", "scale": [1, 0.25, 0.5]},
               {"type": "translation", "translation": [0, 3, 7]}]  # fmt: skip
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "micrometer"}]  # fmt: skip
    datasets = [{"path": "full", "coordinateTransformations": changes}]
    scales = {"axes": axes, "datasets": datasets,
              "coordinateTransformations": [{"type": "scale", "scale": [1, 2, 2]}]}  # fmt: skip
    group = zarr.create_group(
        tmp_path / "a.ome.zarr", attributes={"ome": {"version": "0.5", "multiscales": [scales]}}
    )
    image = pointing_image((SIDE, 200), 7)
    group.create_array("full", data=image.transpose(2, 0, 1))
    out = tmp_path / "labels.zarr"
    mosaic = Mosaic((SIDE, 200), (96, 96), (96, 96))
    predict_large(Pointing(), tmp_path / "a.ome.zarr", out, there, mosaic=mosaic)
    [told] = zarr.open_group(out, mode="r").attrs["ome"]["multiscales"]
    assert [axis["unit"] for axis in told["axes"]] == ["micrometer"] * 2
    for level, entry in enumerate(told["datasets"]):
        scale, moved = entry["coordinateTransformations"]
        assert scale["scale"] == [0.5 * 2**level, 1.0 * 2**level]
        assert moved["translation"] == [6, 14]


def test_one_image_of_several(there, tmp_path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr", attributes={"ome": {"bioformats2raw.layout": 3}})
    images = [pointing_image((150, 120), seed) for seed in (3, 4)]
    for number, image in enumerate(images):
        axes = [{"name": name, "type": "space"} for name in "yx"]
        changes = [{"type": "scale", "scale": [number + 0.5] * 3}]
        datasets = [{"path": "0", "coordinateTransformations": changes}]
        scales = {"axes": [*axes, {"name": "c", "type": "channel"}], "datasets": datasets}
        attributes = {"ome": {"version": "0.5", "multiscales": [scales]}}
        group.create_group(str(number), attributes=attributes).create_array("0", data=image)
    out, mosaic = tmp_path / "labels.zarr", Mosaic((150, 120), (160, 160), (96, 96))
    with pytest.raises(UserError, match=r"a\.zarr holds 2 images"):
        predict_large(Pointing(), tmp_path / "a.zarr", out, there, mosaic=mosaic)
    predict_large(Pointing(), tmp_path / "a.zarr", out, there, mosaic=mosaic, series=1)
    assert same_objects(labels_of(out), Pointing().load().predict(images[1]).label_map)
    [told] = zarr.open_group(out, mode="r").attrs["ome"]["multiscales"]
    assert told["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.5, 1.5]


def test_an_image_is_never_replaced_by_its_labels(tmp_path) -> None:
    path = store(tmp_path / "a.zarr", pointing_image((50, 50), 7))
    for out in (path, tmp_path):
        with pytest.raises(UserError, match="would replace the image itself"):
            predict_large(Pointing(), path, out, Workers(1), overwrite=True)
    grey = tmp_path / "grey.zarr"
    zarr.create_array(grey, data=np.zeros((50, 50), np.uint8))
    with pytest.raises(UserError, match=r"expects 3 channels, .* has 1"):
        predict_large(Pointing(), grey, tmp_path / "b.zarr", Workers(1))
