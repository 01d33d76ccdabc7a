"""COCO as tools write it: names and places of the json, and the files that it names."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatialembed.data import check_data, open_data
from spatialembed.errors import UserError


def images(folder: Path, *names: str) -> None:
    for value, name in enumerate(names, start=1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30), value, np.uint8)).save(folder / name)


def write(file: Path, *names: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": i, "file_name": n, "height": 20, "width": 30} for i, n in enumerate(names)]
    square = [[2, 2, 8, 2, 8, 8, 2, 8]]
    found = [
        {"id": i, "image_id": i, "category_id": 1, "segmentation": square, "iscrowd": 0}
        for i in range(len(names))
    ]
    kinds = [{"id": 1, "name": "cell"}]
    file.write_text(json.dumps({"images": rows, "annotations": found, "categories": kinds}))


def warned(root: Path) -> dict[str, str]:
    report = check_data(root)
    assert not report.errors, report.errors
    return {str(p.file.relative_to(root)): p.message for p in report.warnings}


@pytest.mark.parametrize(
    ("file", "below"),
    [
        ("annotations/instances_default.json", "images/default"),  # CVAT
        ("annotations/instances_default.json", "images"),
        ("result.json", "images"),  # Label Studio
        ("annotations.json", ""),  # LabelMe's own conversion
        ("livecell_all.json", "images"),
    ],
)
def test_a_single_json_is_train_and_said(tmp_path, file, below) -> None:
    images(tmp_path / below, "a.png", "b.png")
    write(tmp_path / file, "a.png", "b.png")
    assert open_data(tmp_path, holdout=0).names == ["a", "b"]
    assert warned(tmp_path) == {file: "is taken as train"}


def test_roboflows_jsons_lie_with_their_images(tmp_path) -> None:
    for split, names in (
        ("train", ("a.jpg", "b.jpg")),
        ("valid", ("c.jpg",)),
        ("test", ("d.jpg",)),
    ):
        images(tmp_path / split, *names)
        write(tmp_path / split / "_annotations.coco.json", *names)
    found = [open_data(tmp_path, split).names for split in ("train", "val", "test")]
    assert found == [["a", "b"], ["c"], ["d"]]
    assert warned(tmp_path) == {"valid": "is taken as val"}
    (tmp_path / "valid" / "_annotations.coco.json").unlink()
    assert "no COCO json lies with them" in warned(tmp_path)["valid"]


@pytest.mark.parametrize("name", ["instances_valid.json", "validation.json", "instances_dev1.json"])
def test_other_names_of_val(tmp_path, name) -> None:
    images(tmp_path / "images", "a.png", "b.png", "c.png")
    write(tmp_path / "annotations/instances_train.json", "a.png", "b.png")
    write(tmp_path / "annotations" / name, "c.png")
    assert open_data(tmp_path, "val").names == ["c"]
    assert warned(tmp_path) == {f"annotations/{name}": "is taken as val"}


def test_names_with_the_split_somewhere_in_them(tmp_path) -> None:
    images(tmp_path / "images", "a.png", "b.png")
    write(tmp_path / "livecell_coco_train.json", "a.png")
    write(tmp_path / "livecell_coco_val.json", "b.png")
    assert open_data(tmp_path).names == ["a"]
    assert open_data(tmp_path, "val").names == ["b"]


def test_a_json_that_is_left_out_is_named(tmp_path) -> None:
    images(tmp_path / "images", "a.png", "b.png")
    write(tmp_path / "annotations/instances_train.json", "a.png", "b.png")
    write(tmp_path / "annotations/instances_extra.json", "a.png")
    write(tmp_path / "annotations/person_keypoints_train.json", "a.png")
    write(tmp_path / "annotations/._instances_train.json", "a.png")
    found = warned(tmp_path)
    assert list(found) == ["annotations/instances_extra.json"]
    assert "is left out: name it instances_train.json" in found["annotations/instances_extra.json"]


def test_several_without_a_split_are_refused(tmp_path) -> None:
    images(tmp_path / "images", "a.png")
    for name in ("one.json", "two.json"):
        write(tmp_path / "annotations" / name, "a.png")
    with pytest.raises(UserError, match=r"one\.json, annotations/two\.json\); name them instances"):
        open_data(tmp_path)


def test_a_label_folder_with_a_json_beside_stays_one(tmp_path) -> None:
    images(tmp_path / "train/images", "a.png")
    images(tmp_path / "train/masks", "a.png")
    write(tmp_path / "found.json", "a.png")
    assert type(open_data(tmp_path)).__name__ == "LabelFolder"


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("images\\a.png", "images/a.png"),
        ("./a.png", "images/a.png"),
        ("../../label-studio/data/upload/1/a.png", "images/a.png"),
        ("/data/upload/1/a.png", "images/a.png"),
        ("a.PNG", "images/a.png"),
        ("a.png", "images/train/a.png"),
        (unicodedata.normalize("NFD", "grün.png"), "images/grün.png"),
        ("grün.png", "images/" + unicodedata.normalize("NFD", "grün") + ".png"),
        ("day 1/a.png", "images/day 1/a.png"),
    ],
)
def test_files_are_found_as_tools_name_them(tmp_path, named, there) -> None:
    images(tmp_path, there)
    write(tmp_path / "annotations/instances_train.json", named)
    data = open_data(tmp_path, holdout=0)
    assert data.items[0].image == tmp_path / there
    assert data[0].label_mask.max() == 1


def test_folders_are_not_left_away_where_two_images_would_be_one(tmp_path) -> None:
    images(tmp_path / "images", "a.png")
    write(tmp_path / "annotations/instances_train.json", "x/a.png", "y/a.png")
    report = check_data(tmp_path, holdout=0)
    assert [p.message[:14] for p in report.errors[:2]] == ["does not exist"] * 2


def test_images_that_no_json_lists_are_named(tmp_path) -> None:
    images(tmp_path / "images", "a.png", "b.png", "c.PNG", "d.png", "e.png")
    write(tmp_path / "annotations/instances_train.json", "a.png", "b.png")
    write(tmp_path / "annotations/instances_val.json", "c.png")
    told = warned(tmp_path)
    assert list(told) == ["images/d.png"]
    assert "is listed by no json, and left out (so are 1 more)" in told["images/d.png"]


@pytest.mark.parametrize("listed", ["link.png", "real.png"])
def test_links_to_images_that_a_json_lists_are_none_of_those(tmp_path, listed) -> None:
    images(tmp_path / "images", "a.png", "real.png")
    (tmp_path / "images" / "link.png").symlink_to("real.png")
    write(tmp_path / "annotations/instances_train.json", "a.png")
    write(tmp_path / "annotations/instances_val.json", listed)
    assert warned(tmp_path) == {}
