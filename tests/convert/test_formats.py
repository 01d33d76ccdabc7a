"""Files of each tool, written by hand as its documentation has them, and faults in them."""

import base64
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from spatialembed.convert.run import convert
from spatialembed.data import check_data, open_data

SQUARE = [[5, 5], [15, 5], [15, 15], [5, 15]]
"""100 pixels."""
OTHER = [[30, 5], [35, 5], [35, 10], [30, 10]]
"""25 pixels."""


def put_image(path: Path, size: tuple[int, int] = (40, 60)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, len(path.name), np.uint8)).save(path)


def put(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def truth(out: Path, split: str = "train"):
    """Label mask, and areas by class, of the one image of a split."""
    data = open_data(out, split, holdout=0)
    assert len(data) == 1
    assert not [each for each in check_data(out).errors if "no object" not in each.message]
    mask, classes, ignore = data.truth(0)
    ids, areas = np.unique(mask[mask > 0], return_counts=True)
    kinds = [data.class_names[classes[mask == one][0]] for one in ids]
    return sorted(zip(kinds, areas.tolist(), strict=True)), ignore


def labelme(root: Path, *shapes: dict, **rest: object) -> None:
    content = {"version": "5.4.1", "flags": {}, "imagePath": "a.png", "imageData": None}
    rows = [{"label": "cell", "group_id": None, "shape_type": "polygon", **each} for each in shapes]
    put(root / "a.json", {**content, "shapes": rows, "imageHeight": 40, "imageWidth": 60, **rest})


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_labelme(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    ring = np.ones((6, 6), bool)
    ring[2:4, 2:4] = False
    labelme(
        tmp_path / "in",
        {"points": SQUARE, "group_id": 3},
        {"points": OTHER, "group_id": 3},
        {"points": [[50, 20], [55, 25]], "shape_type": "mask", "mask": png(ring), "label": "ring"},
        {"points": [[20, 30], [24, 30]], "shape_type": "circle", "label": "disc"},
        {"points": [[40, 30], [45, 35]], "shape_type": "rectangle"},
        {"points": [[1, 1], [2, 2]], "shape_type": "line"},
    )
    done = convert(tmp_path / "in", tmp_path / "out")
    objects, ignore = truth(tmp_path / "out")
    assert objects[0] == ("cell", 125)
    assert objects[1][0] == "disc"
    assert objects[1][1] == pytest.approx(np.pi * 16, rel=0.1)
    assert objects[2] == ("ring", 32)
    assert ignore.sum() == ignore[30:35, 40:45].sum() == 25
    assert "several classes" in done.written
    assert sorted(line.partition(",")[0] for line in done.lost) == ["1 boxes", "1 points"]


def test_an_image_within_the_json(tmp_path) -> None:
    mask = np.arange(2400, dtype=np.uint8).reshape(40, 60)
    labelme(tmp_path / "in", {"points": SQUARE}, imageData=png(mask))
    convert(tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(open_data(tmp_path / "out", holdout=0)[0].image[..., 0], mask)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out"]


def test_a_pair_that_was_renamed_stays_one(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    put_image(tmp_path / "in" / "other" / "old.png")
    labelme(tmp_path / "in", {"points": SQUARE}, imagePath="old.png")
    convert(tmp_path / "in", tmp_path / "out")
    assert open_data(tmp_path / "out", holdout=0).names == ["a"]
    image = open_data(tmp_path / "out", holdout=0)[0].image
    assert (image == len("a.png")).all()
    labelme(tmp_path / "in", {"points": SQUARE}, imagePath="other\\old.png")
    convert(tmp_path / "in", tmp_path / "again")
    assert (open_data(tmp_path / "again", holdout=0)[0].image == len("old.png")).all()


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>1</id></task></meta>
<image id="0" name="a.png" subset="Validation" width="60" height="40">
  <polygon label="cell" source="manual" occluded="0" z_order="0"
    points="5.00,5.00;15.00,5.00;15.00,15.00;5.00,15.00"/>
  <mask label="ring" rle="0, 14, 2, 4, 2, 14" left="50" top="20" width="6" height="6" z_order="1"/>
  <ellipse label="disc" cx="20" cy="30" rx="6" ry="3" rotation="90" z_order="0"/>
  <box label="cell" xtl="40" ytl="30" xbr="45" ybr="35" z_order="0"/>
  <polyline label="cell" points="1,1;2,2"/><tag label="good"/>
</image></annotations>"""


def test_cvat(tmp_path) -> None:
    put_image(tmp_path / "in" / "images" / "a.png")
    put(tmp_path / "in" / "annotations.xml", CVAT)
    done = convert(tmp_path / "in", tmp_path / "out")
    objects, ignore = truth(tmp_path / "out", "val")
    assert [objects[0], objects[2]] == [("cell", 100), ("ring", 32)]
    assert objects[1][1] == pytest.approx(np.pi * 18, rel=0.1)
    rows = open_data(tmp_path / "out", "val").truth(0).class_map[:, 20] == 1
    assert rows.sum() > 10  # upright, once it is turned
    assert ignore.sum() == 25
    assert len(done.lost) == 2


def studio(*results: dict, **rest: object) -> list[dict]:
    size = {"original_width": 60, "original_height": 40, "image_rotation": 0}
    rows = [{"id": str(k), "to_name": "image", **size, **each} for k, each in enumerate(results)]
    data = {"image": "/data/upload/1/0a1b2c3d-a.png"}
    return [{"id": 7, "data": data, "annotations": [{"id": 1, "result": rows}], **rest}]


def in_percent(points: list[list[int]]) -> list[list[float]]:
    return [[x / 60 * 100, y / 40 * 100] for x, y in points]


def test_label_studio(tmp_path) -> None:
    put_image(tmp_path / "in" / "test" / "a.png")
    polygon = {"points": in_percent(SQUARE), "polygonlabels": ["cell"]}
    apart = {"points": in_percent(OTHER)}
    round_ = {"x": 50, "y": 75, "radiusX": 10, "radiusY": 15, "rotation": 0}
    tasks = studio(
        {"type": "polygonlabels", "value": polygon},
        {"type": "polygon", "value": apart, "id": "p"},
        {"type": "labels", "value": {**apart, "labels": ["nucleus"]}, "id": "p"},
        {"type": "ellipselabels", "value": {**round_, "ellipselabels": ["disc"]}},
        {"type": "keypointlabels", "value": {"x": 1, "y": 1, "keypointlabels": ["cell"]}},
    )
    tasks[0]["annotations"].insert(0, {"was_cancelled": True, "result": []})
    put(tmp_path / "in" / "project-1-at-2026.json", tasks)
    done = convert(tmp_path / "in", tmp_path / "out")
    objects, _ = truth(tmp_path / "out", "test")
    assert [objects[0], objects[2]] == [("cell", 100), ("nucleus", 25)]
    assert objects[1][1] == pytest.approx(np.pi * 36, rel=0.1)
    assert len(done.lost) == 1


def test_tasks_that_nobody_labelled_are_left_out(tmp_path) -> None:
    for name in "abc":
        put_image(tmp_path / "in" / f"{name}.png")
    tasks = studio({"type": "polygonlabels", "value": {"points": in_percent(SQUARE)}})
    skipped = [{"was_cancelled": True, "result": []}]
    tasks.append({"id": 8, "data": {"image": "b.png"}, "annotations": []})
    tasks.append({"id": 9, "data": {"image": "c.png"}, "annotations": skipped})
    put(tmp_path / "in" / "x.json", tasks)
    done = convert(tmp_path / "in", tmp_path / "out")
    assert truth(tmp_path / "out")[0] == [("object", 100)]
    assert done.lost[0].startswith("2 tasks nobody labelled")
    assert "task 8" in done.lost[0]
    tasks[1]["annotations"] = [{"result": []}]  # looked at, and nothing is there
    put(tmp_path / "in" / "x.json", tasks)
    convert(tmp_path / "in", tmp_path / "two")
    assert open_data(tmp_path / "two", holdout=0).names == ["a", "b"]


def test_addresses_of_label_studio_are_quoted(tmp_path) -> None:
    name = "50% #1+2 & 3.png"
    put_image(tmp_path / "in" / name)
    labelme(tmp_path / "in", {"points": SQUARE}, imagePath=name)
    convert(tmp_path / "in", tmp_path / "tool", "label_studio")
    convert(tmp_path / "tool", tmp_path / "out")
    assert truth(tmp_path / "out")[0] == [("object", 100)]


def texts(root: Path, *lines: str, data: str = "names: [cell, nucleus]\ntrain: ../train/images\n"):
    put_image(root / "train" / "images" / "a.png")
    put(root / "train" / "labels" / "a.txt", "\n".join(lines))
    put(root / "data.yaml", data)


def line(points: list[list[float]], kind: int = 0) -> str:
    return f"{kind} " + " ".join(f"{x / 60:.6f} {y / 40:.6f}" for x, y in points)


def test_ultralytics(tmp_path) -> None:
    texts(tmp_path / "in", line(SQUARE), line(OTHER, 1), "0 0.75 0.75 0.1 0.1")
    done = convert(tmp_path / "in", tmp_path / "out")
    objects, ignore = truth(tmp_path / "out")
    assert objects == [("cell", 100), ("nucleus", 25)]
    assert ignore.sum() == 24
    assert [line.partition(" ")[0] for line in done.lost] == ["2", "1"]
    assert "half a pixel" in done.lost[0]


def test_boxes_are_turned(tmp_path) -> None:
    put_image(tmp_path / "cvat" / "a.png")
    box = '<box label="cell" xtl="20" ytl="10" xbr="40" ybr="20" rotation="90.0" z_order="0"/>'
    put(tmp_path / "cvat" / "annotations.xml", CVAT.replace('<tag label="good"/>', box))
    convert(tmp_path / "cvat", tmp_path / "a")
    ignore = truth(tmp_path / "a", "val")[1]
    assert ignore[5:25, 25:35].all()  # around its middle
    assert ignore.sum() == 200 + 25
    put_image(tmp_path / "studio" / "a.png")
    value = {"x": 50, "y": 25, "width": 20 / 60 * 100, "height": 25, "rotation": 90}
    row = {"type": "rectanglelabels", "value": {**value, "rectanglelabels": ["cell"]}}
    polygon = {"type": "polygonlabels", "value": {"points": in_percent(SQUARE)}}
    put(tmp_path / "studio" / "x.json", studio(row, polygon))
    convert(tmp_path / "studio", tmp_path / "b")
    ignore = truth(tmp_path / "b")[1]
    assert ignore[10:30, 20:30].all()  # around its upper left corner
    assert ignore.sum() == 200


def test_an_image_without_a_text_has_no_object(tmp_path) -> None:
    texts(tmp_path / "in", line(SQUARE), data="names: {0: cell}\ntrain: train/images\nval: val\n")
    put_image(tmp_path / "in" / "val" / "empty.png")
    convert(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "val" / "masks" / "empty.tif").is_file()
    assert not open_data(tmp_path / "out", "val").truth(0).label_mask.any()


@pytest.mark.parametrize("of_version_1", [True, False])
def test_via(tmp_path, of_version_1) -> None:
    put_image(tmp_path / "in" / "a.png")
    xs, ys = zip(*SQUARE, strict=True)
    shapes = [
        {"name": "polygon", "all_points_x": xs, "all_points_y": ys},
        {"name": "circle", "cx": 40, "cy": 20, "r": 5},
        {"name": "rect", "x": 1, "y": 30, "width": 4, "height": 4},
        {"name": "point", "cx": 1, "cy": 1},
    ]
    facts = [{"Type": "cell", "note": "x"}, {"Type": {"disc": True}}, {"Type": "cell"}, {}]
    pairs = zip(shapes, facts, strict=True)
    regions = [{"shape_attributes": s, "region_attributes": f} for s, f in pairs]
    numbered = {str(k): region for k, region in enumerate(regions)}
    entry = {"filename": "a.png", "size": 1, "regions": numbered if of_version_1 else regions}
    content = {"a.png1": entry}
    put(tmp_path / "in" / "via.json", content if of_version_1 else {"_via_img_metadata": content})
    done = convert(tmp_path / "in", tmp_path / "out")
    objects, ignore = truth(tmp_path / "out")
    assert objects[0] == ("cell", 100)
    assert objects[1][1] == pytest.approx(np.pi * 25, rel=0.1)
    assert ignore.sum() == 16
    assert len(done.lost) == 2


def test_cellpose_masks_of_images_that_were_not_opened(tmp_path) -> None:
    masks = np.zeros((40, 60), np.uint8)
    masks[5:15, 5:15] = 1
    for name in "ab":
        put_image(tmp_path / "in" / f"{name}.png")
        tifffile.imwrite(tmp_path / "in" / f"{name}_cp_masks.tif", masks)
    seg = tmp_path / "in" / "a_seg.npy"
    np.save(seg, {"masks": np.roll(masks, 1) * (masks > 0)})
    done = convert(tmp_path / "in", tmp_path / "out")
    data = open_data(tmp_path / "out", holdout=0)
    assert [(data.truth(i).label_mask > 0).sum() for i in range(2)] == [90, 100]
    assert done.lost[0].startswith("1 masks beside a x_seg.npy")
    os.utime(seg, (2e9, 2e9))
    (told,) = [each for each in check_data(tmp_path / "in").warnings if "_seg" in str(each)]
    assert "was saved after the masks beside it, which are read; `spatial" in told.message
    os.utime(seg, (1e9, 1e9))  # as where Cellpose's command writes both
    assert not [each for each in check_data(tmp_path / "in").warnings if "_seg" in str(each)]
