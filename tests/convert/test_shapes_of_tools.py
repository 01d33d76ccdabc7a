"""Shapes that tools have besides polygons: none becomes background without a word."""

import numpy as np
import pytest
from test_formats import OTHER, SQUARE, in_percent, labelme, png, put, put_image, studio, truth

from spatialembed.convert.run import convert
from spatialembed.errors import UserError


@pytest.mark.parametrize("kind", ["rectangle", "rotation", "oriented_rectangle", "quadrilateral"])
def test_boxes_of_four_corners_are_ignored_regions(tmp_path, kind) -> None:
    put_image(tmp_path / "in" / "a.png")
    labelme(tmp_path / "in", {"points": SQUARE}, {"points": OTHER, "shape_type": kind})
    done = convert(tmp_path / "in", tmp_path / "out")
    objects, ignore = truth(tmp_path / "out")
    assert objects == [("object", 100)]
    assert ignore.sum() == ignore[5:10, 30:35].sum() == 25
    assert done.lost[0].startswith("1 boxes")


@pytest.mark.parametrize("points", [[], [[1, 2]], [1, 2, 3, 4], [["a", 1], [2, 3]]])
def test_a_box_without_corners_is_refused(tmp_path, points) -> None:
    put_image(tmp_path / "in" / "a.png")
    labelme(tmp_path / "in", {"points": points, "shape_type": "rectangle"})
    with pytest.raises(UserError, match=r"a\.json: shape 1 \(cell\) is no box of"):
        convert(tmp_path / "in", tmp_path / "out")


def test_a_cuboid_of_cvat_is_refused(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    cuboid = '<image name="a.png" width="60" height="40"><cuboid label="cell" xtl1="1"/></image>'
    put(tmp_path / "in" / "annotations.xml", f"<annotations>{cuboid}</annotations>")
    with pytest.raises(UserError, match=r"shape 1 of a\.png \(cell\) is a cuboid, which is not"):
        convert(tmp_path / "in", tmp_path / "out")


def bitmask(size: tuple[int, int]) -> dict:
    drawn = np.zeros((*size, 4), np.uint8)  # black, and transparent where nothing is
    drawn[5:15, 5:15, 3] = 255
    address = f"data:image/png;base64,{png(drawn)}"
    value = {"imageDataURL": address, "bitmasklabels": ["cell"]}
    return {"type": "bitmasklabels", "value": value}


def test_bitmasks_of_label_studio(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    put(tmp_path / "in" / "x.json", studio(bitmask((40, 60))))
    done = convert(tmp_path / "in", tmp_path / "out")
    assert "label folders of the class cell" in done.written
    assert truth(tmp_path / "out")[0] == [("object", 100)]
    assert not done.lost


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (bitmask((30, 60)), r"\(it is 60x30, the image 60x40\)"),
        ({"type": "bitmask", "value": {"imageDataURL": "data:,no"}}, "Incorrect padding"),
        ({"type": "bitmask", "value": {"imageDataURL": None}}, "no attribute"),
    ],
)
def test_a_bitmask_that_is_none_is_refused(tmp_path, row, said) -> None:
    put_image(tmp_path / "in" / "a.png")
    put(tmp_path / "in" / "x.json", studio(row))
    with pytest.raises(UserError, match=rf"x\.json: result 1 .* is a bitmask .*{said}"):
        convert(tmp_path / "in", tmp_path / "out")


def vector(closed: bool, **corner: object) -> dict:
    corners = [{"x": x, "y": y, **corner} for x, y in in_percent(SQUARE)]
    value = {"vertices": corners, "closed": closed, "vectorlabels": ["cell"]}
    return {"type": "vectorlabels", "value": value}


def test_closed_vectors_of_label_studio_are_objects(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    put(tmp_path / "in" / "x.json", studio(vector(closed=True), vector(closed=False)))
    done = convert(tmp_path / "in", tmp_path / "out")
    assert truth(tmp_path / "out")[0] == [("object", 100)]
    assert [note.split(",")[0] for note in done.lost] == ["1 points"]
    put(tmp_path / "in" / "x.json", studio(vector(closed=True, isBezier=True)))
    with pytest.raises(UserError, match=r"result 1 .* has curves"):
        convert(tmp_path / "in", tmp_path / "two")


def via_3(*regions: tuple[list, dict], **rest: object) -> dict:
    options = {"0": "cell", "1": "disc"}
    rows = {
        f"1_{k}": {"vid": "1", "z": [], "xy": xy, "av": av} for k, (xy, av) in enumerate(regions)
    }
    return {
        "project": {"pid": "x", "vid_list": ["1"]},
        "attribute": {"1": {"aname": "class", "options": options}, "2": {"aname": "note"}},
        "file": {"7": {"fid": "7", "fname": "a.png"}},
        "view": {"1": {"fid_list": ["7"]}},
        "metadata": rows,
        **rest,
    }


def test_via_of_version_3(tmp_path) -> None:
    put_image(tmp_path / "in" / "a.png")
    square = [value for point in SQUARE for value in point]
    project = via_3(
        ([7, *square], {"1": "0", "2": "x"}),
        ([3, 40, 20, 5], {"1": "1"}),
        ([2, 1, 30, 4, 4], {"1": "0"}),
        ([8, 20, 30, 24, 32, 22, 34, 21, 31], {"1": "0"}),
        ([1, 1, 1], {}),
        ([], {}),
    )
    put(tmp_path / "in" / "via.json", project)
    done = convert(tmp_path / "in", tmp_path / "out")
    objects, ignore = truth(tmp_path / "out")
    assert objects[0] == ("cell", 100)
    assert objects[1] == ("disc", pytest.approx(np.pi * 25, rel=0.1))
    assert ignore.sum() == 16 + 16
    assert sorted(line.partition(",")[0] for line in done.lost) == ["1 points", "2 boxes"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"view": {"1": {"fid_list": ["7", "8"]}}}, "has views of several files"),
        ({"file": {}}, "is no whole project of VIA 3; in VIA, save"),
        ({"metadata": {"1": {"z": [1.5], "xy": []}}}, "has times, as of a video: export"),
        ({"metadata": {"1": {"vid": "1", "xy": [9, 1, 2], "av": {}}}}, "a shape of kind 9"),
        ({"metadata": {"1": {"vid": "1", "xy": [3, 1, 2], "av": {}}}}, "a circle of 2 numbers"),
    ],
)
def test_projects_of_version_3_that_are_not_read(tmp_path, change, said) -> None:
    put_image(tmp_path / "in" / "a.png")
    put(tmp_path / "in" / "via.json", via_3(**change))
    with pytest.raises(UserError, match=rf"via\.json .*{said}"):
        convert(tmp_path / "in", tmp_path / "out")


def test_images_that_nothing_annotates_are_told(tmp_path) -> None:
    for name in "ab":
        put_image(tmp_path / "in" / f"{name}.png")
    put(tmp_path / "in" / "annotations.xml", two_images())
    done = convert(tmp_path / "in", tmp_path / "out")
    assert done.lost[0].startswith("1 images with nothing annotated, which teach")
    assert "b.png" in done.lost[0]
    assert not convert(tmp_path / "in", tmp_path / "tool", "labelme").lost


def two_images() -> str:
    points = "5,5;15,5;15,15;5,15"
    first = (
        f'<image name="a.png" width="60" height="40"><polygon label="c" points="{points}"/></image>'
    )
    return f'<annotations>{first}<image name="b.png" width="60" height="40"/></annotations>'
