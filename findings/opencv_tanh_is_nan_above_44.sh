#!/usr/bin/env bash
# OpenCV 5's tanh of a network is NaN above 44, and its softplus infinite above 88.
# Guess before: 1, and the number itself, as by ONNX Runtime, whatever the size. Seen with opencv-python-headless 5.0.0.93,
# onnxruntime 1.32.0, x86-64 with AVX2: cv2.dnn's tanh is 1 up to 44 and NaN from 45 on, where exp(2x) is infinite in
# float32, but for the few pixels at the end of a map that fill no vector, which are 1. Networks that bound an offset or a
# direction by a tanh, and feed it what is not bounded, lose the surest pixels. Sigmoid, mish, ELU and GELU are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - <<'PY'
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
from onnx import helper

steps = np.array([-1000, -100, -60, -10, 0, 10, 44, 45, 60, 80, 88, 91, 100, 1000], np.float32)
values = np.repeat(steps, 64)[None]
seen = {}
for operator in ("Tanh", "Softplus", "Sigmoid", "Mish", "Elu", "Gelu"):
    ends = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, values.shape)] for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "network", *ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    net.setInput(values)
    found = net.forward()
    exact = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": values})[0]
    wrong = ~np.isclose(found, exact, rtol=1e-3, atol=1e-3)
    seen[operator] = sorted({(float(value), str(result)) for value, result in zip(values[wrong], found[wrong])})
    print(operator, "is wrong at", seen[operator] or "none")
expected = {operator: [] for operator in ("Sigmoid", "Mish", "Elu", "Gelu")}
expected["Tanh"] = [(value, "nan") for value in (45.0, 60.0, 80.0, 88.0, 91.0, 100.0, 1000.0)]
expected["Softplus"] = [(value, "inf") for value in (91.0, 100.0, 1000.0)]
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
