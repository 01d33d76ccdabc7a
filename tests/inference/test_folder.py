import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask
from test_predictor import Bright, bright, squares

from spatialembed.errors import UserError
from spatialembed.formats import kinds
from spatialembed.formats.results_folder import Results
from spatialembed.inference import overlap, sight
from spatialembed.inference.folder import Outcome, predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.summary import left_out, notes_of, unlike_training
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.normalization import Normalization


def names(files) -> list[str]:
    return [file.name for file in files]


def test_label_tiff_and_overlay(images, tmp_path) -> None:
    results = Results(tmp_path / "out")
    outcomes = list(predict_files(bright(), find_images([images], results.out), results))
    assert [outcome.found for outcome in outcomes] == [2, 2, 2]
    labels = tifffile.imread(results.out / "sub" / "b.tif")
    np.testing.assert_array_equal(labels, bright().predict(squares()).label_map)
    assert Image.open(results.out / "a_overlay.png").size == (61, 37)


def test_existing_results_are_kept(images, tmp_path) -> None:
    results = Results(tmp_path / "out", pictures=False)
    files = find_images([images], results.out)
    list(predict_files(bright(), files, results))
    (results.out / "a.tif").write_text("mine")
    again = list(predict_files(bright(), files, results))
    assert all(outcome.kept for outcome in again)
    assert (results.out / "a.tif").read_text() == "mine"
    with_pictures = list(predict_files(bright(), files, Results(results.out)))
    assert not any(outcome.kept for outcome in with_pictures)
    list(predict_files(bright(), files, results, overwrite=True))
    assert tifffile.imread(results.out / "a.tif").max() == 2


def test_a_failing_file_stops_no_other(images, tmp_path) -> None:
    (images / "broken.png").write_bytes((images / "a.png").read_bytes()[:60])
    Image.fromarray(squares(3) * np.uint8([1, 2, 3])).save(images / "color.png")
    results = Results(tmp_path / "out")
    outcomes = list(predict_files(bright(), find_images([images], results.out), results))
    failed = {outcome.image.name: outcome.error for outcome in outcomes if outcome.error}
    assert failed.keys() == {"broken", "color"}
    assert "broken.png" in failed["broken"]
    assert "is in color" in failed["color"]
    assert sum(outcome.found == 2 for outcome in outcomes) == 3
    assert not list(results.out.glob("broken*")) + list(results.out.glob("color*"))


