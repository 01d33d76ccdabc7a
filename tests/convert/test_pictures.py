"""What becomes of pictures, whichever tool they are of."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_formats import CVAT, OTHER, SQUARE, labelme, put, put_image, truth

from spatialembed.convert.run import convert
from spatialembed.data import open_data
from spatialembed.errors import UserError
from spatialembed.files.sources import source_of
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.formats.results_folder import Results
from spatialembed.instances import Instances


def test_objects_that_overlap_are_kept_whole(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    over = [[10, 5], [20, 5], [20, 15], [10, 15]]
    labelme(tmp_path / "in", {"points": SQUARE}, {"points": over})
    done = convert(tmp_path / "in", tmp_path / "out")
    assert "objects that overlap" in done.written
    rows = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text())
    assert [row["area"] for row in rows["annotations"]] == [100, 100]
    assert min(row["id"] for row in rows["annotations"]) == 1


def test_images_of_one_name_stay_apart(tmp_path) -> None:
    for place in ("one", "two"):
        put_image(tmp_path / "in" / place / "a.png")
        labelme(tmp_path / "in" / place, {"points": SQUARE if place == "one" else OTHER})
    convert(tmp_path / "in", tmp_path / "out")
    data = open_data(tmp_path / "out", holdout=0)
    assert data.names == ["one_a", "two_a"]
    assert [(data.truth(i).label_mask > 0).sum() for i in range(2)] == [100, 25]


def test_what_predict_found_is_corrected_in_a_tool(tmp_path) -> None:
    put_image(tmp_path / "in" / "sub" / "a.png")
    put_image(tmp_path / "in" / "b.png")
    found = np.zeros((40, 60), np.uint8)
    found[5:15, 5:15] = 1
    (tmp_path / "found" / "sub").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "found" / "sub" / "a.tif", found)
    done = convert(tmp_path / "in", tmp_path / "tool", "labelme", tmp_path / "found")
    assert any("1 label TIFFs that do not say of which image they are" in n for n in done.lost)
    assert "1 images without results" in done.lost[0]
    convert(tmp_path / "tool", tmp_path / "out")
    assert truth(tmp_path / "out")[0] == [("object", 100)]
    with pytest.raises(UserError, match=r"in has no x\.tif for an image"):
        convert(tmp_path / "in", tmp_path / "o", "labelme", tmp_path / "in")
    save_label_tiff(tmp_path / "found" / "b.tif", np.ones((3, 40, 60), np.uint8))
    with pytest.raises(UserError, match=r"b\.tif holds what was found in a volume, .* in napari"):
        convert(tmp_path / "in", tmp_path / "o", "labelme", tmp_path / "found")
    assert not (tmp_path / "o").exists()


def test_results_of_several_targets_are_told_apart_first(tmp_path) -> None:
    put_image(tmp_path / "in" / "sub" / "a.png")
    found, labels = tmp_path / "found", np.ones((40, 60), np.uint8)
    for target in ("cells", "nuclei"):
        save_label_tiff(found / "sub" / f"a_{target}.tif", labels)
    told = r"found holds results of several targets, as a_cells\.tif.*, a_cells\.tif as a\.tif"
    with pytest.raises(UserError, match=told):
        convert(tmp_path / "in", tmp_path / "tool", "labelme", found)
    (found / "sub" / "a_cells.tif").rename(found / "sub" / "a.tif")
    convert(tmp_path / "in", tmp_path / "tool", "labelme", found)


def test_what_was_found_keeps_its_classes(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    found = np.zeros((40, 60), np.int32)
    found[5:15, 5:15], found[20:25, 20:25] = 2, 1
    of = Instances.from_label_map(found, classes=np.array([1, 0]), class_names=("disc", "square"))
    results = Results(tmp_path / "found", pictures=False)
    results.write("a", np.zeros((40, 60, 1), np.uint8), of, source=tmp_path / "in" / "a.png")
    convert(tmp_path / "in", tmp_path / "tool", "labelme", tmp_path / "found")
    convert(tmp_path / "tool", tmp_path / "out")
    assert sorted(truth(tmp_path / "out")[0]) == [("disc", 100), ("square", 25)]
    labels = tmp_path / "found" / "a.tif"
    told = source_of(tmp_path / "in" / "a.png", labels, of.class_names, of.classes.tolist())
    save_label_tiff(labels, 2 * found, source=told)  # as of a program that keeps what a file says
    with pytest.raises(UserError, match="says the classes of 2 labels, and holds others"):
        convert(tmp_path / "in", tmp_path / "o", "labelme", tmp_path / "found")


def test_what_was_found_in_another_image_is_refused(tmp_path) -> None:
    for name, shade in {"day1": 9, "day2": 90}.items():
        put_image(tmp_path / name / "a.png")
        Image.new("L", (60, 40), shade).save(tmp_path / name / "a.png")
    labels = tmp_path / "found" / "a.tif"
    told = source_of(tmp_path / "day1" / "a.png", labels)
    save_label_tiff(labels, np.ones((40, 60), np.uint8), source=told)
    assert not convert(tmp_path / "day1", tmp_path / "one", "labelme", tmp_path / "found").lost
    with pytest.raises(UserError, match=r"another image, \.\./day1/a\.png, not of .*; give the im"):
        convert(tmp_path / "day2", tmp_path / "two", "labelme", tmp_path / "found")
    assert not (tmp_path / "two").exists()


def test_what_is_left_out_is_counted(tmp_path) -> None:
    for name in "abc":
        put_image(tmp_path / "in" / f"{name}.png")
    labelme(tmp_path / "in", {"points": SQUARE})
    put(tmp_path / "in" / "annotations.xml", CVAT)
    images, tools = convert(tmp_path / "in", tmp_path / "out").lost
    assert images.startswith("2 image files without annotations: left out (first: ")
    assert images.endswith("b.png)")
    assert tools.startswith("1 tools' annotations")
    assert tools.endswith("(first: CVAT)")


def test_folders_of_one_image_that_lack_masks_are_counted(tmp_path) -> None:
    for place in ("a/images/a", "a/masks/1", "b/images/b", "c/images/c", "c/images/d", "c/masks/1"):
        put_image(tmp_path / "in" / f"{place}.png")
    (line,) = convert(tmp_path / "in", tmp_path / "out").lost
    assert line.startswith("3 image files without annotations")
    assert line.endswith("b.png)")


def test_livecell_images_are_found_in_folders_of_other_names(tmp_path) -> None:
    put_image(tmp_path / "in" / "images" / "livecell_train_val_images" / "A172" / "a.png")
    flat = [value for point in SQUARE for value in point]
    content = {
        "images": [{"id": 4, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [
            {"id": 0, "image_id": 4, "category_id": 1, "segmentation": [flat], "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "cell"}],
    }
    put(tmp_path / "in" / "livecell_coco_val.json", content)
    convert(tmp_path / "in", tmp_path / "out")
    assert truth(tmp_path / "out", "val")[0] == [("object", 100)]


def test_crowds_of_datumaro_become_objects(tmp_path) -> None:
    put_image(tmp_path / "in" / "images" / "a.png")
    counts = [45 * 40 + 5, 10, 30, 10, 2400 - 45 * 40 - 55]
    row = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 1}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [{**row, "segmentation": {"size": [40, 60], "counts": counts}}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    put(tmp_path / "in" / "annotations" / "instances_default.json", content)
    done = convert(tmp_path / "in", tmp_path / "ignored")
    assert "--crowds objects" in done.lost[0]
    assert truth(tmp_path / "ignored")[1].sum() == 20
    assert convert(tmp_path / "in", tmp_path / "out", crowds="objects").lost == []
    assert truth(tmp_path / "out")[0] == [("object", 20)]
