#!/usr/bin/env bash
# The average of a large map is up to 25 % too low in torch, OpenCV and ONNX Runtime, where a network asks for it as a pooling.
# Guess before: a pooling over the whole map is right to 1e-4 at any size, as the mean of the same numbers is; or sums in float32
# end where adding one changes nothing. Seen with torch 2.13.0+cpu, onnxruntime 1.32.0, opencv-python-headless 5.0.0.93 and openvino 2026.4.1 on
# x86-64, for a map of 6000 x 6000 numbers of 1 to 1.5: torch's avg_pool2d is 25 % too low and adaptive_avg_pool2d(2) and interpolate(mode=
# "area") 5 %; ONNX's GlobalAveragePool 25 % in OpenCV and 5 % in ONNX Runtime, whose ReduceL2 is 11 % too low. torch's
# adaptive_avg_pool2d(1), ReduceMean in all three, and OpenVINO in all are right. So a network that weighs channels by their
# averages, or pools a pyramid of them, sees others in a whole slide than in a tile, and others by the runtime.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.32.0 openvino==2026.4.1 opencv-python-headless==5.0.0.93 onnx==1.23.2 numpy==2.4.6 torch==2.13.0+cpu
cd "$folder"
venv/bin/python - <<'PY'
import sys

import cv2
import numpy as np
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper
from torch.nn import functional


def network(operator: str, size: int) -> bytes:
    axes = {} if operator == "GlobalAveragePool" else {"axes": [2, 3]}
    node = helper.make_node(operator, ["map"], ["mean"], **axes)
    given = helper.make_tensor_value_info("map", TensorProto.FLOAT, (1, 1, size, size))
    wanted = helper.make_tensor_value_info("mean", TensorProto.FLOAT, (1, 1, 1, 1))
    graph = helper.make_graph([node], "network", [given], [wanted])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def by_onnxruntime(file: bytes, values: np.ndarray) -> float:
    return onnxruntime.InferenceSession(file).run(None, {"map": values})[0].item()


def by_openvino(file: bytes, values: np.ndarray) -> float:
    core = openvino.Core()
    return core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(values)[0].item()


def by_opencv(file: bytes, values: np.ndarray) -> float:
    loaded = cv2.dnn.readNetFromONNX(np.frombuffer(file, np.uint8))
    loaded.setInput(values)
    return loaded.forward().item()


far = set()
for size in (512, 6000):
    values = 1 + np.random.default_rng(0).random((1, 1, size, size), dtype=np.float32) / 2
    for operator in ("GlobalAveragePool", "ReduceMean", "ReduceL2"):
        true = values.mean(dtype=float) if operator != "ReduceL2" else np.sqrt(np.square(values, dtype=float).sum())
        for way in (by_onnxruntime, by_openvino, by_opencv):
            off = way(network(operator, size), values) / true - 1
            print(size, operator, way.__name__, f"off by {off:.2%}")
            if abs(off) > 0.01:
                far.add((size, operator, way.__name__))
    tensor, true = torch.from_numpy(values), values.mean(dtype=float)
    for name, found in (
        ("avg_pool2d", functional.avg_pool2d(tensor, size)),
        ("adaptive_avg_pool2d(1)", functional.adaptive_avg_pool2d(tensor, 1)),
        ("adaptive_avg_pool2d(2)", functional.adaptive_avg_pool2d(tensor, 2)),
        ("interpolate area", functional.interpolate(tensor, size=2, mode="area")),
    ):
        off = float(found.double().mean()) / true - 1
        print(size, name, f"by torch off by {off:.2%}")
        if abs(off) > 0.01:
            far.add((size, name, "torch"))
expected = {
    (6000, "GlobalAveragePool", "by_onnxruntime"),
    (6000, "GlobalAveragePool", "by_opencv"),
    (6000, "ReduceL2", "by_onnxruntime"),
    (6000, "avg_pool2d", "torch"),
    (6000, "adaptive_avg_pool2d(2)", "torch"),
    (6000, "interpolate area", "torch"),
}
print("as seen before" if far == expected else f"changed: {far}")
sys.exit(far != expected)
PY
