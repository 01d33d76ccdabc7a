#!/usr/bin/env bash
# imea's circles around and in an object grow with its distance from the image's corner, and its deviations are in pixels.
# Guess before: an object has the same measures wherever it lies, and all lengths scale with the resolution. Seen with imea
# 0.3.5 (shape_measurements_2d): the object is cropped, and distances of its outline in the crop are taken from its middle in
# the whole image. A disc 41 pixels wide has a circumscribing circle of 68 around (30, 30), 153 around (60, 60), 313 around
# (60, 150), and an inscribing one of 11, 74 and 231; the standard deviations of Feret's and Martin's diameters, of
# Nassenstein's and of the chords are the same at a resolution of 1 and of .5, where their means are halved. The rest moves along.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 pandas==3.1.1 \
  opencv-python-headless==5.0.0.93
"$folder/venv/bin/pip" install --quiet --no-deps imea==0.3.5
cd "$folder"
venv/bin/python - 2>errors <<'PY' || { cat errors >&2; exit 1; }
import sys

import numpy as np
from imea import shape_measurements_2d

y, x = np.mgrid[:160, :220]
seen = {}
rows = []
for middle in ((30, 30), (60, 60), (60, 150)):
    row = shape_measurements_2d((y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= 20.5**2, 1).iloc[0]
    rows.append(row)
    seen[middle] = round(float(row.diameter_circumscribing_circle)), round(float(row.diameter_inscribing_circle))
    print("disc around", middle, "of area", row.area_projection, "circles", seen[middle], "widest", row.feret_max)
seen["moved"] = sorted(name for name in rows[0].index if not np.isclose(rows[0][name], rows[2][name], atol=0.01))
rod = np.zeros((100, 200), bool)
rod[40:44, 30:170] = True
whole, half = (shape_measurements_2d(rod, pixel).iloc[0] for pixel in (1, 0.5))
for name in ("feret", "martin"):
    seen[name] = [round(float(half[f"{name}_{part}"] / whole[f"{name}_{part}"]), 2) for part in ("mean", "std")]
    print(name, "at half the resolution: mean and deviation times", seen[name])
circles = ["diameter_circumscribing_circle", "diameter_inscribing_circle"]
expected = {(30, 30): (68, 11), (60, 60): (153, 74), (60, 150): (313, 231), "moved": circles}
expected |= {"feret": [0.5, 1.0], "martin": [0.5, 1.0]}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
