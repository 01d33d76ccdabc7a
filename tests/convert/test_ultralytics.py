"""Ultralytics' folders: which text is of which image, and what data.yaml says."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from spatialembed.convert.run import Converted, convert
from spatialembed.data import open_data
from spatialembed.errors import UserError

TRIANGLE = "0 0.11 0.11 0.5 0.1 0.5 0.5\n"
BOXED = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"


def put(root: Path, images: str, texts: str, data: str, text: str = TRIANGLE) -> Path:
    """Images and texts a and b in the folders that are given."""
    for name in "ab":
        for folder in (images, texts):
            (root / folder).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / images / f"{name}.tif", np.zeros((40, 60), np.uint8))
        (root / texts / f"{name}.txt").write_text(text)
    (root / "data.yaml").write_text(data)
    return root


def objects(done: Converted) -> str:
    return done.written.partition("objects: ")[2]


def test_the_text_of_an_ome_tiff_comes_back(tmp_path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / "in" / "train" / folder).mkdir(parents=True)
    mask = np.zeros((40, 60), np.uint8)
    mask[5:15, 5:15] = 1
    tifffile.imwrite(tmp_path / "in" / "train" / "images" / "x.ome.tif", mask)
    tifffile.imwrite(tmp_path / "in" / "train" / "masks" / "x.tif", mask)
    convert(tmp_path / "in", tmp_path / "texts", "ultralytics")
    assert (tmp_path / "texts" / "labels" / "train" / "x.ome.txt").is_file()
    convert(tmp_path / "texts", tmp_path / "back")
    found = open_data(tmp_path / "back", "train", holdout=0).truth(0).label_mask
    assert (found > 0).sum() == 100


@pytest.mark.parametrize(
    ("images", "texts"),
    [("images/train", "labels/foo"), ("Images/train", "labels/train"), ("a", "b/labels")],
)
def test_texts_in_another_place_are_named(tmp_path, images, texts) -> None:
    root = put(tmp_path / "in", images, texts, "names: [cell]\n")
    with pytest.raises(UserError, match=rf"{texts}.a\.txt has labels of no image \(2 such texts"):
        convert(root, tmp_path / "out")


@pytest.mark.parametrize("data", ["names: [cell]\n", "train: .\nnames: [cell]\n"])
def test_images_beside_labels_have_the_texts_in_it(tmp_path, data) -> None:
    root = put(tmp_path / "in", ".", "labels", data)
    done = convert(root, tmp_path / "out")
    assert "images: 2 train; objects: 2 cell" in done.written
    assert not done.lost
    (root / "a.txt").write_text(TRIANGLE)
    with pytest.raises(UserError, match=r"labels.a\.txt has labels of no image \(1 such texts"):
        convert(root, tmp_path / "twice")


def test_a_text_without_its_image_is_named(tmp_path) -> None:
    root = put(tmp_path / "in", "images/train", "labels/train", "names: [cell]\n")
    (root / "labels" / "train" / "notes.txt").write_text("drawn by hand\n")
    (root / "labels" / "train" / "b.txt").rename(root / "labels" / "train" / "b_mask.txt")
    with pytest.raises(UserError, match=r"b_mask\.txt has labels of no image \(1 such texts"):
        convert(root, tmp_path / "out")


def test_folders_above_the_one_that_is_read_are_not_looked_at(tmp_path) -> None:
    root = put(tmp_path / "images" / "in", "pics", "pics", "names: [cell]\n")
    (root / "obj.names").write_text("cell\n")  # darknet's texts lie beside the images
    assert objects(convert(root, tmp_path / "out")) == "2 cell"


def test_images_that_data_yaml_does_not_name_are_counted(tmp_path) -> None:
    put(tmp_path / "in", "x/images", "x/labels", "")
    root = put(tmp_path / "in", "y/images", "y/labels", "names: [cell]\ntrain: y/images\n")
    done = convert(root, tmp_path / "out")
    assert objects(done) == "2 cell"
    assert "2 images with labels that data.yaml does not name" in " ".join(done.lost)


def test_poses_are_refused(tmp_path) -> None:
    data = "names: [cell]\ntrain: images\nkpt_shape: [2, 2]\n"
    with pytest.raises(UserError, match=r"data\.yaml has kpt_shape"):
        convert(put(tmp_path / "in", "images", "labels", data), tmp_path / "out")


def test_what_may_be_rotated_boxes_is_said(tmp_path) -> None:
    root = put(tmp_path / "in", "images", "labels", "names: [cell]\n", BOXED)
    assert "2 outlines, all of four corners" in " ".join(convert(root, tmp_path / "out").lost)
    (root / "labels" / "a.txt").write_text(BOXED + TRIANGLE)
    assert "four corners" not in " ".join(convert(root, tmp_path / "other").lost)


@pytest.mark.parametrize(("split", "needed"), [("train", 1), ("val", 1), ("test", 2)])
def test_splits_that_only_ultralytics_wants_are_said_and_not_read(tmp_path, split, needed) -> None:
    data = f"names: [cell]\n{split}: images\n"
    done = convert(put(tmp_path / "in", "images", "labels", data), tmp_path / "x", "ultralytics")
    assert len(done.lost) == 1
    assert f"{needed} splits that are not there" in done.lost[0]
    back = convert(tmp_path / "x", tmp_path / "back")
    assert f"images: 2 {split};" in back.written
    assert "split" not in " ".join(back.lost)


@pytest.mark.parametrize("start", ["", "./", "data/"])  # data/ is what CVAT writes
def test_lists_of_images_are_read(tmp_path, start) -> None:
    data = "names: [cell]\npath: .\ntrain: train.txt\nval: val.txt\n"
    root = put(tmp_path / "in", "images/all", "labels/all", data)
    (root / "train.txt").write_text(f"{start}images/all/a.tif\n")
    (root / "val.txt").write_text(f"{start}images/all/b.tif\n")
    assert "images: 1 train, 1 val; objects: 2 cell" in convert(root, tmp_path / "out").written
    (root / "val.txt").unlink()
    with pytest.raises(UserError, match=r"names the images val\.txt.* or remove that line"):
        convert(root, tmp_path / "other")


def test_folders_beside_that_of_data_yaml(tmp_path, monkeypatch) -> None:
    put(tmp_path / "in", "images", "labels", "")
    (tmp_path / "in" / "data.yaml").unlink()
    (tmp_path / "in" / "about").mkdir()
    (tmp_path / "in" / "about" / "data.yaml").write_text("names: [cell]\nval: ../images\n")
    monkeypatch.chdir(tmp_path)
    assert "images: 2 val" in convert("in", "out").written


def test_one_name_that_is_no_list_is_the_class(tmp_path) -> None:
    root = put(tmp_path / "in", "images", "labels", "names: cell\n")
    assert objects(convert(root, tmp_path / "out")) == "2 cell"


@pytest.mark.parametrize("code", ["utf-8-sig", "utf-16"])
def test_texts_of_windows_editors_are_read_or_refused(tmp_path, code) -> None:
    put(tmp_path / "in", "images", "labels", "train: images.txt\nnames: [Zelle]\n")
    (tmp_path / "in" / "images.txt").write_text("images/a.tif\nimages/b.tif\n", "utf-8-sig")
    for file in (*(tmp_path / "in" / "labels").iterdir(), tmp_path / "in" / "data.yaml"):
        if file.suffix == ".yaml" or file.stem == "b":
            file.write_text(file.read_text(), code if file.stem == "b" else "utf-8-sig")
    if code == "utf-16":
        with pytest.raises(UserError, match=r"b\.txt is a text in UTF-16; save it in UTF-8"):
            convert(tmp_path / "in", tmp_path / "out")
    else:
        assert objects(convert(tmp_path / "in", tmp_path / "out")) == "2 Zelle"
