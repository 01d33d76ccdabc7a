"""Objects of planes become objects of a stack, as a naive loop over all pairs joins them."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_predictor import bright

from spatialembed.cli.main import main
from spatialembed.data.images.reading import read_stack, stack_spacing
from spatialembed.errors import ImageWarning, UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.stack import predict_stack, stitched
from spatialembed.instances import Instances
from spatialembed.models.normalization import Normalization


def stack() -> np.ndarray:
    """(6, 37, 61) with a slanted bar through all planes, a block in two, another apart in z."""
    voxels = np.zeros((6, 37, 61), np.uint8)
    for z in range(6):
        voxels[z, 3 + z : 9 + z, 4:10] = 255
    voxels[:2, 20:26, 40:44] = 255
    voxels[4:, 20:26, 40:44] = 255
    return voxels


def plane(labels: np.ndarray, classes: np.ndarray | None = None) -> Instances:
    count = int(labels.max())
    scores = np.linspace(0.9, 0.5, count).astype(np.float32)
    return Instances.from_label_map(labels, scores, classes, ("a", "b"))


def joined_naively(planes: list[Instances], least: float) -> set[frozenset[tuple[int, int]]]:
    """Objects as sets of (plane, label)."""
    objects = [{(z, k + 1)} for z, one in enumerate(planes) for k in range(len(one))]
    for z in range(len(planes) - 1):
        pairs = []
        for a in range(1, len(planes[z]) + 1):
            for b in range(1, len(planes[z + 1]) + 1):
                one, other = planes[z].label_map == a, planes[z + 1].label_map == b
                iou = (one & other).sum() / (one | other).sum()
                if iou >= least and planes[z].classes[a - 1] == planes[z + 1].classes[b - 1]:
                    pairs.append((-iou, a, b))
        used: set[tuple[int, int]] = set()
        for _, a, b in sorted(pairs):
            if (z, a) not in used and (z + 1, b) not in used:
                used |= {(z, a), (z + 1, b)}
                first = next(o for o in objects if (z, a) in o)
                second = next(o for o in objects if (z + 1, b) in o)
                objects.remove(second)
                first |= second
    return {frozenset(o) for o in objects}


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6), depth=st.integers(1, 4), least=st.sampled_from([0.1, 0.25, 0.7]))
def test_objects_are_joined_as_by_a_naive_loop(seed: int, depth: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    planes = []
    for _ in range(depth):
        labels = np.zeros((12, 14), np.int32)
        for k in range(1, rng.integers(1, 6)):
            y, x = rng.integers(0, 9, 2)
            labels[y : y + rng.integers(1, 5), x : x + rng.integers(1, 5)] = k
        _, labels = np.unique(labels, return_inverse=True)
        labels = labels.reshape(12, 14).astype(np.int32)
        planes.append(plane(labels, rng.integers(0, 2, labels.max())))
    found = stitched(planes, least)
    whole = {
        frozenset(
            (z, int(k))
            for z in range(depth)
            for k in np.unique(planes[z].label_map[found.label_map[z] == n + 1])
        )
        for n in range(len(found))
    }
    assert whole == joined_naively(planes, least)
    for n in range(len(found)):
        parts = [(z, k) for z, one in enumerate(planes) for k in range(len(one))
                 if (found.label_map[z][one.label_map == k + 1] == n + 1).any()]  # fmt: skip
        assert found.scores[n] == max(planes[z].scores[k] for z, k in parts)
        assert {planes[z].classes[k] for z, k in parts} == {found.classes[n]}
    Instances(
        *(getattr(found, f) for f in ("label_map", "scores", "classes", "boxes", "class_names"))
    )


def test_a_stack_by_a_model_of_images() -> None:
    found = predict_stack(bright(), stack()[..., None])
    assert len(found.instances) == 3
    assert sorted(map(tuple, found.instances.boxes[:, [0, 3]])) == [(0, 2), (0, 6), (4, 6)]
    assert (found.instances.label_map > 0).sum() == (stack() > 0).sum()
    assert found.diameter == pytest.approx((36 * 4 / np.pi) ** 0.5)
    empty = predict_stack(bright(), np.zeros((2, 10, 10, 1), np.uint8))
    assert len(empty.instances) == 0
    assert empty.instances.label_map.shape == (2, 10, 10)
    assert empty.diameter is None
    with pytest.raises(UserError, match="well has 2"):
        predict_stack(bright(), np.zeros((2, 10, 10, 2), np.uint8), name="well")


def test_what_is_no_stack_is_refused() -> None:
    assert len(predict_stack(bright(), stack()).instances) == 3  # (Z, H, W)
    for wrong in (stack()[0], np.zeros((0, 4, 4, 1), np.uint8)):
        with pytest.raises(UserError, match="is no stack"):
            predict_stack(bright(), wrong)
    one = plane(np.zeros((4, 4), np.int32))
    for planes, least in (([], 0.5), ([one, plane(np.zeros((4, 5), np.int32))], 0.5), ([one], 0.0)):
        with pytest.raises(ValueError, match="one or more of one size"):
            stitched(planes, least)


def test_pixels_that_are_no_numbers_are_told_once_and_choose_no_plane(monkeypatch) -> None:
    voxels, asked, model = stack().astype(np.float32), [], bright()
    voxels[3] = np.nan
    monkeypatch.setattr(
        type(model), "for_image", lambda self, image, name, spacing: asked.append(image) or self
    )
    with pytest.warns(ImageWarning) as told:
        found = predict_stack(model, voxels, name="x")
    assert [str(one.message).count("NaN") for one in told].count(1) == 1, list(map(str, told))
    assert not np.isnan(asked[0]).any()
    assert not found.instances.label_map[3].any()


def test_planes_are_normalised_as_one() -> None:
    """A plane of faint noise alone is not stretched to objects."""
    model = bright()
    model.normalize = Normalization("percentile")
    voxels = stack().astype(np.uint16) * 100
    voxels[2] = np.random.default_rng(0).integers(0, 20, voxels[2].shape)
    found = predict_stack(model, voxels[..., None]).instances
    assert not (found.label_map[2] > 0).any()
    assert (found.label_map[0] > 0).sum() == (stack()[0] > 0).sum()


def test_files_of_stacks(tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", stack(), metadata={"axes": "ZYX"}, ome=True)
    tifffile.imwrite(folder / "b.tif", stack())
    Image.fromarray(stack()[0]).save(folder / "c.png")
    results = Results(tmp_path / "out")
    files = find_images([folder], results.out)
    outcomes = list(predict_files(bright(), files, results, stitch=True))
    assert [o.found for o in outcomes] == [3, 3, None]
    assert "c.png is no TIFF" in outcomes[2].error
    written = read_stack(tmp_path / "out" / "a.tif")[..., 0]
    assert written.max() == 3
    np.testing.assert_array_equal(written > 0, stack() > 0)
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        assert file.series[0].axes == "ZYX"
    with Image.open(tmp_path / "out" / "a_overlay.png") as picture:
        seen = np.asarray(picture)
    assert seen.shape == (37, 61, 3)
    assert (seen[stack().max(0) == 0] == 0).all()
    with pytest.raises(UserError, match="made with stitch True"):
        predict_files(bright(), files, results)


def test_the_command_says_what_stacks_do_not_go_with(tmp_path, capsys) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stack())
    given = ["predict", "nuclei", str(tmp_path / "a.tif"), "--stitch", "--out"]
    assert main([*given, str(tmp_path / "out"), "--format", "coco"]) == 1
    assert main([*given, str(tmp_path / "out.zarr")]) == 1
    said = capsys.readouterr().err
    assert "format coco is of images" in said
    assert said.count("of stacks label TIFFs are written") == 1
    assert not (tmp_path / "out").exists()
    assert main([*given, str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "a.tif").is_file()


def test_a_model_that_finds_sizes_does_so_once(monkeypatch) -> None:
    model, asked = bright(), []
    monkeypatch.setattr(
        type(model), "for_image", lambda self, image, name, spacing: asked.append(image) or self
    )
    predict_stack(model, stack()[..., None])
    [one] = asked
    assert any(np.array_equal(one[..., 0], stack()[z]) for z in (0, 1, 4, 5))  # two objects


def test_an_ome_zarr_stack_is_predicted_by_its_name(tmp_path) -> None:
    zarr = pytest.importorskip("zarr")
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    said = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group.attrs.update({"multiscales": [said]})
    group.create_array("0", data=stack(), chunks=(1, 16, 16))
    for named in (tmp_path / "a.zarr", tmp_path / "*.zarr"):
        results = Results(tmp_path / "out")
        files = find_images([named], results.out, stacks=True)
        [outcome] = predict_files(bright(), files, results, overwrite=True, stitch=True)
        assert (outcome.found, outcome.error) == (3, None)
        written = read_stack(tmp_path / "out" / "a.tif")[..., 0]
        np.testing.assert_array_equal(written > 0, stack() > 0)
    with pytest.raises(UserError, match="is predicted by itself"):
        find_images([tmp_path / "a.zarr"], tmp_path / "out")


@pytest.mark.parametrize("asked", [None, 0.25])
def test_pixels_count_where_the_distance_of_planes_is_not_stated(tmp_path, asked) -> None:
    """They were taken for those of training; that results have no micrometres went unsaid."""
    path, out = tmp_path / "x.tif", tmp_path / "out"
    sides = {"resolution": (4, 4)} if asked is None else {}
    tifffile.imwrite(path, stack(), imagej=True, metadata={"axes": "ZYX", "unit": "um"}, **sides)
    spec = replace(bright().spec, pixel_size=0.5, object_diameter=9.0)
    model = Model(bright().network, spec, pixel_size=asked)
    results = Results(out, ("measurements",))
    [outcome] = predict_files(model, find_images([path], out), results, stitch=True)
    assert outcome.ratios is not None
    assert outcome.ratios.planes == 0.5
    assert "far its planes lie apart, so that its results have no micrometres" in outcome.notes[0]
    assert "um3" not in (out / "x.csv").read_text()
    assert stack_spacing(out / "x.tif") is None


def test_one_of_several_stacks_is_not_told_of_pages(tmp_path, capsys) -> None:
    """A file of two stacks was said to hold as many images as pages."""
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(stack(), photometric="minisblack")
        file.write(stack()[:4, :30], photometric="minisblack")
    given = ["predict", "nuclei", str(tmp_path / "x.tif"), "--stitch", "--series", "1"]
    assert main([*given, "--out", str(tmp_path / "out")]) == 0
    assert "further images" not in capsys.readouterr().err
    assert read_stack(tmp_path / "out" / "x.tif").shape == (4, 30, 61, 1)
