"""Names are compared as people mean them, and what is not read is named."""

import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spatialembed.cli.main import main
from spatialembed.data import check_data, open_data
from spatialembed.data.layouts.splits import by_split, split_of
from spatialembed.data.layouts.unread_files import in_words, walk
from spatialembed.files.names import composed, file_in_json, is_hidden, stem


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("x.tif", "x"),
        ("x.ome.tif", "x"),
        ("x.OME.TIFF", "x"),
        ("x.ome.zarr", "x"),
        ("x.1.png", "x.1"),
        ("some.png", "some"),
        ("home.tif", "home"),
        (unicodedata.normalize("NFD", "grün.TIF"), "grün"),
    ],
)
def test_stems(name, plain) -> None:
    assert stem(name) == plain


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0\\"), min_size=1))
def test_letters_composed_and_not_are_one_name(text) -> None:
    forms = {composed(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    assert file_in_json(f"a\\{text}.png") == file_in_json(f"a/{text}.png")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("images\\a b.png", "images/a b.png"),
        ("./a.png", "a.png"),
        ("../../data/upload/1/a.png", "data/upload/1/a.png"),
        ("/data/a.png", "data/a.png"),
        ("..", ".."),
    ],
)
def test_files_as_a_json_has_them(name, plain) -> None:
    assert file_in_json(name) == plain


def test_what_is_hidden() -> None:
    hidden = [".git", ".ipynb_checkpoints", "._x.tif", "__MACOSX", "@eaDir", "Thumbs.db"]
    assert all(map(is_hidden, hidden))
    assert not any(map(is_hidden, ["x.tif", "..", ".", "MACOSX", "_x.tif"]))


def test_what_splits_are_called() -> None:
    assert [split_of(name) for name in ("Train", "training", "VALID", "dev", "testing", "x")] == [
        *("train", "train", "val", "val", "test", None)
    ]
    assert by_split(["valid", "val", "training", "other"]) == (
        {"train": "training", "val": "val"},
        ["valid"],
    )


def write_pair(image: Path, mask: Path, value: int = 1) -> None:
    labels = np.zeros((8, 10), np.uint8)
    labels[2:4, 3:6] = value
    for path, array in ((image, labels * 50), (mask, labels)):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".tif", ".tiff"):
            tifffile.imwrite(path, array)
        else:
            Image.fromarray(array).save(path)


def folder(root: Path, split: str = "train", names: str = "ab") -> Path:
    for number, name in enumerate(names, start=1):
        path = root / split
        write_pair(path / "images" / f"{name}.tif", path / "masks" / f"{name}.tif", number)
    return root


def warned(root: Path) -> dict[str, str]:
    report = check_data(root)
    assert not report.errors, report.errors
    return {os.path.relpath(p.file, root): p.message for p in report.warnings}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("x.ome.tif", "x.tif"),
        ("x.tif", "x.ome.tif"),
        ("x.ome.tif", "x.ome_masks.tif"),
        ("x.ome.tif", "x.ome_cp_masks.png"),
        ("x.ome.tiff", "x.png"),
        ("x.PNG", "x.Tif"),
        (unicodedata.normalize("NFD", "zélle.tif"), "zélle.tif"),
        ("zélle.tif", unicodedata.normalize("NFD", "zélle.tif")),
    ],
)
def test_images_and_masks_of_one_name(tmp_path, image, mask) -> None:
    write_pair(tmp_path / "train" / "images" / image, tmp_path / "train" / "masks" / mask, 7)
    data = open_data(tmp_path, holdout=0)
    assert data.names == [stem(image)]
    assert data[0].label_mask.max() == 7


def test_two_forms_of_one_name_in_a_folder_are_refused(tmp_path) -> None:
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "zélle") + ".tif"
        write_pair(tmp_path / "images" / name, tmp_path / "masks" / name)
    assert "has the stem of" in check_data(tmp_path).errors[0].message


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", "__MACOSX", "@eaDir"])
def test_hidden_folders_and_files_are_no_data(tmp_path, hidden) -> None:
    root = folder(tmp_path)
    write_pair(root / hidden / "images" / "x.tif", root / hidden / "masks" / "x.tif")
    for part in ("images", "masks"):
        (root / "train" / part / hidden).mkdir()
        (root / "train" / part / hidden / "a-checkpoint.tif").touch()
        (root / "train" / part / "._a.tif").touch()
        (root / "train" / part / "Thumbs.db").touch()
    assert open_data(root, holdout=0).names == ["a", "b"]
    assert warned(root) == {}


