import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import onnx
import pytest
import tifffile
import torch

import spatialembed
from spatialembed.cli.main import main
from spatialembed.demo.scenes import make_scenes
from spatialembed.errors import UserError
from spatialembed.export import int8
from spatialembed.export.onnx import export_model
from spatialembed.files.packaged import packaged
from spatialembed.inference.onnx_network import EXPORT_KEY, SPEC_KEY, _open_in_onnx_runtime
from spatialembed.models import build
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec

NETWORKS = {"branched_erfnet": {}, "residual_unet": {"widths": [8, 16], "blocks": [1, 1]}}


def saved(folder, network: str = "residual_unet"):
    """A run folder with a network for street scenes that is past its first steps."""
    torch.manual_seed(0)
    module = build(network, 3, 2, 2, **NETWORKS[network])
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.weight, 1, 0.2)
            torch.nn.init.normal_(layer.running_mean, 0, 0.2)
    torch.nn.init.normal_(list(module.parameters())[-1], 0, 0.5)
    spec = ModelSpec(
        network, NETWORKS[network], 3, ("car", "person"), 2,
        normalization=Normalization("percentile"), min_size=5, seed_threshold=0.5,
    )  # fmt: skip
    save_model(folder / "model.safetensors", module, spec)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    assert main(["export", str(run), str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes")
    make_scenes(out, 3, 2, (96, 64))
    return out


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 37), (1, 1)])
def test_output_is_that_of_torch(run, exported, height, width) -> None:
    image = picture(height, width)
    expected, found = spatialembed.load(run, "cpu"), spatialembed.load(exported)
    assert found.spec == expected.spec
    np.testing.assert_allclose(found.raw(image), expected.raw(image), atol=1e-4)
    np.testing.assert_array_equal(found.predict(image).label_map, expected.predict(image).label_map)


def test_a_file_says_nothing_of_the_machine_that_made_it(exported) -> None:
    for path in (exported, *packaged("shipped", ".onnx")):
        assert b"site-packages" not in path.read_bytes()


def test_branched_erfnet(tmp_path) -> None:
    run = saved(tmp_path / "run", "branched_erfnet")
    export_model(run, tmp_path / "x.onnx")
    image = picture(40, 72)
    expected = spatialembed.load(run, "cpu").raw(image)
    np.testing.assert_allclose(
        spatialembed.load(tmp_path / "x.onnx").raw(image), expected, atol=1e-3
    )


def test_file_takes_any_batch_and_says_what_it_is(exported) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model)
    [given] = model.graph.input
    batch, channels, height, width = given.type.tensor_type.shape.dim
    assert channels.dim_value == 3
    assert batch.dim_param
    assert height.dim_param
    assert width.dim_param
    texts = {p.key: json.loads(p.value) for p in model.metadata_props}
    assert ModelSpec.from_dict(texts[SPEC_KEY]).class_names == ("car", "person")
    assert texts[EXPORT_KEY] == {"precision": "float32", "stride": 4}


WITHOUT = """
import sys
import sysconfig
from pathlib import Path
for name in {blocked}:
    sys.modules[name] = None
import numpy as np
import spatialembed
model = spatialembed.load({path!r})
image = np.random.default_rng(0).integers(0, 255, (61, 37, 3), np.uint8)
np.save({out!r}, model.raw(image))
print(len(model.predict(image)))
"""


