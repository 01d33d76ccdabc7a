#!/usr/bin/env bash
# OnnxSlim turns a weight of each column of a map into one of each channel where there are as many columns as channels.
# Guess before: a slimmed network computes the same to 1e-4, whatever follows a convolution. Seen with onnxslim 0.1.98, onnx 1.23.2
# and onnxruntime 1.32.0: by ONNX's rules a Mul by 8 numbers weights the last axis, the 8 columns; slim puts them into the
# convolution's 8 kernels, so that a ramp from left to right, as of a tile's weights or of a coordinate, runs over the channels. An Add
# of the same 8 numbers stays, and so do a Mul of 12 columns and one of shape (8, 1, 1), which means channels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
import onnxslim
from onnx import helper, numpy_helper


def network(operator: str, shape: tuple[int, ...], width: int) -> onnx.ModelProto:
    """A convolution of 1 x 1 pixels that copies an image to 8 channels, and a ramp on what it gives."""
    ramp = np.linspace(0, 1, np.prod(shape), dtype=np.float32).reshape(shape)
    fixed = {"ones": np.ones((8, 1, 1, 1), np.float32), "ramp": ramp}
    nodes = [
        helper.make_node("Conv", ["image", "ones"], ["copies"]),
        helper.make_node(operator, ["copies", "ramp"], ["map"]),
    ]
    given = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (1, 1, 4, width))
    wanted = helper.make_tensor_value_info("map", onnx.TensorProto.FLOAT, (1, 8, 4, width))
    tensors = [numpy_helper.from_array(array, name) for name, array in fixed.items()]
    graph = helper.make_graph(nodes, "network", [given], [wanted], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto, width: int) -> np.ndarray:
    image = np.ones((1, 1, 4, width), np.float32)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": image})[0]


seen = {}
for name, shape, width in (("Mul", (8,), 8), ("Add", (8,), 8), ("Mul", (12,), 12), ("Mul", (8, 1, 1), 8)):
    model = network(name, shape, width)
    onnx.checker.check_model(model)
    before, after = run(model, width), run(onnxslim.slim(model), width)
    seen[name, shape] = round(float(np.abs(before - after).max()), 3)
    print(name, shape, "row of the first channel before:", before[0, 0, 0].round(2), "after:", after[0, 0, 0].round(2))
expected = {("Mul", (8,)): 1.0, ("Add", (8,)): 0.0, ("Mul", (12,)): 0.0, ("Mul", (8, 1, 1)): 0.0}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
