#!/usr/bin/env bash
# ONNX's version converter moves what an older network makes larger by linear interpolation, by half a new pixel or more.
# Guess before: a network computes the same after onnx.version_converter, or is refused. Seen with onnx 1.23.2, onnxruntime
# 1.32.0: Resize of opset 10 and Upsample of 9 take new pixel i from old place i / factor; of opset 11 on the operator has
# an attribute for that, whose default is (i + .5) / factor - .5. The converter adds none, so that maps made twice as
# large move by a quarter of an old pixel, four times by .375, which is 1.5 new ones, right of and below where they were.
# Nearest by 2 stays right, and softmax, whose axes changed too, is rewritten.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, version_converter


def network(operator: str, opset: int, factor: int, mode: str) -> onnx.ModelProto:
    """One operator that makes an image of 6 x 32 pixels ``factor`` times as large."""
    scales = numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "scales")
    node = helper.make_node(operator, ["image", "scales"], ["large"], mode=mode)
    ends = [
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, 6 * size, 32 * size])]
        for name, size in (("image", 1), ("large", factor))
    ]
    graph = helper.make_graph([node], "network", *ends, [scales])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def places(model: onnx.ModelProto) -> np.ndarray:
    """The old column that each new one was taken from, as the image holds the numbers of its columns."""
    onnx.checker.check_model(model)
    image = np.tile(np.arange(32, dtype=np.float32), (1, 1, 6, 1))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0][0, 0, 0]


seen = {}
for operator, opset, mode in (("Resize", 10, "linear"), ("Upsample", 9, "linear"), ("Resize", 10, "nearest")):
    for factor in (2, 4) if mode == "linear" else (2,):
        old = network(operator, opset, factor, mode)
        moved = places(version_converter.convert_version(old, 18)) - places(old)
        seen[operator, mode, factor] = float(moved[len(moved) // 2])
        print(operator, opset, mode, "by", factor, "takes places", seen[operator, mode, factor], "pixels from before at 18")
moves = {2: -0.25, 4: -0.375}
expected = {(operator, "linear", factor): moves[factor] for operator in ("Resize", "Upsample") for factor in moves}
expected["Resize", "nearest", 2] = 0.0
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
