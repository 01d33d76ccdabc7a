#!/usr/bin/env bash
# pylibCZIrw reads a scene of 16 bits in 8 bits where the first scene of the file has 8: the low bits are gone.
# Guess before: the pixel type of the scene that is asked for, or an error, as a CZI states a type for every block.
# Seen with pylibCZIrw 6.1.0, which wrote the file, too: read(scene=1) takes the type of the channel's first block in the
# file and divides by 256 without a word, 49912 comes back as 194. pixel_type="Gray16" brings the values as stored;
# get_channel_pixel_type has no scene to be asked of, so the type must be known from elsewhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pylibCZIrw==6.1.0
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
from pylibCZIrw.czi import create_czi, open_czi

with create_czi("x.czi") as file:
    file.write(data=np.full((32, 32, 1), 100, np.uint8), scene=0)
    file.write(data=np.full((32, 32, 1), 49912, np.uint16), scene=1, location=(100, 0))
    file.write_metadata()
with open_czi("x.czi") as file:
    plain, told = file.read(scene=1), file.read(scene=1, pixel_type="Gray16")
seen = [plain.dtype.name, int(plain[5, 5, 0]), told.dtype.name, int(told[5, 5, 0])]
print("scene of 49912 in uint16, read and read with its type:", *seen)
expected = ["uint8", 194, "uint16", 49912]
print("as seen before" if seen == expected else "changed")
sys.exit(seen != expected)
PY
