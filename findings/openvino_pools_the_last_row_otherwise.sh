#!/usr/bin/env bash
# OpenVINO's average pooling is darker in the last row and column than torch's, and its maximum pooling may have one more.
# Guess before: pooled maps of torch, ONNX Runtime and OpenVINO agree to 1e-4, since all have the same options. Seen with
# torch 2.13.0+cpu, onnxruntime 1.32.0 and openvino 2026.4.1: avg_pool2d(3, stride 2, padding 1, ceil_mode=True) of an
# image of ones, 64 x 80, is .5 in the middle of the last row and .25 in the last corner by torch and ONNX Runtime, .33
# and .11 by OpenVINO, whether it reads ONNX or torch itself, since it counts what lies beyond the padding; and
# max_pool2d(2, stride 2, padding 1, ceil_mode=True) of 63 x 81 is 33 x 42 from ONNX, where the others have 32 x 41.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 \
  onnxruntime==1.32.0 openvino==2026.4.1
cd "$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import numpy as np
import onnxruntime
import openvino
import torch

OPTIONS = {"INFERENCE_PRECISION_HINT": "f32"}


def pooled(layer: torch.nn.Module, height: int, width: int) -> dict[str, np.ndarray]:
    """What each library gives of an image of ones."""
    image = torch.ones(1, 1, height, width)
    torch.onnx.export(layer, (image,), "net.onnx", dynamo=True, opset_version=18, verbose=False)
    session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    core = openvino.Core()
    converted = openvino.convert_model(layer, example_input=image)
    return {
        "torch": layer(image).numpy()[0, 0],
        "ONNX Runtime": session.run(None, {session.get_inputs()[0].name: image.numpy()})[0][0, 0],
        "OpenVINO": core.compile_model("net.onnx", "CPU", OPTIONS)(image.numpy())[0][0, 0],
        "OpenVINO from torch": core.compile_model(converted, "CPU", OPTIONS)(image.numpy())[0][0, 0],
    }


seen = {}
for name, result in pooled(torch.nn.AvgPool2d(3, 2, 1, ceil_mode=True), 64, 80).items():
    seen["average", name] = round(float(result[-1, 20]), 2), round(float(result[-1, -1]), 2)
    print("average, last row and last corner by", name, seen["average", name])
for name, result in pooled(torch.nn.MaxPool2d(2, 2, 1, ceil_mode=True), 63, 81).items():
    seen["maximum", name] = result.shape
    print("maximum, size by", name, result.shape)
expected = {("average", name): (0.5, 0.25) for name in ("torch", "ONNX Runtime")}
expected |= {("average", name): (0.33, 0.11) for name in ("OpenVINO", "OpenVINO from torch")}
expected |= {("maximum", name): (32, 41) for name in ("torch", "ONNX Runtime", "OpenVINO from torch")}
expected["maximum", "OpenVINO"] = (33, 42)
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
