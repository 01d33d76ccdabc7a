#!/usr/bin/env bash
# ONNX's optimizer drops the zeros that were padded around a map before a maximum pooling.
# Guess before: an optimized network computes the same; a Pad of another value than 0, or of a border repeated, may be taken for one
# of 0. Seen with onnxoptimizer 0.4.2, its default passes, onnx 1.23.2 and onnxruntime 1.32.0: other values and modes stay, but a
# Pad of 0 becomes the pooling's own padding, which is never the maximum. Where a map is negative, as logits outside of cells are,
# its border is -1 rather than 0 after it; with ceil_mode the map has one column more. For convolutions the same step is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxoptimizer==0.4.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import onnx
import onnxoptimizer
import onnxruntime
from onnx import helper, numpy_helper

IMAGE = np.full((1, 1, 8, 9), -1, np.float32)


def network(operator: str, value: float, **attributes: object) -> onnx.ModelProto:
    """A Pad of one pixel on each side, and a convolution or pooling of 3 x 3 pixels."""
    fixed = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "value": np.float32(value)}
    if operator == "Conv":
        fixed["ones"] = np.ones((1, 1, 3, 3), np.float32)
    nodes = [
        helper.make_node("Pad", ["image", "pads", "value"], ["padded"]),
        helper.make_node(operator, ["padded", *[*fixed][2:]], ["map"], kernel_shape=[3, 3], **attributes),
    ]
    given = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, IMAGE.shape)
    wanted = helper.make_tensor_value_info("map", onnx.TensorProto.FLOAT, [1, 1, "rows", "columns"])
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in fixed.items()]
    graph = helper.make_graph(nodes, "network", [given], [wanted], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto) -> np.ndarray:
    """The map, as ONNX Runtime has it without optimizations of its own."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"image": IMAGE})[0]


seen = {}
for name, model in (
    ("MaxPool, 0", network("MaxPool", 0)),
    ("MaxPool, 0, ceil_mode", network("MaxPool", 0, strides=[2, 2], ceil_mode=1)),
    ("MaxPool, 1", network("MaxPool", 1)),
    ("Conv, 0", network("Conv", 0)),
):
    onnx.checker.check_model(model)
    before, after = run(model), run(onnxoptimizer.optimize(model))
    seen[name] = before.shape[2:], float(before[0, 0, 0, 0]), after.shape[2:], float(after[0, 0, 0, 0])
    print(name, "shape and corner before:", *seen[name][:2], "after:", *seen[name][2:])
expected = {
    "MaxPool, 0": ((8, 9), 0.0, (8, 9), -1.0),
    "MaxPool, 0, ceil_mode": ((5, 5), 0.0, (5, 5), -1.0),
    "MaxPool, 1": ((8, 9), 1.0, (8, 9), 1.0),
    "Conv, 0": ((8, 9), -4.0, (8, 9), -4.0),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
