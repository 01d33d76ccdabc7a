#!/usr/bin/env bash
# torchmetrics' Hausdorff distance is off by many times where an image is wider than high.
# Guess before: that of the outlines by scipy, as it is in square images; or distances that come back at other pixels,
# since its own distance transform counts them in rows as long as the image is high. Seen with torchmetrics 1.9.0,
# torch 2.13.0+cpu: of a disc found 6 pixels beside its place it is 6 in 64 x 64 pixels, 54.6 in 64 x 100 and 157.7 in
# 64 x 200; scipy gives 6 for all. Turned to be higher than wide the same images are an error, so that only wide ones pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu torchmetrics==1.9.0 numpy==2.4.6 scipy==1.17.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import torch
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import directed_hausdorff
from torchmetrics.functional.segmentation import hausdorff_distance


def exact(first: np.ndarray, second: np.ndarray) -> float:
    rims = [np.argwhere(mask & ~binary_erosion(mask)) for mask in (first, second)]
    return max(directed_hausdorff(*rims)[0], directed_hausdorff(*reversed(rims))[0])


seen = {}
for height, width in ((64, 64), (64, 100), (64, 200)):
    y, x = np.mgrid[:height, :width]
    true = (y - 30) ** 2 + (x - 30) ** 2 <= 100
    found = (y - 30) ** 2 + (x - 36) ** 2 <= 100
    pair = [torch.from_numpy(mask)[None, None].int() for mask in (found, true)]
    given = float(hausdorff_distance(*pair, num_classes=1, include_background=True))
    seen[height, width] = round(given, 1), round(exact(found, true), 1)
    print((height, width), "torchmetrics:", seen[height, width][0], "scipy:", seen[height, width][1])
expected = {(64, 64): (6.0, 6.0), (64, 100): (54.6, 6.0), (64, 200): (157.7, 6.0)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
