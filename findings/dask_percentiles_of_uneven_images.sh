#!/usr/bin/env bash
# dask's 99th percentile of an image can be seven times its own, and its median far off, as soon as there are chunks.
# Guess before: approximate, as its text says, to a percent or so, whatever the chunks. Seen with dask 2026.8.0
# (dask.array.percentile, as it comes): of an image of 1024 pixels a side, noise of 100 +- 5, with a tenth a bit
# brighter and one bright spot of 64 x 64, the percentiles 1, 50 and 99 are 88.6, 100.9 and 158.2; in chunks of 256 they
# are 95.3, 111.6 and 820.4, in chunks of 64 95.9, 111.3 and 1105.3. An image normalized by them is far darker,
# and a tile of it otherwise than the whole.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dask[array]==2026.8.0" numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import dask.array
import numpy as np

image = np.random.default_rng(0).normal(100, 5, (1024, 1024))
image[900:] += 50
image[:64, :64] += 1000
wanted = [1, 50, 99]
exact = np.percentile(image, wanted)
print("numpy", exact.round(1))
seen = {}
for side in (1024, 256, 64):
    found = dask.array.percentile(dask.array.from_array(image, chunks=side).ravel(), wanted).compute(scheduler="sync")
    seen[side] = bool(np.allclose(found, exact, rtol=0.02))
    print("dask, chunks of", side, found.round(1))
expected = {1024: True, 256: False, 64: False}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
