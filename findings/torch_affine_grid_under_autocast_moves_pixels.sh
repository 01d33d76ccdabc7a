#!/usr/bin/env bash
# torch's affine_grid under autocast gives places in bfloat16, so that a warp that does nothing doubles and drops columns.
# Guess before: a grid in float32 like theta, since grid_sample is computed in float32 there; or a grid off by up to two
# pixels of 1024. Seen with torch 2.13.0+cpu: autocast multiplies the grid in bfloat16, whose 8 bits tell 256 places
# apart. By the identity a label mask of 256 pixels stays as it is, of 512 385 columns are left, of 1024 641, of 2048
# 897; turned by 10 degrees, pixels of 2048 come from up to 5 pixels away. Outside of autocast all are exact. Image and
# mask warped by one grid move together; outlines, boxes and a second warp do not, and objects 1 pixel wide are lost.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import math
import sys

import torch
from torch.nn import functional


def warp(size: int, degrees: float, low: bool) -> torch.Tensor:
    """Which column each pixel comes from; the mask has an id a column."""
    columns = torch.arange(float(size)).expand(1, 1, size, size)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    theta = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]])
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        grid = functional.affine_grid(theta, columns.shape, align_corners=False)
        place = {"padding_mode": "border", "align_corners": False}
        return functional.grid_sample(columns, grid, mode="nearest", **place)


print("torch", torch.__version__)
left, apart = {}, {}
for size in (256, 512, 1024, 2048):
    left[size] = len(warp(size, 0, low=True).unique())
    apart[size] = int((warp(size, 10, low=True) - warp(size, 10, low=False)).abs().max())
    print(size, "columns,", left[size], "left by the identity; turned, off by", apart[size])
exact = all(len(warp(size, 0, low=False).unique()) == size for size in left)
same = exact and left == {256: 256, 512: 385, 1024: 641, 2048: 897} and apart[2048] >= 4
print("as seen before" if same else "changed")
sys.exit(not same)
PY
