"""Layouts that are not read: the refusal names the file, the tool and the step."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.data import check_data, open_data
from spatialembed.data.layouts.other_layouts import kind_of_json
from spatialembed.errors import UserError

LABELME = {"version": "5.0", "flags": {}, "shapes": [], "imagePath": "a.jpg", "imageData": None}
STUDIO = [{"id": 1, "annotations": [{"id": 1, "result": []}], "data": {"image": "a.jpg"}}]
DATUMARO = {"dm_format_version": "1.0", "info": {}, "categories": {}, "items": []}
VIA = {"_via_settings": {}, "_via_img_metadata": {}}
PANOPTIC = {"images": [], "annotations": [{"segments_info": []}], "categories": []}
RESULTS = [{"image_id": 1, "category_id": 1, "segmentation": {}, "score": 0.5}]
SLY = {"classes": [], "tags": [], "projectType": "images"}
CREATEML = [{"image": "a.jpg", "annotations": [{"label": "x", "coordinates": {}}]}]


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 10), np.uint8)).save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    ("files", "at_fault", "words"),
    [
        ({"a.jpg": "", "a.json": LABELME}, "a.json", "LabelMe.*convert .* OUT"),
        ({"train/a.jpg": "", "train/a.json": LABELME}, "train/a.json", "LabelMe"),
        (
            {"images/a.jpg": "", "project-1.json": STUDIO},
            "project-1.json",
            "Label Studio.*convert .* OUT",
        ),
        ({"task-1-annotation-2-by-1-tag-x-0.png": ""}, "task-1-annotation-2-by", "for each label"),
        ({"images/a.jpg": "", "annotations/default.json": DATUMARO}, "default.json", "Datumaro"),
        ({"images/a.jpg": "", "annotations/train.json": DATUMARO}, "train.json", "COCO 1.0"),
        ({"images/a.jpg": "", "annotations.xml": "<annotations>"}, "annotations.xml", "CVAT"),
        ({"JPEGImages/a.jpg": "", "SegmentationObject/a.png": ""}, "SegmentationObject", "VOC"),
        ({"a.jpg": "", "Annotations/a.xml": "<annotation><object>"}, "a.xml", "no outlines"),
        ({"a.jpg": "", "a.xml": "<annotation><object><bndbox>"}, "a.xml", "no outlines"),
        (
            {"train/images/a.jpg": "", "data.yaml": "names: [x]"},
            "data.yaml",
            "YOLO.*convert .* OUT",
        ),
        ({"images/train/a.jpg": "", "labels/train/a.txt": "0 1"}, "a.txt", "YOLO"),
        ({"images/a.jpg": "", "labels/a.txt": "0 1"}, "labels/a.txt", "YOLO"),
        ({"a.jpg": "", "obj.names": "x"}, "obj.names", "YOLO"),
        ({"train/a.jpg": "", "train/_classes.csv": "x"}, "_classes.csv", "COCO Segmentation"),
        ({"train/a.jpg": "", "train/_annotations.createml.json": CREATEML}, "createml", "CreateML"),
        ({"a.jpg": "", "via_project.json": VIA}, "via_project.json", "convert .* OUT"),
        ({"meta.json": SLY, "ds/img/a.jpg": ""}, "meta.json", "Supervisely.*Export to COCO"),
        ({"images/a.jpg": "", "annotations/x.json": PANOPTIC}, "x.json", "file of instances"),
        ({"images/a.jpg": "", "annotations/x.json": RESULTS}, "x.json", "what a model found"),
        ({"images/a.jpg": "", "a.geojson": "{}"}, "a.geojson", r"useInstanceLabels\(\)"),
        ({"train/images/a.jpg": "", "train/RoiSet.zip": ""}, "RoiSet.zip", "label images"),
        ({"train/a.png": "", "train/a_seg.npy": "x"}, "a_seg.npy", "Cellpose.*convert .* OUT"),
        ({"01/t000.tif": "", "01_GT/SEG/man_seg000.tif": ""}, "01_GT/SEG", "train/masks"),
        ({"gtFine/default/a_gtFine_instanceIds.png": "", "imgsFine/x.txt": ""}, "imgsFine", "CVAT"),
        ({"data.zip": ""}, "data.zip", "unpack it"),
        ({"train/images/a.png": "", "train/labels/a.png": ""}, "train/labels", "name the two"),
        ({"img/a.png": "", "mask/a.png": ""}, "mask", "/images and .*/masks"),
        ({"images/train/a.png": "", "masks/train/a.png": ""}, "images/train", "other way round"),
        ({"set/train/images/a.png": "", "set/train/masks/a.png": ""}, "set", "give that"),
        (
            {f"{i}/{part}/{i}.png": "" for i in "ab" for part in ("images", "masks")},
            "a",
            "a mask for each object.*convert .* OUT",
        ),
    ],
)
def test_the_file_and_the_step_are_named(tmp_path, files, at_fault, words) -> None:
    for name, content in files.items():
        if Path(name).suffix in (".jpg", ".png", ".tif"):
            image(tmp_path / name)
        else:
            text(tmp_path / name, content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=f"(?s){at_fault}.*{words}"):
        open_data(tmp_path)
    told = " ".join(map(str, check_data(tmp_path).errors))
    assert at_fault in told
    assert str(tmp_path) in told


def test_an_unknown_json_is_named(tmp_path) -> None:
    text(tmp_path / "annotations" / "mine.json", "{}")
    with pytest.raises(UserError, match=r"annotations has no COCO instances file \(mine\.json\)"):
        open_data(tmp_path)


def test_a_folder_of_numpy_arrays_says_so(tmp_path) -> None:
    for part in ("images", "masks"):
        text(tmp_path / "train" / part / "a.npy", "x")
    with pytest.raises(UserError, match=r"images has no image.*1 \.npy"):
        open_data(tmp_path)


def test_kinds_of_json_are_told_by_their_words(tmp_path) -> None:
    file = tmp_path / "x.json"
    assert kind_of_json(file) is None
    file.write_text("")
    assert kind_of_json(file) is None
    coco = {"images": [{"license": 1}], "annotations": [], "categories": []}
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(coco).encode())
    assert kind_of_json(file) == "COCO"
    file.write_text(json.dumps([coco]))
    assert kind_of_json(file) is None


def test_jsons_among_images_and_masks_do_not_matter(tmp_path) -> None:
    for part in ("images", "masks"):
        (tmp_path / "train" / part).mkdir(parents=True)
        mask = np.zeros((8, 10), np.uint8)
        mask[2:4, 2:4] = 1
        tifffile.imwrite(tmp_path / "train" / part / "a.tif", mask)
        text(tmp_path / "train" / part / "a.json", json.dumps(LABELME))
    assert open_data(tmp_path).names == ["a"]


def test_of_masks_of_several_kinds_the_images_are_named(tmp_path) -> None:
    for name in ("distance maps", "label masks", "mask binary", "tissue images"):
        image(tmp_path / "organ" / name / "a.png")
    with pytest.raises(UserError, match=r"label masks seems to hold the masks of .*tissue images:"):
        open_data(tmp_path)


def test_what_is_named_right_is_not_to_be_renamed(tmp_path) -> None:
    for part in ("train/images", "train/masks", "test/images"):
        image(tmp_path / part / "a.png")
    with pytest.raises(UserError, match=r"has no mask; expected") as raised:
        open_data(tmp_path, "test")
    assert "seems to hold" not in str(raised.value)
