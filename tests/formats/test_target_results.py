"""Which object holds which, and the files of several targets."""

import csv
import json

import numpy as np
import pytest
import tifffile

from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.formats.target_results import (
    belonging,
    holders,
    targets_geojson,
    targets_overlay,
    write_targets,
)
from spatialembed.instances import Instances


def of(label_map, name="object") -> Instances:
    return Instances.from_label_map(np.asarray(label_map), class_names=(name,))


def scene() -> dict[str, Instances]:
    """Four cells with one nucleus, two, none, and one of which most is outside; and a lone one."""
    cells, nuclei = np.zeros((2, 30, 60), np.int32)
    cells[2:12, 2:14], cells[2:12, 14:26], cells[2:12, 30:40], cells[16:26, 2:12] = 1, 2, 3, 4
    nuclei[4:8, 4:8], nuclei[4:8, 16:19], nuclei[4:8, 21:24] = 1, 2, 3
    nuclei[18:22, 11:17], nuclei[20:25, 40:45] = 4, 5
    return {"cells": of(cells, "cells"), "nuclei": of(nuclei, "nuclei")}


@pytest.mark.parametrize("seed", range(30))
def test_holders_are_those_of_naive_loops(seed) -> None:
    rng = np.random.default_rng(seed)
    inner, outer = (
        np.unique(rng.integers(0, n, (6, 7)), return_inverse=True)[1].reshape(6, 7) for n in (5, 4)
    )
    expected = []
    for k in range(1, inner.max() + 1):
        here = outer[inner == k]
        counts = [(here == label).sum() for label in range(1, outer.max() + 1)]
        label = int(np.argmax(counts)) + 1 if counts else 0  # the first of equal ones
        expected.append(label if label and 2 * counts[label - 1] >= len(here) else 0)
    found = holders(of(inner.astype(np.int32)), of(outer.astype(np.int32)))
    assert found.tolist() == expected


def test_columns_say_what_is_whose() -> None:
    columns = belonging(scene())
    assert columns["nuclei"] == {"cells": [1, 2, 2, "", ""]}
    assert columns["cells"] == {"nuclei": [1, 2, 0, 0], "nuclei_labels": ["1", "2 3", "", ""]}


def test_a_cell_of_one_nucleus_has_it_as_qupath_reads_it() -> None:
    pytest.importorskip("skimage")
    features = targets_geojson(scene())["features"]
    kinds = [(f["properties"]["objectType"], f["properties"]["name"]) for f in features]
    cells = [("cell", str(k)) for k in (1, 2, 3, 4)]
    assert kinds == cells + [("detection", str(k)) for k in (2, 3, 4, 5)]
    assert ["nucleusGeometry" in feature for feature in features] == [True] + [False] * 7
    corners = np.array(features[0]["nucleusGeometry"]["coordinates"][0])
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[4, 4], [8, 8]], atol=0.5)
    assert features[0]["properties"]["measurements"] == {"score": 1.0, "nucleus score": 1.0}
    names = {feature["properties"]["classification"]["name"] for feature in features}
    assert names == {"cells", "nuclei"}
    colors = {str(feature["properties"]["classification"]["color"]) for feature in features}
    assert len(colors) == 2


def test_files_of_each_target_and_of_all(tmp_path) -> None:
    found, image = scene(), np.full((30, 60, 1), 9, np.uint8)
    results = Results(tmp_path, ["geojson", "measurements", "imagej"], targets=tuple(found))
    assert not results.has("sub/a")
    write_targets(results, "sub/a", image, found)
    assert results.has("sub/a")
    files = sorted(path.name for path in (tmp_path / "sub").iterdir())
    own = [f"a_{t}{end}" for t in found for end in (".csv", ".tif", "_rois.zip")]
    assert files == sorted(["a.geojson", "a_overlay.png", *own])
    for target, one in found.items():
        stored = tifffile.imread(tmp_path / "sub" / f"a_{target}.tif")
        np.testing.assert_array_equal(stored, one.label_map)
    rows = list(csv.DictReader((tmp_path / "sub" / "a_cells.csv").open()))
    assert [(row["label"], row["nuclei"], row["nuclei_labels"]) for row in rows] == [
        ("1", "1", "1"), ("2", "2", "2 3"), ("3", "0", ""), ("4", "0", ""),
    ]  # fmt: skip
    assert json.loads((tmp_path / "sub" / "a.geojson").read_text()) == targets_geojson(found)
    write_targets(Results(tmp_path, pictures=False, targets=tuple(found)), "sub/a", image, found)
    left = sorted(path.name for path in (tmp_path / "sub").iterdir())
    assert left == ["a_cells.tif", "a_nuclei.tif"]


def test_volumes_have_the_same_files(tmp_path) -> None:
    found = {n: of(np.stack([one.label_map] * 3), n) for n, one in scene().items()}
    results = Results(tmp_path, ["geojson", "measurements"], targets=tuple(found))
    write_targets(results, "v", np.zeros((3, 30, 60, 2), np.uint16), found)
    rows = list(csv.DictReader((tmp_path / "v_nuclei.csv").open()))
    assert [row["cells"] for row in rows] == ["1", "2", "2", "", ""]
    features = json.loads((tmp_path / "v.geojson").read_text())["features"]
    assert {feature["properties"]["objectType"] for feature in features} == {"detection"}


def test_the_picture_shows_the_small_ones_over_the_large() -> None:
    found, image = scene(), np.zeros((30, 60, 1), np.uint8)
    picture = targets_overlay(image, found)
    plain = targets_overlay(image, {"cells": found["cells"]})
    differs = (picture != plain).any(-1)
    assert differs[found["nuclei"].label_map > 0].all()
    assert not differs[found["nuclei"].label_map == 0].any()


def test_formats_of_one_target_are_refused(tmp_path) -> None:
    results = Results(tmp_path, ["coco"], targets=("cells", "nuclei"))
    with pytest.raises(UserError, match=r"format coco is of one target, .* cells and nuclei"):
        results.require(("nuclei", "cells"))
