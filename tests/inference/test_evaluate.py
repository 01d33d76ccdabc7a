import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from test_predictor import Bright

from spatialembed.data import open_data
from spatialembed.embedding import margin_to_sigma
from spatialembed.errors import UserError
from spatialembed.inference import sight
from spatialembed.inference.evaluate import evaluate, open_split, ranked
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.metrics.average_precision import worst_first
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

BOXES = {"one": [(3, 3, 9, 10)], "two": [(3, 3, 9, 10), (20, 20, 30, 28)], "none": []}


def model(class_name: str = "object", channels: int = 1) -> Model:
    normalization = Normalization("range")
    names = (class_name,)
    spec = ModelSpec("residual_unet", {}, channels, names, 1, normalization=normalization)
    return Model(TorchNetwork(Bright()), spec, name="bright")


def picture(boxes, value: int = 255, dtype=np.uint8) -> np.ndarray:
    image = np.zeros((40, 48), dtype)
    for k, (y0, x0, y1, x1) in enumerate(boxes):
        image[y0:y1, x0:x1] = value + (k if dtype != np.uint8 else 0)
    return image


def save(path, array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def label_folder(tmp_path):
    """Three test images; on "two" the network sees one of the two objects."""
    for name, boxes in BOXES.items():
        folder = tmp_path / "labels" / "test"
        save(folder / "images" / f"{name}.png", picture(boxes[:1]))
        save(folder / "masks" / f"{name}.png", picture(boxes, 1, np.uint16))
    return tmp_path / "labels"


@pytest.fixture
def cityscapes(tmp_path):
    for boxes in BOXES.values():
        stem = f"town_{len(boxes):06d}_000001"
        image = np.stack([picture(boxes[:1])] * 3, axis=-1)
        save(tmp_path / "city/leftImg8bit/val/town" / f"{stem}_leftImg8bit.png", image)
        truth = np.maximum(picture(boxes, 26000, np.uint16), 7)
        save(tmp_path / "city/gtFine/val/town" / f"{stem}_gtFine_instanceIds.png", truth)
    return tmp_path / "city"


@pytest.fixture
def coco(tmp_path):
    root, images, annotations = tmp_path / "coco", [], []
    for i, (name, boxes) in enumerate(BOXES.items()):
        save(root / "images/val" / f"{name}.png", picture(boxes[:1]))
        images.append({"id": 10 + i, "file_name": f"{name}.png", "height": 40, "width": 48})
        for y0, x0, y1, x1 in boxes:
            corners = [x0, y0, x1, y0, x1, y1, x0, y1]
            box, area = [x0, y0, x1 - x0, y1 - y0], (x1 - x0) * (y1 - y0)
            row = {"segmentation": [corners], "bbox": box, "area": area, "iscrowd": 0}
            annotations.append(
                {"id": len(annotations) + 1, "image_id": 10 + i, "category_id": 5, **row}
            )
    (root / "annotations").mkdir()
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": 5, "name": "object"}]
    (root / "annotations" / "instances_val.json").write_text(json.dumps(content))
    return root


def test_label_folder(label_folder, tmp_path) -> None:
    evaluation = evaluate(model(), label_folder, out=tmp_path / "out")
    measures = evaluation["classes"]["object"]
    # one: perfect; two: one of two found; none: nothing there, 0 by stardist's convention
    assert measures["mean_over_images"]["ap"] == pytest.approx([0.5] * 9)
    assert measures["pooled"]["ap"] == pytest.approx([2 / 3] * 9)
    assert [image["name"] for image in worst_first(evaluation)] == ["two", "one", "none"]
    assert evaluation["split"] == "test"
    assert evaluation["official"] is None
    assert evaluation["model"] == "bright"
    assert evaluation["seconds"]["network"] > 0
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == evaluation


def test_cityscapes_has_the_official_figure(cityscapes, tmp_path) -> None:
    pytest.importorskip("cityscapesscripts")
    evaluation = evaluate(model("car", 3), cityscapes, out=tmp_path / "out", min_region=10)
    assert evaluation["official"]["by"] == "cityscapesScripts"
    # two of three cars found, none wrongly: precision 1 up to a recall of 2/3
    assert 55 < evaluation["official"]["classes"]["car"]["AP50"] < 90
    assert len(list((tmp_path / "out" / "cityscapes").glob("*.txt"))) == 3
    assert (
        evaluate(model("car", 3), cityscapes, min_region=10)["official"] == (evaluation["official"])
    )
    with pytest.raises(UserError, match="not -1"):  # before an image is predicted
        evaluate(model("car", 3), cityscapes, min_region=-1)


def test_coco_has_the_official_figure(coco) -> None:
    pytest.importorskip("faster_coco_eval")
    evaluation = evaluate(model(), coco, "val")
    assert evaluation["official"]["by"] == "faster-coco-eval"
    assert evaluation["official"]["mean"]["AP50"] == pytest.approx(66.7, abs=1)
    assert evaluation["warnings"] == []


def test_images_in_color_are_named_with_the_models_for_color(cityscapes) -> None:
    image = next((cityscapes / "leftImg8bit/val/town").iterdir())
    colors = np.stack([picture(BOXES["two"], value) for value in (90, 160, 220)], axis=-1)
    for file in image.parent.iterdir():
        save(file, colors)
    told = r"_leftImg8bit\.png is in color, bright takes grey images; .* color \(.*cells.*tissue\)"
    with pytest.raises(UserError, match=told):
        evaluate(model("car"), cityscapes)


def test_a_json_without_the_models_class_is_told_to_name_it_so(coco) -> None:
    told = r"val\.json has no category 'cell'; it has object: choose among these, or.* rename them"
    with pytest.raises(UserError, match=told):
        evaluate(model("cell"), coco, "val")


def spoil(root, **changes) -> None:
    """Change the first annotation of a COCO data set."""
    file = root / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    content["annotations"][0] |= changes
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"segmentation": [[1, 2, 3]]}, "annotation 1 of image 10 .*x, y pairs"),
        ({"segmentation": {"size": [48, 40], "counts": [1920]}}, "swapped"),
        ({"segmentation": [[0.1, 0.2, 0.3, 0.2, 0.3, 0.4]], "bbox": None}, "multiply x by"),
        ({"iscrowd": "yes"}, "annotation 1 has iscrowd 'yes'; it must be 0 or 1"),
    ],
)
def test_what_cannot_be_read_is_refused_before_the_first_image(
    coco, tmp_path, monkeypatch, changes, said
) -> None:
    spoil(coco, **changes)
    monkeypatch.setattr(Model, "raw", lambda *given: pytest.fail("predicted before"))
    with pytest.raises(UserError, match=said):
        evaluate(model(), coco, "val", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_of_another_size_is_refused_before_the_first_image(coco, monkeypatch) -> None:
    save(coco / "images/val/two.png", picture([]).T)
    monkeypatch.setattr(Model, "raw", lambda *given: pytest.fail("predicted before"))
    with pytest.raises(UserError, match=r"two\.png: is 40x48, .* with width and height swapped"):
        evaluate(model(), coco, "val")


def test_what_may_not_be_meant_is_told_with_the_figures(coco, tmp_path) -> None:
    pytest.importorskip("faster_coco_eval")  # without it one more is told
    spoil(coco, iscrowd=1)
    evaluation = evaluate(model(), coco, "val", tmp_path)
    assert evaluation["classes"]["object"]["objects"] == 2
    assert len(evaluation["warnings"]) == 1
    assert (
        "1 of 3 annotations, such as annotation 1 of image 10: marked as crowds"
        in (evaluation["warnings"][0])
    )


def test_coco_results_are_kept_for_other_tools(coco, tmp_path) -> None:
    pytest.importorskip("faster_coco_eval")
    evaluate(model(), coco, "val", tmp_path)
    rows = json.loads((tmp_path / "coco_results.json").read_text())
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(10, 5), (11, 5)]
    assert all("bbox" not in row for row in rows)


