#!/usr/bin/env bash
# An ImageJ file of tifffile that states only the distance of its planes says that pixels are 1 µm wide.
# Guess before: what is not given is not stated, and readers find no size of pixels in the plane.
# Seen with tifffile 2026.3.3: XResolution and YResolution are written as 1/1 where no resolution is given;
# with metadata's unit "um" bioio 3.6.0 reports Z=0.5, Y=1.0, X=1.0, as of a file that says resolution=(1, 1).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tifffile==2026.3.3 numpy==2.4.6 bioio==3.6.0 bioio-tifffile==1.3.1
cd "$folder"
venv/bin/python - <<'PY'
import sys
from pathlib import Path

import numpy as np
import tifffile
from bioio import BioImage

seen, files = {}, {}
for given in (None, (1.0, 1.0), (4.0, 4.0)):
    metadata = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite("x.tif", np.zeros((5, 20, 30), "u2"), imagej=True, metadata=metadata, resolution=given)
    with tifffile.TiffFile("x.tif") as file:
        stated = file.pages[0].tags["XResolution"].value
    sizes = BioImage("x.tif").physical_pixel_sizes
    files[given] = Path("x.tif").read_bytes()
    seen[given] = (stated, sizes.Z, sizes.Y, sizes.X)
    print("resolution", given, "->", stated, sizes)
expected = {None: ((1, 1), 0.5, 1.0, 1.0), (1.0, 1.0): ((1, 1), 0.5, 1.0, 1.0), (4.0, 4.0): ((4, 1), 0.5, 0.25, 0.25)}
same = files[None] == files[1.0, 1.0]
print("the first two files are the same bytes:", same)
print("as seen before" if seen == expected and same else f"changed: {seen}")
sys.exit(not (seen == expected and same))
PY
