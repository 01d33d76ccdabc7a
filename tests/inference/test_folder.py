import json
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask
from test_predictor import Bright, bright, squares

from spatialembed.errors import UserError
from spatialembed.formats import results_folder
from spatialembed.formats.results_folder import Results
from spatialembed.inference import overlap
from spatialembed.inference.folder import Outcome, predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.summary import left_out, notes_of, unlike_training
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.normalization import Normalization


@pytest.fixture
def images(tmp_path):
    for name in ("a.png", "sub/b.tif", "sub/c.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(squares()[..., 0]).save(path)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


def names(files) -> list[str]:
    return [file.name for file in files]


def test_folders_keep_their_shape(images, tmp_path) -> None:
    assert names(find_images([images], tmp_path / "out")) == ["a", "sub/b", "sub/c"]


def test_files_and_patterns(images, tmp_path) -> None:
    out = tmp_path / "out"
    assert names(find_images([images / "a.png", images / "sub" / "*.png"], out)) == ["a", "c"]
    assert names(find_images([str(images / "**" / "*.tif")], out)) == ["b"]
    assert names(find_images([images / "a.png", images / "a.png"], out)) == ["a"]


def test_results_inside_of_the_folder_are_no_images(images) -> None:
    out = images / "out"
    list(predict_files(bright(), find_images([images], out), Results(out)))
    assert names(find_images([images], out)) == ["a", "sub/b", "sub/c"]


def test_results_never_lie_among_the_images(images) -> None:
    with pytest.raises(UserError, match="choose another folder"):
        find_images([images], images)
    with pytest.raises(UserError, match="choose another folder"):
        find_images([images / "sub" / "b.tif"], images / "sub")


def test_two_results_of_one_name(images, tmp_path) -> None:
    Image.fromarray(squares()[..., 0]).save(images / "a.tif")
    with pytest.raises(UserError, match=r"a\.png and .*a\.tif|a\.tif and .*a\.png"):
        find_images([images], tmp_path / "out")


@pytest.mark.parametrize("given", ["nowhere", "nowhere/*.png", "empty"])
def test_nothing_there(tmp_path, given) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=given.partition("/")[0]):
        find_images([tmp_path / given], tmp_path / "out")


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
    assert [image["file_name"] for image in listed["images"]] == ["a", "sub/b", "sub/c"]
    assert listed["categories"] == [{"id": 1, "name": "object"}]
    assert coco_mask.toBbox(rows[0]["segmentation"]).tolist() == [4, 3, 6, 5]
    assert rows[0].keys() == {"image_id", "category_id", "score", "segmentation"}
    again = json.loads(results.gather(names(files[2:])).read_text())
    assert again == rows  # those of images that were predicted before are not lost


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
    monkeypatch.setattr(results_folder, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"spatialembed\[formats\]"):
        Results("out", ["geojson"])
    Results("out", ["coco"])


