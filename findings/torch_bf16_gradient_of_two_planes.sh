#!/usr/bin/env bash
# torch leaves parts of the weight gradient of Conv3d in bfloat16 unwritten on a processor where a volume has two planes.
# Guess before: it equals float32's gradient to bfloat16's rounding, about one percent, whatever the size.
# Seen with torch 2.13.0+cpu on an AMD EPYC with AVX-512 BF16: with a kernel of 3 and a padding of 1 an input of
# two planes gives values up to 1e36 and NaN, what was in that memory before; one, three, four and eight planes are
# right to .4 %, and so are two-dimensional convolutions on two rows. On a processor without AVX-512 BF16 it may differ.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import torch
from torch import nn

print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())


def error(layer: nn.Module, shape: tuple[int, ...]) -> float:
    """Largest error of the weight gradient in bfloat16, as a share of its largest value."""
    worst = 0.0
    for _ in range(10):
        waste = [torch.full((300_000,), float("nan")) for _ in range(20)]
        del waste  # memory that is used again holds these
        image = torch.randn(shape)
        with torch.autocast("cpu", torch.bfloat16):
            output = layer(image)
        gradient = torch.randn_like(output)
        layer.zero_grad()
        output.backward(gradient)
        low = layer.weight.grad.clone()
        layer.zero_grad()
        layer(image.bfloat16().float()).backward(gradient.float())
        exact = layer.weight.grad
        apart = ((low - exact).abs() / exact.abs().max()).nan_to_num(nan=1e9)
        worst = max(worst, float(apart.max()))
    return worst


torch.manual_seed(0)
seen = {}
for planes in (1, 2, 3, 4, 8):
    worst = error(nn.Conv3d(16, 16, 3, padding=1, bias=False), (2, 16, planes, 8, 8))
    seen[planes] = worst < 0.02
    print(planes, "planes:", f"{worst:.2g}")
worst = error(nn.Conv2d(16, 16, 3, padding=1, bias=False), (2, 16, 2, 8))
seen["rows"] = worst < 0.02
print("two rows of an image:", f"{worst:.2g}")
expected = {key: key != 2 for key in seen}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
