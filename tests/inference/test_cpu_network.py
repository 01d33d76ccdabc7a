"""A network on the processor says the same by OpenVINO as in torch, and goes on without it."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spatialembed.errors import UserError
from spatialembed.inference import cpu_network, engine, processor
from spatialembed.inference.cpu_network import TOLERANCE, CpuNetwork
from spatialembed.inference.engine import EngineNetwork
from spatialembed.inference.loading import file_to_run, load, load_network, weights_of
from spatialembed.inference.onnx_network import OnnxNetwork
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.large.worker_model import ModelSource
from spatialembed.models import build
from spatialembed.models.checkpoint import read_spec, save_model
from spatialembed.models.folding import folded
from spatialembed.models.shipped import in_8_bits, shipped_models
from spatialembed.models.spec import ModelSpec

NETWORKS = {
    "branched_erfnet": {},
    "residual_unet": {"widths": [8, 16, 16], "blocks": [1, 1, 1], "fine": 4},
    "pretrained_unet": {},
}


def network(name: str, channels: int = 1) -> nn.Module:
    """One whose batch norms do something."""
    torch.manual_seed(0)
    made = build(name, channels, 2, 1, **NETWORKS[name])
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.running_mean, -0.1, 0.1)
    return folded(made.eval())


@pytest.fixture(scope="module", params=NETWORKS)
def both(request: pytest.FixtureRequest) -> tuple[TorchNetwork, CpuNetwork]:
    made = network(request.param, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_network, "WORTH", 1)
        found = CpuNetwork(made, 3)
        found(np.zeros((3, 8, 8), np.float32))
    assert isinstance(found._network, EngineNetwork)
    return TorchNetwork(made), found


@settings(deadline=None, max_examples=15)
@given(height=st.integers(1, 150), width=st.integers(1, 150), seed=st.integers(0, 9))
def test_both_say_the_same_of_any_size(both, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).random((3, height, width), np.float32)
    expected, found = (one(image) for one in both)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=TOLERANCE / 10, rtol=1e-4)


@pytest.mark.parametrize(("flat", "fine"), [(0, 0), (1, 8)])
def test_both_say_the_same_of_volumes(monkeypatch, flat: int, fine: int) -> None:
    monkeypatch.setattr(cpu_network, "WORTH", 1)
    monkeypatch.setattr(engine, "PLANNED", 6 * 24 * 28)  # the last of these
    torch.manual_seed(0)
    options = {"widths": [4, 8], "blocks": [1, 1], "flat": flat, "fine": fine}
    made = folded(build("residual_unet", 2, 3, 1, 3, **options).eval())
    found, expected = CpuNetwork(made, 2, 3), TorchNetwork(made)
    for shape in ((1, 1, 1), (3, 17, 9), *[(6, 23, 26)] * 2):
        volume = np.random.default_rng(0).random((2, *shape), np.float32)
        for one in (found, pickle.loads(pickle.dumps(found))):
            np.testing.assert_allclose(one(volume), expected(volume), atol=TOLERANCE / 10)
    assert isinstance(found._network, EngineNetwork)
    assert found._network._run._size == ((6, 24, 28) if flat else (8, 24, 28))


def test_copies_say_the_same(both) -> None:
    image = np.random.default_rng(0).random((3, 21, 34), np.float32)
    for one in both:
        for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
            np.testing.assert_allclose(other(image), one(image), atol=TOLERANCE / 10)


def test_threads_may_share_a_network(both) -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((3, side, side), np.float32) for side in (40, 64, 40, 50, 64, 33) * 4]
    expected = [both[1](image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(both[1], images), expected, strict=True):
            assert np.array_equal(one, other)


def test_torch_is_left_when_as_many_pixels_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_network, "WORTH", 500)
    found = CpuNetwork(network("residual_unet"), 1)
    kinds = []
    for side in (10, 19, 10, 10):  # 100, 461, 561, all that follows
        found(np.zeros((1, side, side), np.float32))
        kinds.append(isinstance(found._network, EngineNetwork))
    assert kinds == [False, False, True, True]


@pytest.mark.parametrize("fault", [ImportError, RuntimeError, AttributeError])
def test_torch_goes_on_where_the_other_cannot(monkeypatch, fault: type[Exception]) -> None:
    def refusing(module: nn.Module, channels: int) -> object:
        raise fault

    monkeypatch.setattr(cpu_network, "WORTH", 1)
    monkeypatch.setattr(cpu_network, "traced", refusing)
    made, image = network("residual_unet"), np.ones((1, 20, 30), np.float32)
    assert np.array_equal(CpuNetwork(made, 1)(image), TorchNetwork(made)(image))


def test_torch_goes_on_where_the_other_says_something_else(monkeypatch) -> None:
    right = cpu_network.traced
    other = network("residual_unet")
    nn.init.constant_(other.seed_head.output_conv.bias, 3.0)
    monkeypatch.setattr(cpu_network, "WORTH", 1)
    monkeypatch.setattr(cpu_network, "traced", lambda module, channels: right(other, channels))
    made, image = network("residual_unet"), np.ones((1, 20, 30), np.float32)
    found = CpuNetwork(made, 1)
    assert np.array_equal(found(image), TorchNetwork(made)(image))
    assert isinstance(found._network, TorchNetwork)


def test_a_model_of_a_file_runs_in_torch_at_first(tmp_path: Path) -> None:
    options = NETWORKS["residual_unet"]
    spec = ModelSpec("residual_unet", options, in_channels=1, n_sigma=2)
    save_model(tmp_path / "m.safetensors", build("residual_unet", 1, 2, 1, **options), spec)
    assert isinstance(load(tmp_path / "m.safetensors", "cpu").network, CpuNetwork)
    assert isinstance(load(tmp_path / "m.safetensors", "cpu", "bf16").network, TorchNetwork)


def test_a_model_of_volumes_goes_over_to_it_too(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cpu_network, "WORTH", 1)
    options = {"widths": [4, 8], "blocks": [1, 1]}
    spec = ModelSpec("residual_unet", options, in_channels=1, dims=3, pitch=(1e-3,) * 3)
    save_model(tmp_path / "m.safetensors", spec.build(), spec)
    model = load(tmp_path / "m.safetensors", "cpu")
    model.predict(np.zeros((3, 9, 9), np.uint8))
    assert isinstance(model.network._network, EngineNetwork)
    assert isinstance(load(tmp_path / "m.safetensors", "cpu", "bf16").network, TorchNetwork)


@pytest.mark.parametrize("precision", [None, "float32", "bf16"])
def test_a_model_can_be_sent_to_another_process(monkeypatch, precision: str | None) -> None:
    monkeypatch.setattr(cpu_network, "WORTH", 1)
    model = load("nuclei", "cpu", precision)
    image = np.random.default_rng(0).integers(0, 255, (60, 70), np.uint8)
    expected = model.raw(image)  # with what runs it in place
    sent = pickle.loads(pickle.dumps(model))
    assert (sent.name, sent.weights) == (model.name, model.weights)
    np.testing.assert_allclose(sent.raw(image), expected, atol=TOLERANCE, rtol=0)


def test_a_sent_model_whose_file_is_another_by_now_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("spatialembed.inference.onnx_file._is_whole", lambda content: True)
    path = tmp_path / "m.onnx"
    small = in_8_bits("nuclei")
    assert small is not None
    path.write_bytes(small.read_bytes())
    sent = pickle.dumps(load(path, "cpu"))
    assert pickle.loads(sent).name == str(path)
    path.write_bytes(small.read_bytes() + b"\x12\x01x")  # another name of what made it
    load(path, "cpu")
    with pytest.raises(UserError, match=r"m\.onnx is another file than when the model was loaded"):
        pickle.loads(sent)


def test_a_diameter_below_what_has_an_outline_is_refused() -> None:
    with pytest.raises(UserError, match="--diameter 1: objects of less than 2 pixels"):
        load("nuclei", "cpu", diameter=1)


class TestShippedIn8Bits:
    """What `nuclei` is on a processor where nothing else is asked."""

    def test_only_the_name_alone_means_it(self) -> None:
        file, small = shipped_models()["nuclei"], in_8_bits("nuclei")
        assert file_to_run("nuclei", "cpu", None) == small
        assert file_to_run("nuclei", "cpu", "float32") == file
        assert file_to_run(file, "cpu", None) == file

    def test_it_is_the_same_model(self) -> None:
        small = load("nuclei", "cpu")
        assert isinstance(small.network, OnnxNetwork)
        assert small.network.precision == "int8"
        assert small.spec == read_spec(shipped_models()["nuclei"])
        exact = TorchNetwork(load_network("nuclei")[0])
        blob = np.exp(-((np.mgrid[:64, :64] - 32) ** 2).sum(0) / 200)[None].astype(np.float32)
        found, expected = small.network(blob), exact(blob)
        assert np.abs(found - expected)[:, 20:44, 20:44].mean() < 0.1
        assert ((found[4] > 0) == (expected[4] > 0)).mean() > 0.99

    def test_a_graphics_card_takes_the_exact_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("spatialembed.inference.loading.on_processor", lambda device: False)
        assert file_to_run("nuclei", "auto", None) == shipped_models()["nuclei"]

    def test_results_of_each_precision_are_told_apart(self) -> None:
        made = [weights_of(file_to_run("nuclei", "cpu", p), p) for p in (None, "float32", "bf16")]
        assert made[0].endswith(" in int8")
        assert made[2] == f"{made[1]} in bf16"
        assert load("nuclei", "cpu", "bf16").weights == made[2]
        assert ModelSource("nuclei", "cpu", "bf16").weights == made[2]

    def test_workers_take_it_too(self) -> None:
        source = ModelSource("nuclei", "cpu")
        assert source.load().network.precision == "int8"

    def test_it_needs_no_torch(self) -> None:
        code = (
            "import sys; from spatialembed.inference.loading import load; load('nuclei', 'cpu');"
            "assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_driver_no_torch_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(name: str) -> torch.device:
        raise AssertionError(name)

    monkeypatch.setattr(processor, "_may_have_card", lambda: False)
    monkeypatch.setattr("spatialembed.inference.torch_network.pick_device", never)
    assert processor.on_processor("auto")
    assert processor.on_processor("cpu")


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_with_a_driver_torch_says_which_it_is(monkeypatch, kind: str) -> None:
    monkeypatch.setattr(processor, "_may_have_card", lambda: True)
    asked = "spatialembed.inference.torch_network.pick_device"
    monkeypatch.setattr(asked, lambda name: torch.device(kind))
    assert processor.on_processor("auto") == (kind == "cpu")


def test_large_sizes_whose_memory_is_planned_give_the_same(both, monkeypatch) -> None:
    """The first size, then one that comes twice; what was given before stays as it was."""
    _, found = both
    rng = np.random.default_rng(0)
    images = [rng.random((3, *size), np.float32) for size in ((64, 96), (96, 64))]
    expected = [found(image) for image in images]
    run = found._network._run
    monkeypatch.setattr(engine, "PLANNED", 64 * 96)
    sizes, given = [], []
    for k in (0, 1, 0, 1, 1, 0):
        given.append((k, found(images[k])))
        sizes.append(run._size)
    for k, output in given:
        np.testing.assert_allclose(output, expected[k], atol=TOLERANCE)
    assert sizes == [(64, 96)] * 4 + [(96, 64)] * 2
