#!/usr/bin/env bash
# tifffile writes labels of 32 bits as JPEG 2000 that comes back as noise where ids lie above 2^25, as lossless where they do not.
# Guess before: what is offered for a type is lossless, as jpeg2000 is of 8 and 16 bits, or refused, as jpegxl and png are of 32
# bits. Seen with tifffile 2026.3.3 and imagecodecs 2026.3.6: ids of up to 24 bits come back as they were, of uint32 and int32; with
# ids of 26 bits 87 % of the pixels are other numbers, with ids of 31 all but a few, background too, and nothing is said. So labels pass
# a test on small ids, and those whose ids hold a place or a color are lost.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import numpy as np
import tifffile

seen = {}
kinds = {np.uint8: (8,), np.uint16: (16,), np.uint32: (16, 24, 26, 31), np.int32: (16, 24, 26, 31)}
for dtype, bits in ((dtype, bits) for dtype in kinds for bits in kinds[dtype]):
    ids = np.random.default_rng(0).integers(1, 2**bits, (8, 10))
    labels = np.kron(ids, np.pad(np.ones((11, 11), int), (2, 3))).astype(dtype)
    tifffile.imwrite("labels.tif", labels, compression="jpeg2000", photometric="minisblack")
    back = tifffile.imread("labels.tif")
    wrong = float((back != labels).mean())
    seen[dtype.__name__, bits] = wrong > 0
    print(dtype.__name__, f"ids of {bits} bits, wrong pixels: {wrong:.0%}", "background:", back[0, 0], back.dtype)
expected = {key: key[1] > 25 for key in seen}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
