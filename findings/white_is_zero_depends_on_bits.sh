#!/usr/bin/env bash
# A TIFF in which zero is white comes back inverted by Pillow and OpenCV where it has 8 bits, as stored where it has 16.
# Guess before: a reader inverts such files (photometric interpretation 0) or leaves all as they are, whatever the
# number of bits. Seen: Pillow 12.3.0 and opencv-python-headless 5.0.0.93 read 0, 1, 2 as 255, 254, 253 of 8 bits and
# as 0, 1, 2 of 16; tifffile 2026.3.3 and SimpleITK 2.5.7 never invert, DIPlib 3.6.1 always. So objects are bright in
# one depth and dark in the other, and ids of a mask of 8 bits are others by reader, its background an object.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.3.0 opencv-python-headless==5.0.0.93 tifffile==2026.3.3 simpleitk==2.5.7 diplib==3.6.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import cv2
import diplib
import numpy as np
import SimpleITK as sitk
import tifffile
from PIL import Image

readers = {
    "Pillow": lambda path: np.asarray(Image.open(path)),
    "OpenCV": lambda path: cv2.imread(path, cv2.IMREAD_UNCHANGED),
    "tifffile": tifffile.imread,
    "SimpleITK": lambda path: sitk.GetArrayFromImage(sitk.ReadImage(path)),
    "DIPlib": lambda path: np.asarray(diplib.ImageReadTIFF(path)),
}
seen = {}
for name, read in readers.items():
    for dtype in ("u1", "u2"):
        tifffile.imwrite("x.tif", np.arange(12).reshape(3, 4).astype(dtype), photometric="miniswhite")
        first = read("x.tif")[0, :3].tolist()
        seen[name, dtype] = first != [0, 1, 2]
        print(name, 8 * int(dtype[1]), "bits: stored 0, 1, 2; read", first)
expected = {key: key[0] == "DIPlib" or (key[0] in ("Pillow", "OpenCV") and key[1] == "u1") for key in seen}
print("as seen before" if seen == expected else "changed")
sys.exit(seen != expected)
PY
