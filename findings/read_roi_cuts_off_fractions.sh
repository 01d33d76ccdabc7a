#!/usr/bin/env bash
# read-roi gives outlines of ImageJ without their fractions, and places beyond 65535 as others.
# Guess before: the coordinates that roifile gives of the same file, where its maker drew between pixels. Seen with
# read-roi 1.6.0 and roifile 2026.2.10: a square from 10.5 to 20.5 is one from 10 to 20, and an outline at x 70000.5
# lies at 4464, inside of the image: what was found at its right edge is drawn over what lies left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet read-roi==1.6.0 roifile==2026.2.10 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from read_roi import read_roi_file
from roifile import ImagejRoi

square, seen = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32), {}
for left in (10.0, 10.5, 70000.5):
    ImagejRoi.frompoints(square + (left, 30.5), name="x").tofile("x.roi")
    [read] = read_roi_file("x.roi").values()
    own = ImagejRoi.fromfile("x.roi").coordinates()[:, 0].tolist()
    seen[left] = read["x"], own
    print("x from", left, "read-roi:", read["x"], "roifile:", own)
true = {left: (square[:, 0] + left).tolist() for left in seen}
wrong = {left: ((square[:, 0].astype(int) + int(left) % 65536).tolist(), true[left]) for left in seen}
print("as seen before" if seen == wrong else "changed")
sys.exit(seen != wrong)
PY
