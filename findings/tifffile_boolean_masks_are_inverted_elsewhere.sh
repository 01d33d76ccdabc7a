#!/usr/bin/env bash
# A boolean mask that tifffile writes comes back inverted from Pillow, OpenCV and SimpleITK: objects are background.
# Guess before: True is white for whoever reads the file, as 255 is of 8 bits; or 1 where others say 255. Seen with tifffile 2026.3.3, Pillow
# 12.3.0, opencv-python-headless 5.0.0.93 and SimpleITK 2.5.7: of an array of bool the file has one bit a pixel and says that zero is white
# (photometric 0), where the same mask in 8 bits says that zero is black. tifffile does not look at that when it reads, and so has
# what it wrote; the other three do, and have 236 of 256 pixels for an object of 20. photometric="minisblack", or the mask times 255 in
# uint8, is right in all; and so is Pillow's own file of one bit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tifffile==2026.3.3 pillow==12.3.0 opencv-python-headless==5.0.0.93 SimpleITK==2.5.7 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import cv2
import numpy as np
import SimpleITK
import tifffile
from PIL import Image

mask = np.zeros((16, 16), bool)
mask[4:8, 2:7] = True
eight = mask.astype(np.uint8) * 255
tifffile.imwrite("bool.tif", mask)
tifffile.imwrite("black.tif", mask, photometric="minisblack")
tifffile.imwrite("eight.tif", eight)
Image.fromarray(mask).save("pillow.tif")


def itk(path: str) -> np.ndarray:
    """The image, of one bit without the three channels that SimpleITK adds."""
    array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))
    return array[..., 0] if array.ndim > 2 else array


readers = {
    "tifffile": tifffile.imread,
    "Pillow": lambda path: np.asarray(Image.open(path)),
    "OpenCV": lambda path: cv2.imread(path, cv2.IMREAD_UNCHANGED),
    "SimpleITK": itk,
}
seen = {}
for name in ("bool", "black", "eight", "pillow"):
    with tifffile.TiffFile(f"{name}.tif") as file:
        print(name, "bits:", file.pages[0].bitspersample, "photometric:", int(file.pages[0].photometric))
    for reader, read in readers.items():
        found = read(f"{name}.tif") > 0
        seen[name, reader] = "right" if (found == mask).all() else "inverted" if (found == ~mask).all() else "other"
        print("  ", reader, int(found.sum()), "pixels of foreground:", seen[name, reader])
expected = {key: "inverted" if key[0] == "bool" and key[1] != "tifffile" else "right" for key in seen}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
