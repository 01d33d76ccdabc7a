"""Folders predicted beside a COCO json, whose ids their results have."""

import json
import unicodedata

import pytest
from PIL import Image
from test_folder import names
from test_predictor import bright, squares

from spatialembed.errors import UserError
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images


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
