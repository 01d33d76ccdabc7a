from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tifffile
from PIL import Image
from rich.console import Console

from spatialembed.clustering import cluster
from spatialembed.instances import Instances
from spatialembed.metrics.average_precision import score_images, worst_first
from spatialembed.models.spec import ModelSpec
from spatialembed.pictures import Explanation, cuts
from spatialembed.report.evaluation import compared, tables, write_evaluation
from spatialembed.report.page import write_page


class Sample:
    def __init__(self, name: str, objects: int) -> None:
        self.name = name
        self.image = np.zeros((20, 30, 1), np.uint8)
        self.label_mask = np.zeros((20, 30), np.int32)
        for k in range(objects):
            self.label_mask[2:8, 2 + 9 * k : 8 + 9 * k] = k + 1


class Scenes:
    names = ("all", "half", "nothing")

    def __getitem__(self, i: int) -> Sample:
        return Sample(self.names[i], 2)


class Blind:
    """Finds both objects of "all", one of "half", none of "nothing"."""

    name = "blind"
    spec = ModelSpec("residual_unet")
    pitch, margin, pixel_size = spec.pitch, None, None

    def for_image(self, image: np.ndarray, name: str, spacing: None) -> "Blind":
        return self

    def raw(self, image: np.ndarray, name: str) -> np.ndarray:
        return np.zeros((4, *image.shape[:2]), np.float32)

    def cluster(self, output: np.ndarray) -> Instances:
        return cluster(output)

    def explanation(self, *given) -> Explanation:
        return Explanation(*given)

    def predict(self, image: np.ndarray, name: str, spacing: None = None):
        class Found:
            label_map = Sample(name, {"all": 2, "half": 1, "nothing": 0}[name]).label_mask
            classes = np.zeros(2, np.int32)[: label_map.max()]

        return Found()


def evaluation() -> dict:
    pairs = [
        (Blind().predict(None, s.name), s.label_mask, None, None, s.name)
        for s in (Scenes()[i] for i in range(3))
    ]
    official = {"by": "cityscapesScripts", "classes": {"object": {"AP": None, "AP50": 12.34}}}
    official["mean"] = {"AP": None, "AP50": 12.34}
    where = {"model": "blind", "data": "scenes", "split": "val", "official": official}
    return {**where, **score_images(pairs)}


def test_the_worst_come_first() -> None:
    shown = list(compared(Blind(), Scenes(), worst_first(evaluation())[:2]))
    assert [name for name, _, _ in shown] == ["nothing", "half"]
    assert "AP 0.500" in shown[1][1]
    assert "2 objects, 1 found" in shown[1][1]
    assert shown[0][2].shape == (20, 30, 3)


def test_page_and_pictures_are_written(tmp_path) -> None:
    page = write_evaluation(Blind(), Scenes(), evaluation(), tmp_path, 2)
    assert page.read_text().count("<img") >= 2
    names = sorted(path.name for path in (tmp_path / "worst").iterdir())
    assert names == ["01_nothing.png", "02_half.png"]
    assert Image.open(tmp_path / "worst" / names[0]).size == (30, 20)


def test_fewer_worst_images_leave_no_old_ones(tmp_path) -> None:
    write_evaluation(Blind(), Scenes(), evaluation(), tmp_path, 3)
    write_evaluation(Blind(), Scenes(), evaluation(), tmp_path, 1)
    assert [path.name for path in (tmp_path / "worst").iterdir()] == ["01_nothing.png"]


def test_tables_say_how_they_averaged() -> None:
    console = Console(record=True, width=80)
    for table in tables(evaluation()):
        console.print(table)
    text = console.export_text()
    assert "mean over images" in text
    assert "pooled over the set" in text
    assert text.count(".500") > 18  # (1 + 1/2 + 0) / 3 and 3 of 6, at nine thresholds
    assert "…" not in text
    assert "12.3" in text
    assert "--max_found" not in text


def test_tables_say_what_was_found_with() -> None:
    used = {"seed_threshold": 0.3, "min_size": 0, "symmetries": False, "diameter": None}
    console = Console(record=True, width=200)
    for table in tables(evaluation() | {"settings": used}):
        console.print(table)
    text = console.export_text()
    assert text.count("with seed_threshold 0.3, min_size 0\n") == text.count("AP = TP")


def test_tables_say_where_found_objects_were_cut() -> None:
    held = evaluation()
    held["official"] |= {"max_found": 100, "images_cut": 3, "images": 16}
    console = Console(record=True, width=200)
    for table in tables(held):
        console.print(table)
    text = console.export_text()
    assert "Only the 100 best found objects of an image and class count: 3 of 16 images" in text
    assert "--max_found takes another number" in text


def test_cuts_are_in_the_proportions_of_the_volume(tmp_path) -> None:
    """Not in those of training, where its file states its own."""
    path, labels = tmp_path / "x.tif", np.zeros((6, 20, 30), np.int32)
    labels[1:5, 4:12, 4:12] = 1
    voxels = np.zeros((6, 20, 30, 1), np.uint8)

    class Volumes:
        names = ("x",)

        def __getitem__(self, i: int) -> SimpleNamespace:
            return SimpleNamespace(name="x", image=voxels, label_mask=labels)

        def files(self, i: int) -> tuple[Path, Path]:
            return path, path

    class Finds(Blind):
        spec = replace(Blind.spec, dims=3, pitch=Blind.pitch[:1] * 3, spacing=(1.0, 1.0, 1.0))

        def predict(self, image, name):
            return SimpleNamespace(label_map=labels)

    [row] = score_images([(labels, labels, None, None, "x")])["images"]
    for step in (1.0, 4.0):
        said = {"axes": "ZYX", "spacing": step, "unit": "um"}
        tifffile.imwrite(path, voxels[..., 0], imagej=True, resolution=(2, 2), metadata=said)
        [(_, _, sheet)] = compared(Finds(), Volumes(), [row])
        expected = cuts(voxels, labels, labels, (step, 0.5, 0.5))
        np.testing.assert_array_equal(sheet, expected)


def test_a_class_that_is_nowhere_has_no_figures(tmp_path) -> None:
    """Neither true nor found: .000 would say that the model never finds it."""
    truth = np.ones((6, 6), int)
    scores = score_images([(truth, truth, 0 * truth, None, "x")], ("disc", "square"))
    held = evaluation() | scores | {"official": None}
    console = Console(record=True, width=200)
    for table in tables(held):
        console.print(table)
    text = console.export_text()
    assert text.count("SEG: disc 1.000, square –") == text.count("AP = TP") == 2
    assert text.count("– ") > 18
    assert ".000" not in text.replace("1.000", "")
    write_page(tmp_path / "page.html", held)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "0.000" not in page.split("<main>")[1].replace("± 0.000", "")
    nothing = 0 * truth
    write_page(tmp_path / "page.html", held | score_images([(nothing, nothing, None, None, "x")]))
    headline = (tmp_path / "page.html").read_text("utf-8").split('class="headline"')[1]
    assert "0.000" not in headline.split("<section>")[0]
