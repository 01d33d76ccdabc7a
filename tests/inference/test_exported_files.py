"""Exported files that were damaged, or are none: a sentence, and no runtime that fills memory."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from spatialembed.errors import UserError
from spatialembed.inference.onnx_file import read_metadata, sealed
from spatialembed.inference.onnx_network import EXPORT_KEY, SPEC_KEY, OnnxNetwork
from spatialembed.models.spec import ModelSpec

SPEC = ModelSpec("residual_unet", in_channels=1)
VOLUMES = json.dumps(ModelSpec("residual_unet", dims=3, pitch=(1, 1, 1), in_channels=1).to_dict())


def small(spec: Any = None, export: Any = None, operator: str = "Conv") -> onnx.ModelProto:
    """A network of one convolution, with what an exported file says of itself."""
    weights = np.random.default_rng(0).normal(size=(4, 1, 1, 1)).astype(np.float32)
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 1, "h", "w"])
    made = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["b", 4, "h", "w"])
    nodes = [helper.make_node("Conv", ["image", "weights"], ["output"])]
    tensors = [numpy_helper.from_array(weights, "weights")]
    if operator != "Conv":
        nodes = [
            helper.make_node(operator, ["size"], ["much"]),
            helper.make_node("Conv", ["image", "weights"], ["maps"]),
            helper.make_node("Add", ["maps", "much"], ["output"]),
        ]
        tensors.append(numpy_helper.from_array(np.array([10**5, 10**5]), "size"))
    graph = helper.make_graph(nodes, "g", [given], [made], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    texts = {
        SPEC_KEY: json.dumps(SPEC.to_dict()) if spec is None else spec,
        EXPORT_KEY: json.dumps({"precision": "float32", "stride": 4}) if export is None else export,
    }
    helper.set_model_props(model, texts)
    return model


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "m.onnx").write_bytes(sealed(small().SerializeToString()))
    return tmp_path / "m.onnx"


def sentence(path: Path) -> str:
    with pytest.raises(UserError, match=re.escape(path.name)) as error:
        OnnxNetwork(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_sealed_file_is_onnx_and_says_what_it_said(written: Path) -> None:
    model = onnx.load(written)
    onnx.checker.check_model(model)
    told = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert len(told["spatialembed_digest"]) == 64
    assert {key: json.loads(value) for key, value in read_metadata(written).items()} == told
    assert OnnxNetwork(written)(np.ones((1, 5, 7), np.float32)).shape == (4, 5, 7)
    assert OnnxNetwork(written).spec == SPEC


def test_any_flipped_bit_is_refused(written: Path) -> None:
    content = written.read_bytes()
    for place in range(0, len(content) - 91, 7):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        written.write_bytes(changed)
        sentence(written)


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    sentence(written)


def test_a_file_of_before_there_was_a_checksum_loads(written: Path) -> None:
    written.write_bytes(small().SerializeToString())
    assert OnnxNetwork(written).precision == "float32"


@pytest.mark.parametrize(
    ("spec", "export", "told"),
    [
        ("{", None, "its description is not JSON"),
        ("[]", None, "must be a mapping"),
        ("[" * 100_000, None, "its description is not JSON"),
        (json.dumps(SPEC.to_dict() | {"pitch": [0, 1]}), None, "pitch"),
        (json.dumps(SPEC.to_dict() | {"in_channels": 3}), None, "is damaged"),
        (json.dumps(SPEC.to_dict() | {"class_names": ["a", "b"]}), None, "is damaged"),
        (None, "3", "no precision"),
        (None, '{"precision": "float32"}', "no stride"),
        (None, '{"precision": ["float32"], "stride": 4}', "no precision"),
        (None, '{"precision": "float32", "stride": "4"}', "no stride"),
        (None, '{"precision": "float32", "stride": 1000000000}', "stride from 1"),
        (None, '{"precision": "float32", "stride": 0}', "stride from 1"),
        (None, '{"precision": "float32", "stride": [4, 4]}', "stride from 1"),
        (VOLUMES, None, "stride from 1 to 32 along z, y and x"),
        (VOLUMES, '{"precision": "float32", "stride": [4, 4]}', "along z, y and x"),
        (VOLUMES, '{"precision": "float32", "stride": [4, 4, 64]}', "along z, y and x"),
        (VOLUMES, '{"precision": "float32", "stride": [4, 4, 4]}', "is damaged"),
    ],
)
def test_what_a_file_says_of_itself_is_checked(
    written: Path, spec: Any, export: Any, told: str
) -> None:
    written.write_bytes(sealed(small(spec, export).SerializeToString()))
    assert told in sentence(written)


def test_operators_that_grow_never_reach_a_runtime(written: Path) -> None:
    written.write_bytes(sealed(small(operator="ConstantOfShape").SerializeToString()))
    assert "no network of spatialembed's" in sentence(written)


def test_a_network_that_gives_no_numbers_is_named(written: Path) -> None:
    model = small()
    bias = numpy_helper.from_array(np.full(4, np.nan, np.float32), "bias")
    model.graph.initializer.append(bias)
    model.graph.node[0].input.append("bias")
    written.write_bytes(sealed(model.SerializeToString()))
    assert "NaN or infinite" in sentence(written)
