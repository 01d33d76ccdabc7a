"""Outlines enclose the centers of exactly an instance's pixels, in files as in arrays."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from spatialembed.formats.measurements import measurements, write_measurements
from spatialembed.formats.outlines import geojson, polygons, write_imagej_rois
from spatialembed.instances import Instances

pytest.importorskip("skimage")


def inside(rings, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centers lie inside of an odd number of lines: a loop over edges."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    odd = np.zeros(shape, bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in pairwise(ring):
            if y0 == y1:
                continue
            crosses = (y0 > y) != (y1 > y)
            odd ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return odd


def blobs(seed: int, shape: tuple[int, int], count: int) -> Instances:
    """Instances with holes, parts and shared borders, some at the image's border."""
    rng = np.random.default_rng(seed)
    label_map = rng.integers(0, count + 1, shape).astype(np.int32)
    label_map = ndimage.median_filter(label_map, 3) if seed % 2 else label_map
    labels = np.unique(label_map[label_map > 0])
    numbered = np.where(label_map > 0, np.searchsorted(labels, label_map) + 1, 0)
    return Instances.from_label_map(numbered.astype(np.int32))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    count=st.integers(1, 3),
)
def test_lines_enclose_just_the_pixels(seed, shape, count) -> None:
    instances = blobs(seed, shape, count)
    for k in range(len(instances)):
        parts = polygons(instances, k)
        found = np.zeros(shape, int)
        for rings in parts:
            assert all((ring[0] == ring[-1]).all() for ring in rings)
            found += inside(rings, shape)
        np.testing.assert_array_equal(found, instances.label_map == k + 1)


def ring_and_dot() -> Instances:
    """A ring with a hole, in which lies another instance, and a third in two parts."""
    label_map = np.zeros((12, 20), np.int32)
    label_map[1:8, 2:9] = 1
    label_map[3:6, 4:7] = 0
    label_map[4, 5] = 2
    label_map[10, 12:15] = 3
    label_map[2:4, 15:18] = 3
    return Instances.from_label_map(
        label_map, np.float32([0.9, 0.8, 0.7]), np.int32([0, 1, 0]), ("cell", "core")
    )


def test_geojson_holds_parts_holes_classes_and_scores() -> None:
    made = json.loads(json.dumps(geojson(ring_and_dot())))
    ring, dot, two = made["features"]
    assert made["type"] == "FeatureCollection"
    assert ring["geometry"]["type"] == "Polygon"
    assert len(ring["geometry"]["coordinates"]) == 2
    assert two["geometry"]["type"] == "MultiPolygon"
    assert len(two["geometry"]["coordinates"]) == 2
    assert dot["properties"]["classification"]["name"] == "core"
    assert dot["properties"]["measurements"]["score"] == pytest.approx(0.8)
    assert geojson(Instances.from_label_map(np.zeros((3, 3), np.int32)))["features"] == []


def test_imagej_opens_the_rois(tmp_path) -> None:
    roifile = pytest.importorskip("roifile")
    instances = ring_and_dot()
    write_imagej_rois(tmp_path / "rois.zip", instances)
    rois = {roi.name: roi for roi in roifile.roiread(tmp_path / "rois.zip")}
    assert list(rois) == ["1", "2", "3", "3-2"]
    seen = {
        name: inside([np.vstack([c := roi.coordinates(), c[:1]])], (12, 20))
        for name, roi in rois.items()
    }
    np.testing.assert_array_equal(seen["2"], instances.label_map == 2)
    np.testing.assert_array_equal(seen["3"] | seen["3-2"], instances.label_map == 3)
    np.testing.assert_array_equal(seen["1"], ndimage.binary_fill_holes(instances.label_map == 1))
    write_imagej_rois(tmp_path / "none.zip", Instances.from_label_map(np.zeros((3, 3), np.int32)))
    assert (tmp_path / "none.zip").exists()


def test_measurements_are_those_of_the_pixels(tmp_path) -> None:
    instances = ring_and_dot()
    image = np.random.default_rng(0).integers(0, 60_000, (12, 20, 2)).astype(np.uint16)
    rows = measurements(instances, image)
    for k, row in enumerate(rows):
        y, x = np.nonzero(instances.label_map == k + 1)
        assert row["area"] == len(y)
        assert (row["y"], row["x"]) == pytest.approx((y.mean(), x.mean()), abs=0.01)
        assert (row["y0"], row["x1"]) == (y.min(), x.max() + 1)
        assert row["mean_1"] == pytest.approx(image[y, x, 1].mean(), abs=0.01)
    assert rows[1]["class"] == "core"
    write_measurements(tmp_path / "m.csv", instances, image)
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[0].split(",") == list(rows[0])
    assert len(lines) == 4
    write_measurements(tmp_path / "m.csv", Instances.from_label_map(np.zeros((3, 3), np.int32)))
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 1


def volume() -> Instances:
    """One instance in three planes, with a hole in one and in two parts in another, and a dot."""
    label_map = np.zeros((5, 12, 20), np.int32)
    label_map[1:4, 2:9, 3:10] = 1
    label_map[2, 4:6, 5:7] = 0
    label_map[3, 5] = 0
    label_map[4, 10, 17] = 2
    return Instances.from_label_map(label_map, np.float32([0.9, 0.5]), class_names=("cell",))


def test_geojson_of_a_volume_has_a_feature_a_plane() -> None:
    instances = volume()
    features = json.loads(json.dumps(geojson(instances)))["features"]
    seen = np.zeros(instances.label_map.shape, int)
    for feature in features:
        geometry, name = feature["geometry"], int(feature["properties"]["name"])
        plane = geometry["plane"]
        assert (plane["c"], plane["t"]) == (-1, 0)
        many = geometry["type"] == "MultiPolygon"
        for rings in geometry["coordinates"] if many else [geometry["coordinates"]]:
            enclosed = inside([np.array(ring) for ring in rings], seen.shape[1:])
            seen[plane["z"]] += name * enclosed
        assert feature["properties"]["measurements"]["score"] == pytest.approx((0.9, 0.5)[name - 1])
    np.testing.assert_array_equal(seen, instances.label_map)
    assert len(features) == 4
    assert "plane" not in geojson(ring_and_dot())["features"][0]["geometry"]


@pytest.mark.parametrize("channels", [1, 2])
def test_rois_of_a_volume_say_their_plane(tmp_path, channels: int) -> None:
    roifile = pytest.importorskip("roifile")
    instances = volume()
    write_imagej_rois(tmp_path / "rois.zip", instances, channels)
    rois = {roi.name: roi for roi in roifile.roiread(tmp_path / "rois.zip")}
    assert list(rois) == ["1-z2", "1-z3", "1-z4", "1-z4-2", "2-z5"]
    for name, roi in rois.items():
        z = int(name.split("-")[1][1:])
        # Of an ROI ImageJ looks at one of both: a hyperstack's z, or a stack's plane.
        assert (roi.position, roi.z_position) == ((z, 0) if channels == 1 else (0, z))
        ring = np.vstack([c := roi.coordinates(), c[:1]])
        enclosed = inside([ring], (12, 20))
        own = instances.label_map[z - 1] == int(name[0])
        assert enclosed.any()
        assert (own | ~enclosed).all() or name == "1-z3"  # whose hole is filled


def test_volumes_are_refused_by_functions_of_images() -> None:
    for function in (lambda found: polygons(found, 0), measurements):
        with pytest.raises(ValueError, match="images"):
            function(volume())
