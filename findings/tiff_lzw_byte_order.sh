#!/usr/bin/env bash
# Pillow reads a big-endian TIFF of int16, int32 or float32 without its byte order where it is LZW.
# Guess before: all types are read right, whatever the compression, since Pillow hands LZW to libtiff.
# Seen with Pillow 12.3.0: 0, 100, 200, 300 come back as 0, 25600, -14336, 11265 of int16, and as
# wild numbers of int32 and float32; the same file uncompressed is right, and so is uint16 (I;16B).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.3.0 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import PIL
import tifffile
from PIL import Image

print("Pillow", PIL.__version__)
values, seen = (np.arange(12) * 100).reshape(3, 4), {}
for dtype in ("u2", "i2", "i4", "f4"):
    for coding in (None, "lzw"):
        tifffile.imwrite("x.tif", values.astype(dtype), byteorder=">", compression=coding)
        with Image.open("x.tif") as image:
            read = np.asarray(image)
        seen[dtype, coding] = bool((read == values).all())
        print(dtype, coding or "uncompressed", image.mode, read[0].tolist())
expected = {key: key[1] is None or key[0] == "u2" for key in seen}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
