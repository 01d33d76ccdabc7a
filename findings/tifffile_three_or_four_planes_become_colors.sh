#!/usr/bin/env bash
# tifffile writes a stack of three or four planes as one picture in colors, one of two or five as planes.
# Guess before: imwrite stores (planes, height, width) as that many pages, whatever their number.
# Seen with tifffile 2026.3.3: three planes become one page of red, green and blue, four have the last
# as alpha, of 8 and of 16 bits. bioio 3.6.0 then finds one plane of 3 or 4 samples where it finds 2 or
# 5 planes in z otherwise, and Pillow 12.3.0 reads 16 bits as 8. With photometric="minisblack" all are pages.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tifffile==2026.3.3 numpy==2.4.6 pillow==12.3.0 bioio==3.6.0 bioio-tifffile==1.3.1
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import numpy as np
import tifffile
from bioio import BioImage
from PIL import Image

warnings.simplefilter("ignore")
seen = {}
for planes in (2, 3, 4, 5):
    for dtype in ("u1", "u2"):
        stack = np.arange(1, planes + 1).astype(dtype)[:, None, None] * np.ones((1, 20, 30), dtype)
        for how in ({}, {"photometric": "minisblack"}):
            tifffile.imwrite("x.tif", stack, **how)
            with tifffile.TiffFile("x.tif") as file:
                pages = len(file.pages)
            found = BioImage("x.tif")
            with Image.open("x.tif") as image:
                mode = image.mode
            seen[planes, dtype, *how] = pages, found.dims.Z, mode
            print(planes, dtype, how or "by default", "pages:", pages, "z:", found.dims.Z, mode)
expected = {}
for (planes, dtype, *how), _ in seen.items():
    grey = "L" if dtype == "u1" else "I;16"
    colors = not how and planes in (3, 4)
    expected[planes, dtype, *how] = (1, 1, "RGBA"[:planes]) if colors else (planes, planes, grey)
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
