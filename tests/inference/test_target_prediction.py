"""A model of several targets: what it finds, and the files of it."""

import csv
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from test_predictor import Bright

import spatialembed as se
from spatialembed.app.web_page import serve
from spatialembed.cli.main import main
from spatialembed.data.open import open_data
from spatialembed.errors import UserError
from spatialembed.export.bioimageio import write_package
from spatialembed.export.onnx import export_model
from spatialembed.export.torchscript import torchscript
from spatialembed.formats.results_folder import Results
from spatialembed.inference.evaluate import evaluate
from spatialembed.inference.folder import predict_files
from spatialembed.inference.image_files import find_images
from spatialembed.inference.predictor import Model
from spatialembed.inference.stack import predict_stack
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec, Target


class TwoBright(torch.nn.Module):
    """Nuclei where the image is above .7, cells where it is above .2."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.bright = Bright()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.bright(image - 0.2), self.bright(image + 0.3)], 1)


def model(**changes) -> Model:
    targets = (Target(min_size=5, object_diameter=6.0), Target(min_size=50, object_diameter=12.0))
    spec = ModelSpec(
        "residual_unet",
        in_channels=1,
        class_names=("nuclei", "cells"),
        normalization=Normalization("range"),
        object_diameter=6.0,
        targets=targets,
    )
    return Model(TorchNetwork(TwoBright()), replace(spec, **changes), "two")


def scene() -> np.ndarray:
    image = np.zeros((40, 64, 1), np.uint8)
    image[4:16, 4:16] = image[20:32, 40:52] = 100
    image[8:12, 8:13] = image[33:37, 4:9] = 255
    return image


def test_objects_of_targets_overlap_and_the_largest_come_first() -> None:
    found = model().predict_targets(scene())
    assert list(found) == ["cells", "nuclei"]
    assert [len(one) for one in found.values()] == [2, 2]
    assert found["cells"].class_names == ("cells",)
    assert (found["cells"].label_map[8:12, 8:13] > 0).all()
    assert (found["nuclei"].label_map[8:12, 8:13] > 0).all()
    # the bright square alone is too small for a cell
    assert not found["cells"].label_map[33:37, 4:9].any()
    assert model().raw(scene()).shape == (8, 40, 64)


def test_one_target_alone_is_a_model_as_any() -> None:
    whole = model()
    raw = whole.raw(scene())
    for k, name in enumerate(("nuclei", "cells")):
        one = whole.of(name)
        np.testing.assert_array_equal(one.raw(scene()), raw[4 * k : 4 * k + 4])
        found = one.predict(scene())
        np.testing.assert_array_equal(
            found.label_map, whole.predict_targets(scene())[name].label_map
        )
        assert found.class_names == (name,)
    assert whole.of("cells").settings() == (0.9, 0.5, 50)
    assert whole.asking(min_size=7).of("cells").settings() == (0.9, 0.5, 7)
    with pytest.raises(UserError, match="two has no target 'car'; it has nuclei, cells"):
        whole.of("car")
    with pytest.raises(UserError, match="two finds cells alone; use it as it is"):
        whole.of("cells").of("cells")


def test_symmetries_are_averaged_target_by_target() -> None:
    whole = model()
    whole.symmetries = 8
    raw = whole.raw(scene())
    for k, name in enumerate(("nuclei", "cells")):
        alone = Model(TorchNetwork(TwoBright()), whole.spec, symmetries=8).of(name)
        np.testing.assert_array_equal(alone.raw(scene()), raw[4 * k : 4 * k + 4])
    assert [len(one) for one in whole.predict_targets(scene()).values()] == [2, 2]


def test_what_is_of_one_target_refuses_several(tmp_path) -> None:
    whole = model()
    for work in (
        lambda: whole.predict(scene()),
        lambda: whole.cluster(whole.raw(scene())),
        lambda: predict_stack(whole, scene()[None]),
    ):
        with pytest.raises(UserError, match=r"two finds nuclei and cells.*predict_targets"):
            work()
    with pytest.raises(UserError, match="the page is of one target"):
        serve(whole)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "images" / "a.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, scene()[..., 0])
    return path


def test_files_of_a_folder(image, tmp_path) -> None:
    results = Results(tmp_path / "out", ["measurements"])
    files = find_images([image], tmp_path / "out")
    [outcome] = predict_files(model(), files, results)
    assert (outcome.error, outcome.found) == (None, 4)
    assert outcome.diameter == pytest.approx(np.sqrt(20 * 4 / np.pi))  # of the smallest
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert there == [
        "a_cells.csv", "a_cells.tif", "a_nuclei.csv", "a_nuclei.tif", "a_overlay.png",
        "settings.json",
    ]  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "out" / "a_nuclei.csv").open()))
    assert sorted(row["cells"] for row in rows) == ["", "1"]
    [again] = predict_files(model(), files, results)
    assert again.kept
    other = model(targets=(Target(min_size=9, object_diameter=6.0), model().spec.targets[1]))
    with pytest.raises(UserError, match=r"made with min_size of nuclei 5 \(now 9\); add"):
        predict_files(other, files, results)
    [new] = predict_files(other, files, results, overwrite=True)
    assert new.found == 4
    with pytest.raises(UserError, match="format coco is of one target"):
        predict_files(model(), files, Results(tmp_path / "coco", ["coco"]))
    with pytest.raises(UserError, match="--stitch is of one target"):
        predict_files(model(), files, Results(tmp_path / "z"), stitch=True)


def test_images_whose_results_would_have_one_name_are_refused(tmp_path) -> None:
    for name in ("a", "a_x"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
    files = find_images([tmp_path], tmp_path / "out")
    clashing = model(class_names=("x_cells", "cells"))
    with pytest.raises(UserError, match=r"images a and a_x would both .*a_x_cells.tif"):
        predict_files(clashing, files, Results(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_pictures_of_an_image_that_is_called_as_a_target_s_results_stay(tmp_path) -> None:
    for name in ("a", "a_cells"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
    both = find_images([tmp_path / "a_cells.tif", tmp_path / "a.tif"], tmp_path / "out")
    results = Results(tmp_path / "out", ["geojson"], pictures=True)
    list(predict_files(model(), both, results, overwrite=True))
    assert (tmp_path / "out" / "a_cells_overlay.png").is_file()
    alone = find_images([tmp_path / "a.tif"], tmp_path / "out")
    list(predict_files(model(), alone, results, overwrite=True))
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"a_cells_overlay.png", "a_cells.geojson", "a_overlay.png", "a.geojson"} <= left


def test_another_image_s_result_of_a_model_of_one_target_is_not_replaced(tmp_path) -> None:
    for name in ("a", "a_cells"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
    out = tmp_path / "out"
    one = find_images([tmp_path / "a_cells.tif"], out)
    list(predict_files(model().of("cells"), one, Results(out)))
    held = {path.name: path.read_bytes() for path in out.iterdir()}
    other = find_images([tmp_path / "a.tif"], out)
    with pytest.raises(UserError, match="also holds results of 1 images that are not given"):
        list(predict_files(model(), other, Results(out), overwrite=True))
    assert held == {path.name: path.read_bytes() for path in out.iterdir()}
    # of the same image they are replaced, and nothing of the former names is left
    assert [o.error for o in predict_files(model(), one, Results(out), overwrite=True)] == [None]
    assert not (out / "a_cells.tif").exists()
    assert (out / "a_cells_cells.tif").is_file()


@pytest.mark.parametrize(("first", "second"), [("a", "a_x"), ("a_x", "a")])
def test_so_are_those_of_two_calls_into_one_folder(tmp_path, first, second) -> None:
    clashing, out = model(class_names=("x_cells", "cells")), tmp_path / "out"
    files = {}
    for name in ("a", "a_x"):
        tifffile.imwrite(tmp_path / f"{name}.tif", scene()[..., 0])
        files[name] = find_images([tmp_path / f"{name}.tif"], out)
    assert [o.error for o in predict_files(clashing, files[first], Results(out))] == [None]
    held = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"images a(_x)? and a(_x)? would both .*a_x_cells.tif"):
            predict_files(clashing, files[second], Results(out), overwrite)
    assert held == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert [o.kept for o in predict_files(clashing, files[first], Results(out))] == [True]
    for path in out.glob("*.tif"):  # as a run leaves it that is killed
        if path.name != "a_x_cells.tif":
            path.unlink()
    with pytest.raises(UserError, match=r"would both .*a_x_cells.tif"):
        predict_files(clashing, files[second], Results(out))
    assert [o.found for o in predict_files(clashing, files[first], Results(out), True)] == [4]


def write_set(root, split="test") -> None:
    image = scene()[..., 0]
    masks = {"cells": image == 100, "nuclei": image == 255}
    masks["cells"] |= (image == 255) & (np.arange(40)[:, None] < 20)
    for part, array in {"images": image, **{f"masks/{n}": m for n, m in masks.items()}}.items():
        path = root / split / part / "a.tif"
        path.parent.mkdir(parents=True)
        labels = array if part == "images" else se_labels(array)
        tifffile.imwrite(path, labels)


def se_labels(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return ndimage.label(mask)[0].astype(np.uint16)


def test_each_target_is_scored(tmp_path) -> None:
    write_set(tmp_path / "DATA")
    data = open_data(tmp_path / "DATA", "test", ["nuclei", "cells"])
    scored = evaluate(model(), data, out=tmp_path / "out")["targets"]
    assert list(scored) == ["nuclei", "cells"]
    for name, one in scored.items():
        assert one["classes"][name]["mean_over_images"]["ap"][0] == 1
        assert (tmp_path / "out" / name / "evaluation.json").is_file()
        wide = "diameter" if name == "nuclei" else "diameter of nuclei"
        assert one["settings"][wide] == 6
        assert one["settings"]["min_size"] == model().of(name).spec.min_size
    classes = Model(model().network, replace(model().spec, targets=()))
    with pytest.raises(UserError, match="one alone has several targets"):
        evaluate(classes, data)
    with pytest.raises(UserError, match="the model finds nuclei, cells"):
        evaluate(model(), open_data(tmp_path / "DATA", "test"))


def test_a_target_that_test_images_lack_is_not_scored(trained, tmp_path, capsys) -> None:
    for split in ("train", "test"):
        write_set(tmp_path / "DATA", split)
    shutil.rmtree(tmp_path / "DATA/test/masks/nuclei")
    given = ["evaluate", str(trained), str(tmp_path / "DATA"), "--out", str(tmp_path / "out")]
    assert main([*given, "--pictures", "0"]) == 0
    assert "no test image has a mask of nuclei" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cells"]
    main(["check", str(tmp_path / "DATA")])
    said = " ".join(capsys.readouterr().out.split())
    assert "lacks masks of 1 of 1 images: nuclei are unknown there" in said
    assert "has no object of nuclei" not in said
    with pytest.raises(UserError, match="has no image in its test split"):
        open_data(tmp_path / "DATA", "test", ["nuclei"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model file of random weights."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    options = {"widths": [8, 8], "blocks": [1, 1]}
    spec = replace(model().spec, network_options=options, training={"symmetries": 8})
    torch.manual_seed(0)
    network = spec.build()
    with torch.no_grad():  # so that something is found
        network.seed_head.output_conv.bias.fill_(4.0)
    save_model(path, network, spec)
    return path


def test_an_onnx_file_finds_what_the_model_does(trained, tmp_path) -> None:
    pytest.importorskip("onnxscript")
    export_model(trained, tmp_path / "x.onnx")
    exported, own = se.load(tmp_path / "x.onnx"), se.load(trained)
    assert exported.spec == own.spec
    np.testing.assert_allclose(exported.raw(scene()), own.raw(scene()), atol=1e-4)
    found = exported.predict_targets(scene())
    assert list(found) == ["cells", "nuclei"]


def test_doors_of_one_target_refuse_in_a_sentence(
    trained, image, tmp_path, capsys, monkeypatch
) -> None:
    with pytest.raises(UserError, match="TorchScript with clustering is of one target"):
        torchscript(trained)
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
    with pytest.raises(UserError, match=r"package of bioimage.io is of one target"):
        write_package(trained, tmp_path / "x.zip")
    with pytest.raises(UserError, match="int8 is of one target"):
        export_model(trained, tmp_path / "x.onnx", "int8", tmp_path)
    out = tmp_path / "many"
    given = ["predict", str(trained), str(image.parent), "--out", str(out), "--workers", "1"]
    assert main(given) == 1
    assert "is of one target; predict to a folder" in " ".join(capsys.readouterr().err.split())
    assert not list(out.glob("*.tif"))
    for option in (["--workers", "1"], ["--stitch"]):
        assert main([*given[:-2], *option]) == 1
        captured = capsys.readouterr()
        assert "files" not in captured.out + captured.err
        assert "is of one target" in " ".join(captured.err.split())


def test_the_command_writes_both(trained, image, tmp_path) -> None:
    out = tmp_path / "out"
    given = ["predict", str(trained), str(image), "--out", str(out), "--symmetries"]
    assert main([*given, "--format", "geojson", "--device", "cpu"]) == 0
    names = {path.name for path in out.iterdir()} - {"settings.json"}
    assert names == {"a_cells.tif", "a_nuclei.tif", "a_overlay.png", "a.geojson"}