def test_max_found_is_of_coco_and_above_0(coco, label_folder, tmp_path) -> None:
    pytest.importorskip("faster_coco_eval")
    out = tmp_path / "out"  # whose json has no number of NumPy's
    assert evaluate(model(), coco, "val", out, max_found=np.int64(7))["official"]["max_found"] == 7
    for data, number in ((label_folder, 7), (coco, 0)):
        with pytest.raises(UserError, match="max_found is for COCO's AP"):
            evaluate(model(), data, None if data == label_folder else "val", max_found=number)


def test_a_test_json_that_is_damaged_is_not_passed_over(coco) -> None:
    val = coco / "annotations" / "instances_val.json"
    test = val.with_name("instances_test.json")
    test.write_bytes(val.read_bytes()[:99])
    with pytest.raises(UserError, match=r"instances_test\.json cannot be read as json"):
        evaluate(model(), coco)
    test.write_text('{"images": [], "categories": []}')  # truth that is not public
    assert evaluate(model(), coco)["split"] == "val"


class Graded(torch.nn.Module):
    """Stands where a network would: a seed score of a pixel's own grey."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        zero = torch.zeros_like(image[:, :1])
        sigma = zero + margin_to_sigma(9)
        return torch.cat([zero, zero, sigma, torch.logit(image[:, :1], 1e-4)], dim=1)


def graded(class_name: str = "object", **settings) -> Model:
    spec = ModelSpec("residual_unet", {}, 1, (class_name,), 1, min_size=5, **settings)
    spec = replace(spec, foreground_threshold=0.1, normalization=Normalization("range"))
    return Model(TorchNetwork(Graded()), spec)


def test_official_figures_rank_objects_below_the_models_own_threshold(coco) -> None:
    """An object of a seed score of .6 is none to a model of .9; COCO's AP wants it, of .2 not."""
    image = np.zeros((40, 48), np.uint8)
    image[3:9, 3:10], image[20:30, 20:28], image[3:9, 30:40] = 250, 153, 51
    for threshold, least in ((0.9, 0.3), (0.2, 0.2)):
        model = graded(seed_threshold=threshold)
        found = ranked(model, model.raw(image))
        expected = [250 / 255, 0.6] + [0.2] * (least < 0.3)
        assert found.scores.tolist() == pytest.approx(expected, abs=1e-3)
    pytest.importorskip("faster_coco_eval")
    save(coco / "images/val/two.png", image)
    evaluation = evaluate(graded(seed_threshold=0.9), coco, "val")
    assert evaluation["official"]["mean"]["AP50"] == pytest.approx(100, abs=1)
    assert evaluation["classes"]["object"]["pooled"]["recall"][0] == pytest.approx(2 / 3)
    curve = evaluation["objects"]["precision_recall"]["object"]
    assert curve["recall"][-1] == 1