def test_files_of_odd_content_stop_no_other(images, tmp_path) -> None:
    (images / "no_tags.tif").write_bytes(b"II*\0\x08\0\0\0" + bytes(6))
    (images / "no_image.tif").write_bytes(b"MM\0*" + b"\xff" * 40)
    (images / "no_file.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    tifffile.imwrite(images / "complex.tif", np.zeros((9, 9), np.complex64))
    tifffile.imwrite(images / "stack.tif", np.zeros((4, 9, 9), np.uint8), photometric="minisblack")
    results = Results(tmp_path / "out", pictures=False)
    outcomes = list(predict_files(bright(), find_images([images], results.out), results))
    failed = {outcome.image.name: outcome.error for outcome in outcomes if outcome.error}
    assert failed.keys() == {"no_tags", "no_image", "no_file", "complex", "stack"}
    for name, error in failed.items():
        assert error.startswith(str(images / name))
    assert sum(outcome.found == 2 for outcome in outcomes) == 3


def test_series_of_files_that_hold_several_images(tmp_path) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    planes = [squares(), np.roll(squares(), 5, 1), squares()[::2, ::2]]
    with tifffile.TiffWriter(images / "a.ome.tif", ome=True) as file:
        for plane in planes[:2]:
            file.write(plane[..., 0], photometric="minisblack")
    with tifffile.TiffWriter(images / "b.tif") as file:
        for plane in planes[::-1][::2]:
            file.write(plane[..., 0], photometric="minisblack")
    results = Results(out, pictures=False)
    files = find_images([images], out)
    first, second = predict_files(bright(), files, results)
    assert "holds 2 images (series 0" in first.error
    assert second.found == 2
    assert "b.tif holds further images" in left_out([first, second])
    files = [file._replace(series=1) for file in files]
    with pytest.raises(UserError, match=r"series None \(now 1\)"):
        predict_files(bright(), files, results)
    list(predict_files(bright(), files, Results(tmp_path / "second", pictures=False)))
    for name, plane in ((files[0].name, planes[1]), (files[1].name, planes[0])):
        labels = tifffile.imread(tmp_path / "second" / f"{name}.tif")
        np.testing.assert_array_equal(labels, bright().predict(plane).label_map)
    with pytest.warns(UserWarning, match="holds further images"):
        bright().predict(images / "b.tif")


def test_running_out_of_memory_is_named(images, tmp_path, monkeypatch) -> None:
    model = bright()

    def exhausted(image):
        raise RuntimeError("not enough memory: you tried to allocate 1 TB\nmore")

    monkeypatch.setattr(model.network.module, "forward", exhausted)
    results = Results(tmp_path / "out")
    [outcome] = predict_files(model, find_images([images / "a.png"], results.out), results)
    assert outcome.error == f"{images / 'a.png'}: not enough memory: you tried to allocate 1 TB"


def test_an_image_that_enlarged_would_fill_the_memory_is_named(images, tmp_path, monkeypatch):
    monkeypatch.setattr(sight, "MOST_PIXELS", 10)
    out = tmp_path / "out"
    files = find_images([images], out)
    outcomes = list(predict_files(bright(), files, Results(out)))
    assert all(f"{o.image.path} would have" in (o.error or "") for o in outcomes)


def test_coco_results(images, tmp_path) -> None:
    results = Results(tmp_path / "out", ["coco"], pictures=False)
    files = find_images([images], results.out)
    list(predict_files(bright(), files[:1], results))
    list(predict_files(bright(), files, results))  # the first is kept and yet in the file
    rows = json.loads(results.gather(names(files)).read_text())
    listed = json.loads((results.out / "coco_images.json").read_text())
    assert [(row["image_id"], row["category_id"]) for row in rows] == [
        (i, 1) for i in (1, 2, 3) for _ in range(2)
    ]
    assert [image["file_name"] for image in listed["images"]] == [
        *("a.png", "sub/b.tif", "sub/c.png")
    ]
    assert listed["categories"] == [{"id": 1, "name": "object"}]
    assert coco_mask.toBbox(rows[0]["segmentation"]).tolist() == [4, 3, 6, 5]
    assert rows[0].keys() == {"image_id", "category_id", "score", "segmentation"}
    part = results.out / "coco" / "a.json"  # of an earlier version
    held = json.loads(part.read_text())
    del held["suffix"]
    part.write_text(json.dumps(held))
    again = json.loads(results.gather(names(files[2:])).read_text())
    assert again == rows  # those of images that were predicted before are not lost
    listed = json.loads((results.out / "coco_images.json").read_text())
    assert [image["file_name"] for image in listed["images"]] == ["a", "sub/b.tif", "sub/c.png"]


def test_every_format_is_written_and_kept(images, tmp_path) -> None:
    formats = ["cityscapes", "coco", "geojson", "imagej", "measurements"]
    model = Model(TorchNetwork(Bright()), replace(bright().spec, class_names=("car",)))
    results = Results(tmp_path / "out", formats)
    files = find_images([images / "sub"], results.out)
    assert [outcome.found for outcome in predict_files(model, files, results)] == [2, 2]
    for end in (".tif", "_overlay.png", ".geojson", "_rois.zip", ".csv"):
        assert (results.out / f"b{end}").is_file()
    assert all(outcome.kept for outcome in predict_files(model, files, results))
    (results.out / "b.csv").unlink()
    assert [o.kept for o in predict_files(model, files, results)] == [False, True]


def test_overwriting_leaves_no_result_of_other_settings(images, tmp_path) -> None:
    model = Model(TorchNetwork(Bright()), replace(bright().spec, class_names=("car",)))
    out = tmp_path / "out"
    formats = ["cityscapes", "coco", "geojson", "imagej", "measurements"]
    files, every = find_images([images / "sub"], out), Results(out, formats)
    list(predict_files(model, files, every))
    every.gather([file.name for file in files])
    (out / "mine.csv").touch()
    list(predict_files(model, files, Results(out, pictures=False), overwrite=True, min_size=7))
    left = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    left = {name for name in left if not name.startswith("cityscapes/masks/")}
    assert left == {"mine.csv", "settings.json", *(f"{file.name}.tif" for file in files)}


def test_formats_of_a_missing_extra_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"spatialembed\[formats\]"):
        Results("out", ["geojson"])
    Results("out", ["coco"])


def test_cityscapes_needs_its_classes(images, tmp_path) -> None:
    results = Results(tmp_path / "out", ["cityscapes"])
    files = find_images([images / "a.png"], results.out)
    with pytest.raises(UserError, match="Cityscapes has no class 'object'"):
        predict_files(bright(), files, results)  # before the first image, not once for each
    assert not results.out.exists()


def test_bad_settings() -> None:
    with pytest.raises(UserError, match="format is one of"):
        Results("out", ["yolo"])
    with pytest.raises(
        UserError, match=r"annotations are for COCO results.* of stacks leave them out"
    ):
        Results("out", annotations="x.json")


