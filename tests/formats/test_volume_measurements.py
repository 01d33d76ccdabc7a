"""Measurements of a volume, against loops over its instances."""

import csv

import numpy as np
import pytest

from spatialembed.formats.measurements import write_measurements
from spatialembed.formats.volume_measurements import volume_measurements
from spatialembed.instances import Instances

pytest.importorskip("skimage")

SPACING = (0.5, 0.2, 0.25)


def some(seed: int = 0, count: int = 6) -> tuple[Instances, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, count + 1, (5, 7, 9)).astype(np.int32)
    scores = np.linspace(0.9, 0.4, count).astype(np.float32)
    classes = (np.arange(count) % 2).astype(np.int32)
    found = Instances.from_label_map(labels, scores, classes, ("cell", "debris"))
    return found, rng.integers(0, 4096, (5, 7, 9, 2)).astype(np.uint16)


def test_every_column_is_that_of_a_loop() -> None:
    found, image = some()
    table = volume_measurements(found, image, SPACING)
    assert {len(column) for column in table.values()} == {6}
    for k in range(6):
        row = {name: column[k] for name, column in table.items()}
        own = found.label_map == k + 1
        places, values = np.argwhere(own), image[own]
        assert (row["label"], row["class"]) == (k + 1, ("cell", "debris")[k % 2])
        assert row["score"] == pytest.approx(found.scores[k])
        assert row["voxels"] == own.sum()
        assert row["volume_um3"] == pytest.approx(own.sum() * 0.025, abs=1e-4)
        radius = row["equivalent_diameter"] / 2
        assert 4 / 3 * np.pi * radius**3 == pytest.approx(own.sum(), rel=1e-2)
        radius = row["equivalent_diameter_um"] / 2
        assert 4 / 3 * np.pi * radius**3 == pytest.approx(own.sum() * 0.025, rel=1e-2)
        for a, axis in enumerate("zyx"):
            assert row[axis] == pytest.approx(places[:, a].mean(), abs=0.01)
            assert row[f"{axis}0"] == places[:, a].min()
            assert row[f"{axis}1"] == places[:, a].max() + 1
        for c in range(2):
            assert row[f"mean_{c}"] == pytest.approx(values[:, c].mean(), abs=1e-3)
            assert (row[f"min_{c}"], row[f"max_{c}"]) == (values[:, c].min(), values[:, c].max())


def test_without_spacing_and_image_nothing_is_invented() -> None:
    table = volume_measurements(some()[0])
    assert list(table) == [
        *("label", "class", "score", "voxels", "z", "y", "x"),
        *("z0", "y0", "x0", "z1", "y1", "x1", "equivalent_diameter"),
    ]
    with pytest.raises(ValueError, match="2 axes"):
        volume_measurements(Instances.from_label_map(np.ones((3, 4), np.int32)))


@pytest.mark.parametrize("channels", [(), (1,), (2,)])
def test_a_table_of_nothing_has_the_same_columns(tmp_path, channels) -> None:
    image = np.zeros((3, 4, 5, *channels), np.float32)
    none = Instances.from_label_map(np.zeros((3, 4, 5), np.int32))
    one = np.zeros((3, 4, 5), np.int32)
    one[1, 2, 3] = 1
    write_measurements(tmp_path / "none.csv", none, image, SPACING)
    write_measurements(tmp_path / "one.csv", Instances.from_label_map(one), image, SPACING)
    read = {}
    for name in ("none", "one"):
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            read[name] = list(csv.reader(file))
    assert read["none"][0] == read["one"][0]
    assert (len(read["none"]), len(read["one"])) == (1, 2)
