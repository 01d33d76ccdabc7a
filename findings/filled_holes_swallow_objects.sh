#!/usr/bin/env bash
# StarDist's and Cellpose's filling of holes in labels deletes an object that lies in the hole of another one.
# Guess before: a hole is background that an object encloses, so that objects keep their pixels; or that the object in
# the hole is lost where its id is the lower one. Seen with stardist 0.9.2 (fill_label_holes, which its guide has
# users call on masks before training) and cellpose 4.2.1.1 (fill_holes_and_remove_small_masks, the last step of its
# masks): a nucleus of 317 pixels in a ring of 940 becomes part of the ring, in cellpose whichever id is lower, in
# stardist where the nucleus' is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 stardist==0.9.2 scipy==1.17.1 \
  fill-voids==2.1.2 fastremap==1.21.0 opencv-python-headless==5.0.0.93 tqdm==4.70.1 natsort==8.4.0 tifffile==2026.3.3 roifile==2026.2.10
"$folder/venv/bin/pip" install --quiet --no-deps cellpose==4.2.1.1
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
from cellpose.utils import fill_holes_and_remove_small_masks
from stardist.utils import fill_label_holes

y, x = np.mgrid[:60, :60] - 30
distance = y**2 + x**2
seen = {}
for nucleus, ring in ((1, 2), (2, 1)):
    labels = np.zeros((60, 60), np.int32)
    labels[distance <= 400] = ring
    labels[distance <= 100] = nucleus
    for name, fill in (("stardist", fill_label_holes), ("cellpose", fill_holes_and_remove_small_masks)):
        filled = fill(labels.copy())
        sizes = sorted(np.unique(filled[filled > 0], return_counts=True)[1].tolist())
        seen[name, nucleus] = sizes
        print(name, "nucleus", nucleus, "ring", ring, "sizes before [317, 940], after", sizes)
kept = {key: sizes == [317, 940] for key, sizes in seen.items()}
expected = {("stardist", 1): False, ("stardist", 2): True, ("cellpose", 1): False, ("cellpose", 2): False}
print("as seen before" if kept == expected else f"changed: {kept}")
sys.exit(kept != expected)
PY
