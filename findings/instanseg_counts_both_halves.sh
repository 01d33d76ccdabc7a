#!/usr/bin/env bash
# InstanSeg's scores are perfect where each cell was found as two halves, and where each two cells were found as one.
# Guess before: an object is matched once, so that of two halves one is right at most: F1 .67, as StarDist's matching has
# it, which it follows; or 0, as an IoU of .5 is not above .5. Seen with instanseg-torch 0.1.2: each pair with an IoU of at
# least .5 counts as one found, without a look at whether an object was matched before. 16 cells and 32 halves have 32
# found, none missed and none too many, and precision, recall, accuracy and F1 are 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 einops==0.8.1 fastremap==1.21.0 matplotlib==3.10.3 tqdm==4.70.1 scikit-image==0.26.0 requests==2.34.2 pandas==2.3.3
"$folder/venv/bin/pip" install --quiet --no-deps instanseg-torch==0.1.2
cd "$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import numpy as np
from instanseg.utils.metrics import matching_dataset_torch

tiles = np.arange(1, 17).reshape(4, 4).repeat(8, axis=0).repeat(8, axis=1)
halves = 2 * tiles + (np.arange(32) // 4 % 2)
seen = {}
for name, true, found in (("split", tiles, halves), ("merged", halves, tiles)):
    [result] = matching_dataset_torch([true], [found], thresh=[0.5])
    scores = [round(float(value), 3) for value in (result.precision, result.recall, result.accuracy, result.f1)]
    seen[name] = result.n_true, result.n_pred, result.tp, scores
    print(name, "true:", result.n_true, "found:", result.n_pred, "right:", result.tp, "scores:", scores)
expected = {"split": (16, 32, 32, [1.0] * 4), "merged": (32, 16, 32, [1.0] * 4)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