@pytest.mark.parametrize("name", ["validation", "valid", "dev", "Val"])
def test_a_validation_folder_is_val_and_said(tmp_path, name) -> None:
    root = folder(folder(tmp_path), name, "xy")
    assert open_data(root).names == ["a", "b"]
    assert open_data(root, "val").names == ["x", "y"]
    assert warned(root)[name] == "is taken as val"


def test_of_two_validation_folders_one_is_named_as_left_out(tmp_path) -> None:
    root = folder(folder(folder(tmp_path), "val", "xy"), "valid", "uvw")
    assert open_data(root, "val").names == ["x", "y"]
    assert "is a folder of 6 files that are left out" in warned(root)["valid"]


def test_a_folder_of_something_else_is_no_split(tmp_path) -> None:
    root = folder(tmp_path)
    (root / "dev").mkdir()
    (root / "dev" / "notes.txt").touch()
    assert warned(root) == {}
    assert len(open_data(root, "val")) == 1


def test_what_lies_beside_is_named(tmp_path) -> None:
    root = folder(folder(tmp_path), "more", "xyz")
    write_pair(root / "train/images/plate1/p.tif", root / "train/masks/plate1/p.tif")
    write_pair(root / "train/extra/q.tif", root / "train/extra/q_masks.tif")
    for name in ("n.npy", "m.npy", "c.ims", "notes.txt", "README"):
        (root / "train/images" / name).touch()
    Image.new("L", (10, 8)).save(root / "left.png")
    found = warned(root)
    assert found["more"].startswith("is a folder of 6 files that are left out; name it train, val")
    assert found["train/images/plate1"].startswith("is a folder of 1 file that are left out; move")
    assert found["train/masks/plate1"]
    assert found["train/extra"].startswith("is a folder of 2 files")
    assert found["train/images"] == (
        "3 files of other formats are left out (1 .ims, 2 .npy); save as TIFF or PNG what is to "
        "be read"
    )
    assert found["."] == "holds 1 images beside its splits, which are left out"


def test_what_lies_beside_cellposes_pairs_is_named(tmp_path) -> None:
    write_pair(tmp_path / "a.tif", tmp_path / "a_masks.tif")
    write_pair(tmp_path / "b.tif", tmp_path / "b_masks.tif")
    write_pair(tmp_path / "day2/c.tif", tmp_path / "day2/c_masks.tif")
    (tmp_path / "a_seg.npy").touch()
    (tmp_path / "d.oib").touch()
    found = warned(tmp_path)
    assert found["day2"].startswith("is a folder of 2 files")
    assert found["."].startswith("1 file of another format is left out (1 .oib)")


def test_masks_that_cellpose_wrote_are_masks_where_there_are_no_others(tmp_path) -> None:
    write_pair(tmp_path / "a.tif", tmp_path / "a_cp_masks.png", 3)
    write_pair(tmp_path / "b.tif", tmp_path / "b_cp_masks.png", 3)
    write_pair(tmp_path / "b.tif", tmp_path / "b_masks.png", 5)
    data = open_data(tmp_path, holdout=0)
    assert data.names == ["a", "b"]
    assert [data[i].label_mask.max() for i in range(2)] == [3, 5]


def test_a_walk_leaves_hidden_and_skipped_folders_out(tmp_path) -> None:
    for name in ("a.tif", "s/b.PNG", ".git/c.png", "out/d.tif", "s/e.ims", "s/f.txt", "s/._g.tif"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "big.zarr").mkdir()
    (tmp_path / "big.zarr" / "0.png").touch()
    images, others = walk(tmp_path, (tmp_path / "out").resolve())
    assert [str(path.relative_to(tmp_path)) for path in images] == ["a.tif", "s/b.PNG"]
    assert others == {".ims": 1, ".zarr": 1}
    assert in_words(others).startswith("2 files of other formats are left out (1 .ims, 1 .zarr)")
    assert in_words({}) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_names_that_are_no_utf_8_are_held_out_and_printed(tmp_path, capfd) -> None:
    for part in ("images", "masks"):
        (tmp_path / "train" / part).mkdir(parents=True)
        for name in (b"a.png", b"zell\xe4.png"):
            file = tmp_path / "train" / part / os.fsdecode(name)
            Image.fromarray(np.full((9, 9), 3, np.uint8)).save(file)
    assert len(open_data(tmp_path, "val")) == 1
    assert main(["check", str(tmp_path)]) == 0
