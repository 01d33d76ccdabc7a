"""A model of several targets: what it finds, and the files and doors of the model."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from two_targets import TwoBright, model, scene

import spatialembed as se
from spatialembed.app.web_page import serve
from spatialembed.cli.main import main
from spatialembed.data.open import open_data
from spatialembed.errors import UserError
from spatialembed.export.bioimageio import write_package
from spatialembed.export.onnx import export_model
from spatialembed.export.torchscript import torchscript
from spatialembed.inference.evaluate import evaluate
from spatialembed.inference.predictor import Model
from spatialembed.inference.stack import predict_stack
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.checkpoint import save_model


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
