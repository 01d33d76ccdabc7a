#!/usr/bin/env bash
# tifffile writes the planes of a stack as channels where an ImageJ file is asked for without its axes.
# Guess before: an array (5, height, width) becomes an ImageJ stack of five slices, as ImageJ itself saves one.
# Seen with tifffile 2026.3.3: the description says channels=5, no slices; bioio 3.6.0 finds five channels
# and one plane. With metadata={"axes": "ZYX"} the same array is five planes in z.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tifffile==2026.3.3 numpy==2.4.6 bioio==3.6.0 bioio-tifffile==1.3.1
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import tifffile
from bioio import BioImage

seen = {}
for axes in (None, "ZYX"):
    tifffile.imwrite("x.tif", np.zeros((5, 20, 30), "u2"), imagej=True, metadata={"axes": axes} if axes else {})
    with tifffile.TiffFile("x.tif") as file:
        said = {key: file.imagej_metadata.get(key) for key in ("channels", "slices")}
    dims = BioImage("x.tif").dims
    seen[axes] = (said["channels"], said["slices"], dims.C, dims.Z)
    print("axes", axes, said, "bioio: C", dims.C, "Z", dims.Z)
expected = {None: (5, None, 5, 1), "ZYX": (None, 5, 1, 5)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
