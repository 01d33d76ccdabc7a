#!/usr/bin/env bash
# OpenVINO and OpenCV run an ONNX network that makes its input smaller with antialiasing as though it had none.
# Guess before: what torch and ONNX Runtime give, to 1e-4, or a refusal of the attribute antialias of ONNX's Resize, which
# is 1 in the file. Seen with torch 2.13.0+cpu, onnxruntime 1.32.0, openvino 2026.4.1, opencv-python-headless 5.0.0.93:
# F.interpolate(scale_factor=.25, antialias=True) of noise from 0 to 1 is off by up to .35 in both, and equal to
# antialias=False to 1e-6: three of four rows and columns are not looked at. Nothing is said. OpenVINO is right where it
# converts the torch network itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 \
  onnxruntime==1.32.0 openvino==2026.4.1 opencv-python-headless==5.0.0.93
cd "$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from torch.nn.functional import interpolate


class Smaller(torch.nn.Module):
    def __init__(self, antialias: bool) -> None:
        super().__init__()
        self.antialias = antialias

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return interpolate(image, scale_factor=0.25, mode="bilinear", align_corners=False, antialias=self.antialias)


image = torch.from_numpy(np.random.default_rng(0).random((1, 1, 64, 80), np.float32))
exact, plain = (Smaller(antialias)(image).numpy() for antialias in (True, False))
torch.onnx.export(Smaller(True), (image,), "net.onnx", dynamo=True, opset_version=18, verbose=False)
resize = next(node for node in onnx.load("net.onnx").graph.node if node.op_type == "Resize")
print("the file says antialias", next(field.i for field in resize.attribute if field.name == "antialias"))
session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
net = cv2.dnn.readNetFromONNX("net.onnx")
net.setInput(image.numpy())
core = openvino.Core()
options = {"INFERENCE_PRECISION_HINT": "f32"}
results = {
    "ONNX Runtime": session.run(None, {session.get_inputs()[0].name: image.numpy()})[0],
    "OpenVINO": core.compile_model("net.onnx", "CPU", options)(image.numpy())[0],
    "OpenCV": net.forward(),
    "OpenVINO from torch": core.compile_model(
        openvino.convert_model(Smaller(True), example_input=image), "CPU", options)(image.numpy())[0],
}
seen = {}
for name, result in results.items():
    off = [float(np.abs(result - other).max()) for other in (exact, plain)]
    seen[name] = "antialiased" if off[0] < 1e-4 else "plain" if off[1] < 1e-4 else "other"
    print(name, "off from torch by", round(off[0], 6), "from torch without antialiasing by", round(off[1], 6))
expected = {"ONNX Runtime": "antialiased", "OpenVINO": "plain", "OpenCV": "plain", "OpenVINO from torch": "antialiased"}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
