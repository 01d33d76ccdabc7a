#!/usr/bin/env bash
# miseval's boundary distance of two equal masks is 10, its average Hausdorff distance the largest, its Hausdorff of rows.
# Guess before: 0 for a perfect result, and for a disc that is 8 pixels off a Hausdorff distance of 8 and an average of its
# outline of 4.5; or an average that is the maximum. Seen with miseval 1.3.0: "BD", the boundary distance, is the mean over
# all pairs of the two outlines' points, 10.1 for equal discs 17 pixels wide; "AHD", the average Hausdorff distance, is the
# maximum, 8; "HD", the simple one, takes the rows of the two arrays for points, so that it counts by how many pixels rows
# of 0 and 1 differ, 4 here, and is 8 times as much where the foreground is 8.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet miseval==1.3.0 numpy==2.2.6 scikit-image==0.26.0 scipy==1.17.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from miseval import evaluate
from scipy.ndimage import binary_erosion, distance_transform_edt
from scipy.spatial.distance import directed_hausdorff

y, x = np.mgrid[:60, :60]


def disc(left: int) -> np.ndarray:
    return ((y - 30) ** 2 + (x - left) ** 2 <= 64).astype(int)


def exact(true: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """The Hausdorff distance of two masks, and the mean distance of each one's outline from the other's, both ways."""
    points = [np.argwhere(mask) for mask in (true, found)]
    rims = [(mask > 0) & ~binary_erosion(mask) for mask in (true, found)]
    ways = [distance_transform_edt(~one)[other].mean() for one, other in (rims, rims[::-1])]
    return max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0]), float(np.mean(ways))


seen = {}
for name, left in (("equal", 20), ("8 off", 28)):
    true, found = disc(20), disc(left)
    seen[name] = {key: round(float(evaluate(true, found, key)), 1) for key in ("HD", "AHD", "BD")}
    print(name, seen[name], "Hausdorff and average:", [round(distance, 2) for distance in exact(true, found)])
seen["8"] = round(float(evaluate(disc(20) * 8, disc(28) * 8, "HD")), 1)
print("8 off, as 0 and 8: HD", seen["8"])
expected = {"equal": {"HD": 0.0, "AHD": 0.0, "BD": 10.1}, "8 off": {"HD": 4.0, "AHD": 8.0, "BD": 12.5}, "8": 32.0}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
