import csv
import inspect
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

import spatialembed as se
from spatialembed.app.kept import Kept
from spatialembed.app.stage import MOST_SIDE, stage
from spatialembed.app.study import OPTIONS, study, write_results
from spatialembed.app.web_page import AWAY, EMPTY, _again, _files, _gone, _take, build
from spatialembed.cli.commands import run_serve
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.errors import UserError
from spatialembed.instances import Instances


@pytest.fixture(scope="module")
def model():
    return se.load("nuclei")


def blobs(side=160):
    """Bright discs on a dark ground, 16-bit."""
    y, x = np.indices((side, side))
    image = np.full((side, side), 400, np.uint16)
    for cy, cx in ((30, 40), (90, 50), (60, 110), (120, 120)):
        image[(y - cy) ** 2 + (x - cx) ** 2 < 110] = 9000
    return image


def test_a_study_holds_what_the_model_gives_and_its_results_can_be_written(model, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", blobs())
    given = study(model, tmp_path / "a.tif")
    np.testing.assert_array_equal(given.output, model.raw(blobs()))
    found = model.cluster(given.output)
    assert len(found) == 4
    labels, table = write_results(tmp_path / "out", given, found)
    np.testing.assert_array_equal(tifffile.imread(labels), found.label_map)
    assert len(table.read_text().splitlines()) == 5


def test_the_smallest_size_is_one_at_the_size_that_objects_are_shown_at(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", blobs().repeat(3, 0).repeat(3, 1))
    model = se.load("cells")
    given = study(model, tmp_path / "a.tif")
    sized = given.model.settings()
    assert sized[2] > 1.5 * model.settings()[2]
    expected = given.model.cluster(given.output, *sized)
    np.testing.assert_array_equal(given.found(model.settings()).label_map, expected.label_map)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.png", b"no picture", "a.png cannot be read as an image"),
        ("colors.png", np.random.default_rng(0).integers(0, 255, (9, 9, 3)), "is in color"),
        ("large.png", np.zeros((5100, 5000)), "26 megapixels, this page takes up to 25"),
        ("large.tif", np.zeros((5100, 5000)), "26 megapixels, this page takes up to 25"),
    ],
)
def test_a_study_says_what_is_wrong_and_no_folder(model, tmp_path, name, content, told):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.fromarray(content.astype(np.uint8)).save(path)
    with pytest.raises(UserError, match=told) as error:
        study(model, path)
    assert str(tmp_path) not in str(error.value)


def test_the_page_says_what_has_the_options_that_it_lacks(model, tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        for side in (160, 158):
            file.write(blobs(side), metadata={"axes": "YX", "Name": f"of {side}"})
    with pytest.raises(UserError, match=r"--series N.*This page has no --series: the command line"):
        study(model, tmp_path / "two.tif")
    planes = np.stack([blobs()] * 3)
    tifffile.imwrite(tmp_path / "z.tif", planes, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(UserError, match=r"This page has no --stitch: .* as TIFF$"):
        study(model, tmp_path / "z.tif")


def test_the_options_of_the_page_are_those_of_its_command() -> None:
    known = inspect.signature(run_serve).parameters
    assert {f"--{name}" for name in known if name != "model"} | {"--help"} == OPTIONS


def test_pixels_are_as_large_as_was_said_and_results_state_it(tmp_path) -> None:
    known = {"resolution": (2, 2), "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "b.tif", blobs(), imagej=True, **known)
    assert study(se.load("nuclei"), tmp_path / "b.tif").spacing == (0.5, 0.5)
    told = se.load("nuclei", pixel_size=0.25)
    given = study(told, tmp_path / "b.tif")
    assert given.spacing == (0.25, 0.25)
    assert "states pixels of 0.5 µm; they are taken for 0.25, as asked" in given.note
    kept = Kept()
    said = _again(kept, kept.put(given), "instances", 0.9, 0.5, 16)[0]
    assert said.endswith("as asked)")
    labels, table = write_results(tmp_path / "out", given, told.cluster(given.output))
    assert pixel_size(labels) == pytest.approx((0.25, 0.25))
    first = next(csv.DictReader(table.open()))
    assert float(first["area_um2"]) == pytest.approx(float(first["area"]) / 16)


def test_a_drawing_has_an_outline_with_score_and_size_for_every_instance():
    label_map = np.zeros((20, 30), np.int32)
    label_map[2:5, 3:9] = 1
    label_map[10:18, 10:20] = 2
    label_map[12:14, 12:15] = 0
    found = Instances.from_label_map(label_map, np.array([0.95, 0.5]), class_names=("a<b",))
    html = stage(np.zeros((20, 30, 3), np.uint8), found, "instances")
    assert html.count("<path") == 2
    assert "a&lt;b 1 · score 0.950 · 18 pixels" in html
    assert html.count("M", html.index("0.500")) >= 2  # an outer line and a hole
    assert 'viewBox="0 0 30 20"' in html


def test_a_large_picture_is_sent_smaller():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (40, 4 * MOST_SIDE, 3), dtype=np.uint8)
    nothing = Instances.from_label_map(np.zeros((40, 4 * MOST_SIDE), np.int32))
    assert len(stage(picture, nothing, "image")) < 4 / 3 * 10 * MOST_SIDE * 3 + 1000


def test_serve_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r"spatialembed\[app\]"):
        build(None)


def test_a_page_whose_image_was_put_away_says_so(model, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", blobs())
    kept = Kept()
    token, *_ = _take(model, kept, None, str(tmp_path / "a.tif"))
    assert _again(kept, token, "instances", 0.9, 0.5, 16)[0].startswith("**4** found in a")
    assert all(file["interactive"] for file in _files(kept, token, 0.9, 0.5, 16))
    newer, *_ = _take(model, kept, token, str(tmp_path / "a.tif"))
    assert kept.get(token) is None
    assert _again(kept, token, "instances", 0.9, 0.5, 16) == (AWAY, "")
    assert not any(file["interactive"] for file in _files(kept, token, 0.9, 0.5, 16))
    assert _gone(kept, EMPTY, newer)[0] is None
    assert kept.get(newer) is None