@pytest.mark.parametrize(
    ("trained", "diameter", "warned"),
    [((3, 9), None, False), ((20, 60), None, True), ((20, 60), 7, False), (None, None, False)],
)
def test_objects_unlike_those_of_training_are_told(images, tmp_path, trained, diameter, warned):
    """The squares are about 6 pixels across."""
    notes = {} if trained is None else {"diameters": trained}
    spec = replace(bright().spec, object_diameter=35, training=notes)
    outcomes = [
        Outcome(image, 2, diameter=5.9) for image in find_images([images], tmp_path / "out")
    ]
    warning = unlike_training(outcomes, Model(TorchNetwork(Bright()), spec, diameter=diameter))
    assert (warning is not None) == warned
    if warned:
        assert "5.9 pixels across" in warning
        assert "20.0 to 60.0" in warning


def test_outcomes_hold_diameters(images, tmp_path) -> None:
    out = tmp_path / "out"
    outcomes = predict_files(bright(), find_images([images / "a.png"], out), Results(out))
    assert [outcome.diameter for outcome in outcomes] == [pytest.approx(5.9, abs=0.1)]


def test_nothing_found_anywhere_is_told(images, tmp_path):
    files = find_images([images], tmp_path / "out")
    warning = unlike_training([Outcome(image, 0) for image in files], bright())
    assert "nothing was found in any file" in warning
    assert unlike_training([Outcome(image, None, kept=True) for image in files], bright()) is None


def test_a_format_that_is_missing_is_added_and_labels_stay_as_they_are(images, tmp_path):
    files, out = find_images([images], tmp_path / "out"), tmp_path / "out"
    list(predict_files(bright(), files, Results(out)))
    corrected = np.full((37, 61), 5, np.uint8)
    tifffile.imwrite(out / "a.tif", corrected)
    outcomes = list(predict_files(bright(), files, Results(out, ["measurements"])))
    assert not any(outcome.kept for outcome in outcomes)
    assert (out / "a.csv").is_file()
    np.testing.assert_array_equal(tifffile.imread(out / "a.tif"), corrected)


def test_results_of_other_settings_are_not_mixed(images, tmp_path):
    files, results = find_images([images], tmp_path / "out"), Results(tmp_path / "out")
    list(predict_files(bright(), files, results))
    with pytest.raises(UserError, match=r"min_size \d+ \(now 7\); add --overwrite"):
        predict_files(bright(), files, results, min_size=7)
    list(predict_files(bright(), files, results, overwrite=True, min_size=7))
    assert all(o.kept for o in predict_files(bright(), files, results, min_size=7))


def test_results_of_a_model_trained_again_at_its_place_are_not_mixed(images, tmp_path):
    files, results = find_images([images], tmp_path / "out"), Results(tmp_path / "out")
    model = bright()
    model.weights = "a1"
    list(predict_files(model, files, results))
    model.weights = "b2"
    with pytest.raises(UserError, match=r"weights a1 \(now b2\); add --overwrite"):
        predict_files(model, files, results)


def test_an_interrupted_overwrite_goes_on_with_what_it_did_not_reach(images, tmp_path, monkeypatch):
    monkeypatch.setattr(overlap, "cores", lambda: 1)  # no more than the next image is begun
    files, results = find_images([images], tmp_path / "out"), Results(tmp_path / "out")
    list(predict_files(bright(), files, results))
    next(predict_files(bright(), files, results, overwrite=True, min_size=7))
    again = predict_files(bright(), files, results, min_size=7)
    kept = [outcome.kept for outcome in again]
    assert (kept[0], kept[-1]) == (True, False)


def test_settings_are_not_replaced_under_results_of_other_images(images, tmp_path):
    files, results = find_images([images], tmp_path / "out"), Results(tmp_path / "out")
    list(predict_files(bright(), files, results))
    (tmp_path / "out" / ".b.tif-x.tif").touch()  # left by a process that was killed as it wrote
    with pytest.raises(UserError, match=r"results of 2 images that are not given, such as .*tif"):
        predict_files(bright(), files[:1], results, overwrite=True, min_size=7)
    assert all(o.kept for o in predict_files(bright(), files, results))
    assert not any(o.kept for o in predict_files(bright(), files[:1], results, overwrite=True))


def test_what_is_to_be_known_of_images_is_said(images, tmp_path) -> None:
    spec = replace(bright().spec, normalization=Normalization("range", white=255))
    model = Model(TorchNetwork(Bright()), spec)
    broken = squares()[..., 0] / np.float32(255)
    broken[0, :3] = np.nan
    tifffile.imwrite(images / "d.tif", broken)
    for number in range(12):
        twelve_bits = squares()[..., 0].astype(np.uint16) * 16
        tifffile.imwrite(images / f"e{number:02}.tif", twelve_bits)
    files = find_images([images], tmp_path / "out")
    outcomes = list(predict_files(model, files, Results(tmp_path / "out", pictures=False)))
    assert [o.image.name for o in outcomes if not o.notes] == ["a", "sub/b", "sub/c"]
    lines = list(notes_of(outcomes))
    assert lines[0].startswith(f"{images / 'd.tif'}: 3 pixels")
    assert all("4095 is taken as white, 255 in training" in line for line in lines[1:11])
    assert lines[11:] == ["and 2 more images as these"]
