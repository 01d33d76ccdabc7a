"""Which models are loaded by name and by file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_predictor import Bright

from spatialembed.errors import UserError
from spatialembed.inference.loading import load
from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork, pick_device
from spatialembed.models import build, shipped
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec


def test_load_gives_the_saved_network(tmp_path) -> None:
    torch.manual_seed(0)
    network = build("residual_unet", 1, 1, 1, widths=[4, 4, 4, 4, 4])
    spec = ModelSpec("residual_unet", {"widths": [4, 4, 4, 4, 4]}, in_channels=1)
    save_model(tmp_path / "run" / "model.safetensors", network, spec)
    image = np.random.default_rng(0).integers(0, 255, (19, 33), np.uint8)
    expected = Model(TorchNetwork(network), spec).raw(image)
    for path in (tmp_path / "run", str(tmp_path / "run" / "model.safetensors")):
        loaded = load(path, device="cpu")
        assert loaded.name == str(path)
        np.testing.assert_allclose(loaded.raw(image), expected, atol=1e-5)
        assert loaded.weights == load(tmp_path / "run").used()["weights"] != ""
    low = load(tmp_path / "run", "cpu", "bf16").raw(image)
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, expected, atol=0.1)
    save_model(tmp_path / "run" / "model.safetensors", network, replace(spec, min_size=77))
    assert load(tmp_path / "run").weights != loaded.weights


def test_load_refuses(tmp_path) -> None:
    for name in ("nothing", "nothing.pth", "nothing.safetensors"):
        with pytest.raises(UserError, match="nothing"):
            load(tmp_path / name)
    for switch in ({"invert": "no"}, {"symmetries": "false"}, {"symmetries": 4}):
        with pytest.raises(UserError, match="must be true or false, not"):
            load("nuclei", **switch)
    with pytest.raises(UserError, match="precision"):
        TorchNetwork(Bright(), "half")
    for device in ("cuda:99", "toaster"):
        with pytest.raises(UserError, match="not available"):
            pick_device(device)


def test_shipped_models_have_names(tmp_path, monkeypatch) -> None:
    path = tmp_path / "shipped" / "blobs.safetensors"
    spec = ModelSpec("residual_unet", {"widths": [8, 8], "blocks": [1, 1]})
    save_model(path, spec.build(), spec)
    monkeypatch.setattr(shipped, "packaged", lambda folder, suffix: [path])
    monkeypatch.chdir(tmp_path)
    assert load("blobs", "cpu").name == "blobs"
    (tmp_path / "blobs").mkdir()  # a folder of images, say
    assert load("blobs", "cpu").name == "blobs"
    with pytest.raises(UserError, match="a shipped model: blobs"):
        load("nucleus")
    save_model(tmp_path / "blobs" / "model.safetensors", spec.build(), replace(spec, min_size=77))
    assert load("blobs", "cpu").spec.min_size == 77  # a run of that name goes first


def test_the_shipped_nuclei_model() -> None:
    model = load("nuclei", "cpu")
    assert model.spec.in_channels == 1
    assert model.spec.licence
    assert shipped.shipped_models()["nuclei"].stat().st_size < 12e6
    y, x = np.mgrid[:200, :260]
    image = np.zeros((200, 260), np.float32)
    for row, column in ((40, 50), (60, 150), (120, 90), (150, 200)):
        image += np.exp(-((((y - row) ** 2 + (x - column) ** 2) / 120) ** 2))
    noisy = image + np.random.default_rng(0).normal(0, 0.03, image.shape)
    for stored in (noisy * 200, (noisy.clip(0) * 30_000).astype(np.uint16)):
        found = model.predict(stored)
        assert len(found) == 4
        assert all(100 < area < 900 for area in found.areas)
