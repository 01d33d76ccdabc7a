"""Models of volumes are exported as those of images are."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import spatialembed
from spatialembed.cli.main import main
from spatialembed.demo.volumes import write_volumes
from spatialembed.embedding import PITCH
from spatialembed.export import int8
from spatialembed.export.onnx import export_model
from spatialembed.inference.onnx_network import EXPORT_KEY, _open_in_onnx_runtime
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec


def saved(path: Path, flat: int, fine: int) -> Path:
    """A run folder with a network of volumes that is past its first steps."""
    torch.manual_seed(0)
    options = {"widths": [4, 8], "blocks": [1, 1], "flat": flat, "fine": fine}
    spec = ModelSpec(
        "residual_unet", options, 1, n_sigma=3, dims=3, zoom=0.8, pitch=(PITCH,) * 3,
        normalization=Normalization("percentile"), min_size=5, seed_threshold=0.5,
    )  # fmt: skip
    module = spec.build()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm3d):
            nn.init.normal_(layer.weight, 1, 0.2)
            nn.init.normal_(layer.running_mean, 0, 0.2)
    nn.init.constant_(module.seed_head.output_conv.bias, 0.5)
    save_model(path / "model.safetensors", module, spec)
    return path


@pytest.fixture(scope="module", params=[(0, 8), (1, 0)], ids=["fine", "flat"])
def both(request, tmp_path_factory) -> tuple[Path, Path]:
    """A run folder, and the file that is exported from it."""
    folder = tmp_path_factory.mktemp("volumes")
    run = saved(folder / "run", *request.param)
    assert main(["export", str(run), str(folder / "x.onnx")]) == 0
    return run, folder / "x.onnx"


def voxels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


@settings(deadline=None, max_examples=8)
@given(st.tuples(st.integers(1, 13), st.integers(1, 30), st.integers(1, 30)))
def test_output_is_that_of_torch_at_any_size(both, shape) -> None:
    expected, found = (spatialembed.load(path, "cpu") for path in both)
    assert found.spec == expected.spec
    np.testing.assert_allclose(found.raw(voxels(*shape)), expected.raw(voxels(*shape)), atol=1e-4)


def test_instances_are_those_of_torch(both) -> None:
    expected, found = (spatialembed.load(p, "cpu").predict(voxels(7, 33, 41)) for p in both)
    assert len(expected) > 1
    np.testing.assert_array_equal(found.label_map, expected.label_map)


def test_onnx_runtime_says_the_same(both) -> None:
    run, path = both
    expected = spatialembed.load(run, "cpu").network(np.ones((1, 8, 12, 20), np.float32))
    found = _open_in_onnx_runtime(path)(np.ones((2, 1, 8, 12, 20), np.float32))
    np.testing.assert_allclose(found, [expected, expected], atol=1e-4)


def test_the_file_says_the_stride_of_each_axis(both) -> None:
    model = onnx.load(both[1])
    onnx.checker.check_model(model)
    batch, channels, *sides = model.graph.input[0].type.tensor_type.shape.dim
    assert channels.dim_value == 1
    assert all(side.dim_param for side in (batch, *sides))
    texts = {p.key: json.loads(p.value) for p in model.metadata_props}
    flat = texts["spatialembed"]["network_options"]["flat"]
    assert texts[EXPORT_KEY] == {"precision": "float32", "stride": [4 >> flat, 4, 4]}


def test_int8_is_calibrated_and_checked_on_volumes(tmp_path) -> None:
    run = saved(tmp_path / "run", flat=1, fine=8)
    write_volumes(tmp_path / "data", 2, 1, 1, shape=(12, 40, 44))
    notes = export_model(run, tmp_path / "x.onnx", "int8", tmp_path / "data")
    assert (notes["calibrated_on"], notes["checked_on"]) == (2, 1)
    nodes = [node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node]
    assert nodes.count("QuantizeLinear") > 5
    volume = tifffile.imread(next((tmp_path / "data" / "train" / "images").iterdir()))
    small, large = (spatialembed.load(p).raw(volume) for p in (tmp_path / "x.onnx", run))
    spread = np.abs(large - large.mean((1, 2, 3), keepdims=True)).mean()
    assert 0 < np.abs(small - large).mean() < 0.05 * spread + 0.05


def test_the_middle_of_a_volume_is_taken(monkeypatch) -> None:
    volume = np.arange(2 * 3 * 5 * 9, dtype=np.float32).reshape(2, 3, 5, 9)
    monkeypatch.setitem(int8.LARGEST, 3, 4)
    taken = int8._middle(volume, (2, 4, 4))
    assert taken.shape == (1, 2, 4, 4, 4)
    np.testing.assert_array_equal(taken[0, :, :3], volume[:, :, :4, 2:6])
    np.testing.assert_array_equal(taken[0, :, 3], taken[0, :, 2])