@pytest.mark.parametrize("blocked", [["torch"], ["torch", "openvino"]])
def test_predicts_without_torch(run, exported, tmp_path, blocked) -> None:
    out = tmp_path / "raw.npy"
    code = WITHOUT.format(blocked=blocked, path=str(exported), out=str(out))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    model, image = spatialembed.load(run, "cpu"), picture(61, 37)
    np.testing.assert_allclose(np.load(out), model.raw(image), atol=1e-4)
    assert int(done.stdout) == len(model.predict(image))


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory) -> Path:
    """The python of a virtual environment with all that is installed here but torch."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    here = Path(sysconfig.get_path("purelib"))
    [there] = folder.glob("lib/python*/site-packages")
    for entry in here.iterdir():
        if not entry.name.startswith(("torch", "functorch", "lightning")):
            (there / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def test_command_line_in_an_environment_without_torch(
    run, exported, scenes, tmp_path, without_torch
) -> None:
    images = scenes / "leftImg8bit" / "val"
    absent = subprocess.run([without_torch, "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in absent.stderr
    command = ["-m", "spatialembed", "predict", exported, images, "--out", tmp_path / "bare"]
    done = subprocess.run([without_torch, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main(["predict", str(run), str(images), "--out", str(tmp_path / "torch")]) == 0
    written = sorted((tmp_path / "bare").rglob("*.tif"))
    assert len(written) == 2
    for path in written:
        expected = tifffile.imread(tmp_path / "torch" / path.relative_to(tmp_path / "bare"))
        np.testing.assert_array_equal(tifffile.imread(path), expected)


def test_without_a_runtime_it_says_what_to_install(exported) -> None:
    code = WITHOUT.format(blocked=["openvino", "onnxruntime"], path=str(exported), out="x")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install openvino" in done.stderr


def test_bf16(run, tmp_path) -> None:
    notes = export_model(run, tmp_path / "x.onnx", "bf16")
    assert notes["precision"] == "bf16"
    image = picture(64, 64)
    low, expected = spatialembed.load(tmp_path / "x.onnx"), spatialembed.load(run, "cpu")
    np.testing.assert_allclose(low.raw(image), expected.raw(image), atol=0.2)


def test_int8(run, scenes, tmp_path, capsys) -> None:
    path = tmp_path / "x.onnx"
    assert main(["export", str(run), str(path), "--precision", "int8", "--data", str(scenes)]) == 0
    said = capsys.readouterr().out
    assert "where float32 has" in said
    assert "validation images: 2 (too few to tell)" in said
    texts = {p.key: json.loads(p.value) for p in onnx.load(path).metadata_props}
    assert texts[EXPORT_KEY]["calibrated_on"] == 3
    assert texts[EXPORT_KEY]["checked_on"] == 2
    assert sum(node.op_type == "QuantizeLinear" for node in onnx.load(path).graph.node) > 5
    image = picture(64, 96)
    small, exact = spatialembed.load(path).raw(image), spatialembed.load(run, "cpu").raw(image)
    assert (
        np.abs(small - exact).mean()
        < 0.05 * np.abs(exact - exact.mean((1, 2), keepdims=True)).mean() + 0.05
    )
    assert main(["evaluate", str(path), str(scenes), "--out", str(tmp_path / "scores")]) == 0


def test_int8_that_costs_accuracy_is_refused(run, scenes, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(int8, "TOLERATED", -0.1)
    path = tmp_path / "x.onnx"
    with pytest.raises(
        UserError, match=r"int8 costs .* points of mean AP .* validation images of .*: 2"
    ):
        export_model(run, path, "int8", scenes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x.bin",), "does not end in .onnx"),
        (("x.onnx", "int8"), "add --data"),
        (("x.onnx", "float32", "data"), "leave out --data"),
    ],
)
def test_bad_requests(run, tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        export_model(run, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_bad_files(exported, tmp_path) -> None:
    with pytest.raises(UserError, match="there is no model at"):
        spatialembed.load(tmp_path / "none.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"no model" * 100)
    with pytest.raises(UserError, match="is damaged"):
        spatialembed.load(tmp_path / "junk.onnx")
    with pytest.raises(UserError, match="is damaged"):
        _open_in_onnx_runtime(tmp_path / "junk.onnx")
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match="not exported by this version"):
        spatialembed.load(tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match="runs on the processor"):
        spatialembed.load(exported, "cuda")
    with pytest.raises(UserError, match="is an exported model"):
        export_model(exported, tmp_path / "again.onnx")
    with pytest.raises(UserError, match="exported in float32"):
        spatialembed.load(exported, precision="bf16")


IN_ORDER = """
import gc, signal, subprocess, sys
import spatialembed
signal.signal(signal.SIGCHLD, lambda *_: None)
first, second = spatialembed.load(sys.argv[1]), spatialembed.load(sys.argv[1])
del first
gc.collect()
del second
gc.collect()
subprocess.run(["true"])
"""


def test_two_models_gone_in_the_order_they_came(exported) -> None:
    """With a core of OpenVINO each, the next signal crashed the process."""
    done = subprocess.run([sys.executable, "-c", IN_ORDER, str(exported)], capture_output=True)
    assert done.returncode == 0