def test_coco_ids_of_annotations(images, tmp_path) -> None:
    truth = {
        "images": [{"id": 70 + i, "file_name": f"{n}.png"} for i, n in enumerate("abc")],
        "categories": [{"id": 9, "name": "object"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    results = Results(tmp_path / "out", ["coco"], False, tmp_path / "truth.json")
    files = find_images([images], results.out)
    list(predict_files(bright(), files, results))
    rows = json.loads(results.gather(names(files)).read_text())
    assert {(row["image_id"], row["category_id"]) for row in rows} == {(70, 9), (71, 9), (72, 9)}
    truth["categories"][0]["name"] = "car"
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    with pytest.raises(UserError, match=r"truth\.json"):
        results.gather(names(files))
    (tmp_path / "truth.json").write_text("{")
    with pytest.raises(UserError, match=r"truth\.json cannot be read as json"):
        results.gather(names(files))


def annotations(tmp_path, names, categories=("object",), sizes=None):
    """A json of images of these names and, of some, these (height, width)."""
    rows = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    for i, (height, width) in (sizes or {}).items():
        rows[i] |= {"height": height, "width": width}
    kinds = [{"id": f"k{i}", "name": name} for i, name in enumerate(categories)]
    text = json.dumps({"images": rows, "categories": kinds})
    (tmp_path / "truth.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    return tmp_path / "truth.json"


@pytest.mark.parametrize(
    ("listed", "categories", "said"),
    [
        (["a.png", "sub/b.tif"], ["object"], "no image 'sub/c'"),
        (["a.png", "a.tif", "b.tif", "c.png"], ["object"], "no image 'a', or several"),
        (["a.png", "b.tif", "c.png"], ["cell"], "no category 'object', .* it has cell"),
    ],
)
def test_annotations_of_other_images_are_refused_before_prediction(
    images, tmp_path, listed, categories, said
) -> None:
    file = annotations(tmp_path, listed, categories)
    results = Results(tmp_path / "out", ["coco"], False, file)
    with pytest.raises(UserError, match=said):
        predict_files(bright(), find_images([images], results.out), results)
    assert not results.out.exists()


def test_one_annotated_image_is_not_two(images, tmp_path) -> None:
    Image.fromarray(squares()[..., 0]).save(images / "sub" / "a.png")
    file = annotations(tmp_path, ["x/a.png", "b.tif", "c.png"])
    results = Results(tmp_path / "out", ["coco"], False, file)
    with pytest.raises(UserError, match="one image for 'a' and 'sub/a'"):
        predict_files(bright(), find_images([images], results.out), results)


def test_an_image_of_another_size_than_annotated_is_an_error_of_its_own(images, tmp_path) -> None:
    listed = ["a.png", "b.tif", "c.png"]
    file = annotations(tmp_path, listed, sizes={0: (37, 61), 1: (61, 37)})
    results = Results(tmp_path / "out", ["coco"], False, file)
    files = find_images([images], results.out)
    failed = [o.error for o in predict_files(bright(), files, results) if o.error]
    assert len(failed) == 1
    assert "says that 'sub/b' is 37x61, it is 61x37" in failed[0]
    rows = json.loads(results.gather(names(files)).read_text())
    assert [(row["image_id"], row["category_id"]) for row in rows] == [
        (i, "k0") for i in (0, 0, 2, 2)
    ]


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"images": null}', '{"images": [null], "categories": []}', "[" * 9999]
)
def test_annotations_that_are_none_are_refused_at_once(tmp_path, content) -> None:
    (tmp_path / "truth.json").write_text(content)
    for file in ("truth.json", "gone.json"):
        with pytest.raises(UserError, match=file):
            Results(tmp_path / "out", ["coco"], False, tmp_path / file)


def test_numbers_for_names_are_coco_ids(tmp_path) -> None:
    Image.fromarray(squares()[..., 0]).save(tmp_path / "000000000139.png")
    results = Results(tmp_path / "out", ["coco"])
    files = find_images([tmp_path / "000000000139.png"], results.out)
    list(predict_files(bright(), files, results))
    assert json.loads(results.gather(names(files)).read_text())[0]["image_id"] == 139


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
    assert "nothing was found in any image" in warning
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


def test_a_pattern_that_matches_results_takes_the_images_alone(images, monkeypatch):
    monkeypatch.chdir(images)
    before = find_images(["**/*.tif"], images / "found")
    list(predict_files(bright(), before, Results(images / "found")))
    assert find_images(["**/*.tif"], images / "found") == before


@pytest.mark.parametrize("annotated", [True, False])
def test_coco_ids_of_dotted_names_and_equal_ones(tmp_path, annotated):
    given = ["day1/x.tif", "day2/x.tif", "day2/1.5um.ome.tif"]
    for name in given:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(squares()[..., 0]).save(path)
    out, truth = tmp_path / "out", None
    if annotated:
        truth = tmp_path / "truth.json"
        rows = [{"file_name": name, "id": 5 + i} for i, name in enumerate(given)]
        kinds = [{"name": "object", "id": 1}]
        truth.write_text(json.dumps({"images": rows, "categories": kinds}))
    files = find_images([tmp_path / "images"], out)
    results = Results(out, ["coco"], annotations=truth)
    list(predict_files(bright(), files, results))
    ids = {row["image_id"] for row in json.loads(results.gather(names(files)).read_text())}
    assert ids == ({5, 6, 7} if annotated else {1, 2, 3})


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


def test_hidden_folders_are_no_images_and_other_formats_are_told(images, tmp_path) -> None:
    for name in (".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/a.png", "sub/._b.tif"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes((images / "a.png").read_bytes())
    for name in ("c.ims", "sub/d.npy", "sub/e.npy", "Thumbs.db", "table.csv"):
        (images / name).touch()
    (images / "big.zarr").mkdir()
    (images / "big.zarr" / "0.png").touch()
    told = []
    assert names(find_images([images], tmp_path / "out", told.append)) == ["a", "sub/b", "sub/c"]
    [line] = told
    assert line.startswith(f"{images}: 4 files of other formats are left out (1 .ims, 2 .npy, 1 .z")
    told.clear()
    assert names(find_images([str(images / "**" / "*")], tmp_path / "out", told.append)) == [
        *("a", "b", "c")
    ]
    assert "(1 .ims, 2 .npy, 1 .zarr)" in told[0]
    assert told[0].endswith("a .zarr is predicted by itself, with --out NAME.zarr")


@pytest.mark.parametrize(
    ("one", "other"),
    [("plate/A1.png", "plate/a1.png"), ("grün.png", unicodedata.normalize("NFD", "grün.png"))],
)
def test_names_that_some_disks_do_not_tell_apart_are_refused(tmp_path, one, other) -> None:
    for name in (one, other):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(squares()[..., 0]).save(path)
    if len(list((tmp_path / "images").rglob("*.png"))) < 2:
        pytest.skip("this disk does not tell the two apart")
    with pytest.raises(UserError, match="would both write"):
        find_images([tmp_path / "images"], tmp_path / "out")


def test_annotations_may_name_files_in_other_letters(tmp_path) -> None:
    image = tmp_path / "images" / unicodedata.normalize("NFD", "grün.png")
    image.parent.mkdir()
    Image.fromarray(squares()[..., 0]).save(image)
    truth = {
        "images": [{"id": 70, "file_name": "images\\grün.png"}],
        "categories": [{"id": 9, "name": "object"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    results = Results(tmp_path / "out", ["coco"], False, tmp_path / "truth.json")
    files = find_images([tmp_path / "images"], results.out)
    list(predict_files(bright(), files, results))
    rows = json.loads(results.gather(names(files)).read_text())
    assert {row["image_id"] for row in rows} == {70}