def test_an_official_figure_that_is_missing_is_told(label_folder, coco, monkeypatch) -> None:
    with pytest.raises(UserError, match="min_region"):
        evaluate(model(), label_folder, min_region=10)
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)  # not there, or does not import
    evaluation = evaluate(model(), coco, "val")
    assert evaluation["official"] is None
    assert "spatialembed[eval]" in evaluation["warnings"][-1]
    assert evaluate(model(), label_folder)["warnings"] == []


def test_that_no_object_was_found_is_told(label_folder) -> None:
    [told] = evaluate(model().asking(seed_threshold=1.0), label_folder)["warnings"]
    assert "no object was found in any image" in told
    for name in ("one", "two"):
        for kind in ("images", "masks"):
            (label_folder / "test" / kind / f"{name}.png").unlink()
    assert evaluate(model(), label_folder)["warnings"] == []  # rightly so


OBJECTS = ModelSpec("residual_unet")
CARS = ModelSpec("residual_unet", class_names=("car",))


def test_an_image_that_enlarged_would_fill_the_memory_is_named(label_folder, monkeypatch) -> None:
    monkeypatch.setattr(sight, "MOST_PIXELS", 10)
    with pytest.raises(UserError, match=r"none\.png would have 40 x 48 pixels at 1 times its size"):
        evaluate(model(), label_folder)


def test_the_split_that_is_reported(label_folder, cityscapes) -> None:
    assert open_split(label_folder, None, OBJECTS).split == "test"
    assert open_split(cityscapes, None, CARS).split == "val"
    (cityscapes / "leftImg8bit" / "test").mkdir()
    assert open_split(cityscapes, None, CARS).split == "val"
    with pytest.raises(UserError, match="val"):
        open_split(label_folder, "val", OBJECTS)


def test_a_broken_test_split_is_not_passed_over(label_folder) -> None:
    (label_folder / "test" / "masks" / "one.png").unlink()
    with pytest.raises(UserError, match="has no mask"):
        evaluate(model(), label_folder)


def test_classes_must_be_the_models(label_folder) -> None:
    with pytest.raises(UserError, match="the model finds car"):
        evaluate(model("car"), open_data(label_folder, "test"))
    assert "car" in evaluate(model("car"), label_folder)["classes"]


def test_held_out_images_are_those_the_model_did_not_see(label_folder) -> None:
    (label_folder / "test").rename(label_folder / "train")
    half = ModelSpec("residual_unet", training={"holdout": 0.5})
    trained_on = set(open_data(label_folder, "train", holdout=0.5).names)
    assert not trained_on & set(open_split(label_folder, "val", half).names)


def test_a_split_that_is_not_the_opened_one_is_refused(label_folder) -> None:
    with pytest.raises(UserError, match="was opened as test"):
        evaluate(Model(None, OBJECTS), open_data(label_folder, "test"), "train")
