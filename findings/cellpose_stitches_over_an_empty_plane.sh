#!/usr/bin/env bash
# cellpose's stitching of planes gives different cells one id where an empty plane lies between them.
# Guess before: a cell that nothing overlaps in the plane before gets a new id; or it is linked over the gap. Seen with
# cellpose 4.2.1.1 (stitch3D, what eval(do_3D=False, stitch_threshold=...) ends with): up to the first two planes with
# cells in a row the ids of each plane are left as they are, 1, 2, ..., so that six cells of planes 0, 2 and 4, each
# somewhere else, are two, of three parts each; in planes 1, 2 and 4 the same six are six. Nothing is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0+cpu numpy==2.2.6 scipy==1.17.1 fill-voids==2.1.2 \
  fastremap==1.21.0 opencv-python-headless==5.0.0.93 tqdm==4.70.1 natsort==8.4.0 tifffile==2026.3.3 roifile==2026.2.10
"$folder/venv/bin/pip" install --quiet --no-deps cellpose==4.2.1.1
cd "$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import numpy as np
from cellpose.utils import stitch3D


def planes(*used: int) -> np.ndarray:
    """Of six planes, ``used`` have two cells each, at other places in each of them, so that none are one cell."""
    stack = np.zeros((6, 60, 60), np.uint16)
    for plane in used:
        stack[plane, 2 + 9 * plane : 9 + 9 * plane, 5:15] = 1
        stack[plane, 2 + 9 * plane : 9 + 9 * plane, 40:50] = 2
    return stack


seen = {}
for name, used in (("planes 1, 2, 3", (1, 2, 3)), ("planes 0, 2, 4", (0, 2, 4)), ("planes 1, 2, 4", (1, 2, 4))):
    stitched = stitch3D(planes(*used))
    ids = [sorted(set(stitched[plane][stitched[plane] > 0].tolist())) for plane in used]
    seen[name] = len(set(sum(ids, [])))
    print("six cells in", name, "ids:", ids, "cells:", seen[name])
expected = {"planes 1, 2, 3": 6, "planes 0, 2, 4": 2, "planes 1, 2, 4": 6}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
