#!/usr/bin/env bash
# OpenVINO computes integers of a network in float32 or int32, so that ids, and places, beyond 24 bits become others.
# Guess before: integer operators of ONNX are exact, as in ONNX Runtime; or ids above 2^24 merge in some of them.
# Seen with openvino 2026.4.1 on a processor: of 64 int32 ids above 2^24 that are all odd, Resize by the nearest pixel,
# ReduceMax and Relu make half of them others, and merge them; the row of a pixel in an image 5000 wide, its flat
# place // 5000, is one too many for some beyond 2^24; and int64 ids of 2^33 come back as small ones. Nothing is said,
# and the precision is already asked for as f32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper


def both(kind: str, values: np.ndarray, others: dict[str, np.ndarray], **attributes) -> list[np.ndarray]:
    """One operator on integers, by ONNX Runtime and by OpenVINO."""
    dtype = helper.np_dtype_to_tensor_dtype(values.dtype)
    node = helper.make_node(kind, ["x", *others], ["y"], **attributes)
    given = helper.make_tensor_value_info("x", dtype, values.shape)
    wanted = helper.make_tensor_value_info("y", dtype, None)
    fixed = [numpy_helper.from_array(array, name) for name, array in others.items()]
    graph = helper.make_graph([node], "g", [given], [wanted], fixed)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    file = file.SerializeToString()
    exact = onnxruntime.InferenceSession(file).run(None, {"x": values})[0]
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [exact, compiled(values)[0]]


print("openvino", openvino.__version__)
ids = (2**24 + 1 + 2 * np.arange(64)).astype(np.int32).reshape(1, 1, 8, 8)
twice = {"roi": np.array([], np.float32), "scales": np.array([1, 1, 2, 2], np.float32)}
nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
seen = {}
for kind, others, attributes in (
    ("Resize", twice, nearest),
    ("ReduceMax", {"axes": np.array([2], np.int64)}, {}),
    ("Relu", {}, {}),
    ("Add", {"one": np.array(1, np.int32)}, {}),
):
    exact, found = both(kind, ids, others, **attributes)
    seen[kind] = bool((exact == found).all())
    print(kind, "of int32:", len(np.unique(exact)), "ids,", len(np.unique(found)), "left, equal:", seen[kind])
place = np.arange(4999, 25_000_000, 5000, dtype=np.int64)  # the last pixel of each row
exact, found = both("Div", place, {"width": np.array(5000, np.int64)})
wrong = place[exact != found]
seen["rows"] = len(wrong) == 0
print("rows of 5000:", len(wrong), "wrong, the first at place", wrong[:1], "by", np.unique(found - exact))
exact, found = both("Add", ids.astype(np.int64) * 512, {"one": np.array(1, np.int64)})
seen["int64"] = bool((exact == found).all())
print("Add of int64:", exact.ravel()[:2], found.ravel()[:2])
expected = {key: key == "Add" for key in seen}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
