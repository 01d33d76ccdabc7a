#!/usr/bin/env bash
# czifile gives the places between the tiles of a CZI whatever lay in memory before: noise that differs from read to read.
# Guess before: places without a tile are 0, as in Zeiss' own library; only which of two tiles lies on top may differ. Seen with
# czifile 2019.7.2.3, the file from pylibCZIrw 6.1.0: of two tiles that lie apart in 30 x 80 pixels, half of the image has no tile, and there
# asarray() has the numbers of arrays that were freed just before, other ones at each read. pylibCZIrw has 0 there. So a scan of
# scattered tiles has objects where nothing was imaged; large images are often 0 by luck. asarray(out=numpy.zeros(...)) is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet czifile==2019.7.2.3 pylibCZIrw==6.1.0 numpy==2.4.6 tifffile==2026.3.3
cd "$folder"
venv/bin/python - <<'PY'
import sys

import czifile
import numpy as np
from pylibCZIrw import czi

with czi.create_czi("tiles.czi") as file:
    file.write(np.full((20, 30, 1), 100, np.uint8), location=(0, 0))
    file.write(np.full((20, 30, 1), 200, np.uint8), location=(50, 10))
with czi.open_czi("tiles.czi") as file:
    true = np.squeeze(file.read())
print("pylibCZIrw:", true.shape, dict(zip(*map(np.ndarray.tolist, np.unique(true, return_counts=True)), strict=True)))


def left_behind(mark: int | None) -> int:
    """Pixels that are not as stored after arrays full of ``mark`` were freed; none: an array of zeros is given."""
    with czifile.CziFile("tiles.czi") as file:
        out = np.zeros(file.shape, file.dtype) if mark is None else None
        old = [np.full(true.shape, mark or 1, np.uint8) for _ in range(200)]
        del old
        read = np.squeeze(file.asarray(out=out))
    tiles = true > 0
    assert (read[tiles] == true[tiles]).all()
    print("czifile after arrays of", mark, "wrong:", (read != true).sum(), "of them as before:", (read[~tiles] == mark).sum())
    return int((read != true).sum())


seen = [left_behind(mark) > 100 for mark in (77, 33, None)]
expected = [True, True, False]
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
