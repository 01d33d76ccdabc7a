import base64
import io
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from spatialembed.errors import UserError
from spatialembed.metrics.average_precision import score_images
from spatialembed.report.page import figure, write_page

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (500, 700, 3), dtype=np.uint8)
CAR = {"AP": 51.23, "AP50": 80.5}
TABLE = {"car": CAR, "bus": {"AP": None, "AP50": None}}
FLAT = np.full((40, 60, 3), (10, 120, 200), np.uint8)


def evaluation(class_names=("car",), images=20):
    truth = np.kron(np.arange(1, 7).reshape(2, 3), np.ones((6, 6), int))
    classes = np.arange(6) % len(class_names)
    class_map = classes[truth - 1]

    def pairs():
        for k in range(images):
            found = np.where(truth > k % 4, truth - k % 4, 0)
            yield Found(found, classes[k % 4 :]), truth, class_map, None, f"image-{k:03}"

    scores = score_images(pairs(), class_names)
    return {
        "model": "runs/x",
        "data": "streets",
        "split": "val",
        "date": "2026-11-22",
        "settings": {"seed_threshold": 0.9, "foreground_threshold": 0.5, "min_size": 128},
        **scores,
    }


class Found:
    def __init__(self, label_map, classes):
        self.label_map, self.classes = label_map, classes


class Page(HTMLParser):
    """Text, addresses and table cells of a page."""

    def __init__(self, html):
        super().__init__()
        self.addresses, self.text, self.tags = [], "", []
        self.skip = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.skip = tag == "style"
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "action")]

    def handle_endtag(self, tag):
        self.skip = False

    def handle_data(self, data):
        self.text += "" if self.skip else data


def written(tmp_path, *args, **options):
    path = tmp_path / "new" / "page.html"
    write_page(path, *args, **options)
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
    return path.read_text("utf-8")


def test_page_shows_every_figure_and_needs_no_network(tmp_path):
    held = evaluation()
    html = written(tmp_path, held, [("one", "its caption", FLAT)], title="Cars of a day")
    page = Page(html)
    measures = held["classes"]["car"]
    for way in ("mean_over_images", "pooled"):
        for value in (*measures[way]["ap"], measures[way]["ap_mean"], measures[way]["pq"][0]):
            assert f"{value:.3f}" in page.text
    for words in ("Cars of a day", "runs/x", "2026-11-22", "its caption", "min size 128"):
        assert words in page.text
    assert all(image["name"] in page.text for image in held["images"])
    assert all(address.startswith("data:") for address in page.addresses)
    assert not re.search(r"https?://|@import|url\(|<script", html)


def test_pictures_are_embedded_whole(tmp_path):
    page = Page(written(tmp_path, {}, [("flat", "", FLAT), ("noise", "", NOISE)]))
    pictures = [a for a in page.addresses if a.startswith("data:image")]
    flat, noise = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(a.split(",")[1])))) for a in pictures
    )
    assert np.array_equal(flat, FLAT)
    assert pictures[1].startswith("data:image/jpeg")
    assert noise.shape == NOISE.shape
    assert np.abs(noise.astype(int) - NOISE).mean() < 12


def test_worst_images_come_first(tmp_path):
    held = evaluation(images=30)
    text = Page(written(tmp_path, held)).text
    shown = re.findall(r"image-(\d{3})", text)
    by_name = {image["name"]: image["ap"] for image in held["images"]}
    aps = [by_name[f"image-{number}"] for number in shown]
    assert len(shown) == 30
    assert aps == sorted(aps)
    assert "the other 18 images" in text


def test_names_are_text_not_markup(tmp_path):
    nasty = '<script>alert(1)</script>&"'
    held = evaluation((nasty, "car"))
    held["model"] = held["settings"][nasty] = nasty
    held["images"][0]["name"] = nasty
    page = Page(written(tmp_path, held, [(nasty, nasty, FLAT)], title=nasty))
    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") >= 7


def test_an_evaluation_may_come_from_its_json(tmp_path):
    held = evaluation(("car", "bus"))
    held["seconds"] = {"network": 0.25, "clustering": 0.031}
    text = Page(written(tmp_path, json.loads(json.dumps(held)))).text
    assert "mean of classes" in text
    assert "network 250 ms, clustering 31 ms" in text


@pytest.mark.parametrize(
    "official",
    [
        {"by": "cityscapesScripts", "min_region": 64, "classes": TABLE, "mean": CAR},
        {"by": "faster-coco-eval", "classes": {"car": {**CAR, "APs": None}}, "mean": CAR},
    ],
)
def test_official_figures_are_shown_in_percent(tmp_path, official):
    held = {**evaluation(("car", "bus")), "official": official}
    text = Page(written(tmp_path, held)).text
    assert "51.2" in text
    assert "80.5" in text
    assert official["by"] in text
    assert ("fewer than 64 pixels" in text) == ("min_region" in official)
    assert "--max_found" not in text


def test_the_page_says_where_found_objects_were_cut(tmp_path):
    cut = {"max_found": 100, "images_cut": 3, "images": 16}
    official = {"by": "faster-coco-eval", "classes": {"car": CAR}, "mean": CAR, **cut}
    text = Page(written(tmp_path, {**evaluation(), "official": official})).text
    assert "Only the 100 best found objects of an image and class count: 3 of 16 images" in text
    assert "--max_found takes another number" in text


@pytest.mark.parametrize("held", [{}, {"official": None}, {"images": [], "classes": {}}])
def test_whatever_is_missing_is_left_out(tmp_path, held):
    text = Page(written(tmp_path, held, title="Nothing yet")).text
    assert "Nothing yet" in text
    assert "IoU" not in text


def test_figures_that_are_missing_are_dashes():
    assert [figure(v) for v in (None, float("nan"), 0.12345, 12345)] == [
        "–",
        "–",
        "0.123",
        "12,345",
    ]


def test_a_missing_extra_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UserError, match=r"pip install 'spatialembed\[report\]'"):
        write_page(tmp_path / "page.html", {})
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path):
    (tmp_path / "page.html").write_text("old")
    with pytest.raises(UserError, match="could not write"):
        write_page(tmp_path / "page.html" / "below.html", {})
    assert (tmp_path / "page.html").read_text() == "old"
