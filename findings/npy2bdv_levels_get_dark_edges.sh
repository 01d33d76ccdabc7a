#!/usr/bin/env bash
# npy2bdv's smaller levels for BigDataViewer are dark in the last plane, row and column where a stack's size is odd.
# Guess before: a level's pixel is the mean of the pixels that it covers, so that a stack of 1000 everywhere is 1000 in all levels; or the last,
# incomplete one is left out. Seen with npy2bdv 1.1.0 (subsamp, as its text has it): what is missing is filled with 0 and counted. Of 7 x 21 x
# 31 voxels of 1000, half as large: 500 in the last column, 250 in the last row of the last plane, 125 in the corner; a quarter as
# large 750, 187 and 140. An object at that edge fades, and background there lies below all other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet npy2bdv==1.1.0 h5py==3.16.0 scikit-image==0.26.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
from contextlib import redirect_stdout
from io import StringIO

import npy2bdv
import numpy as np

with redirect_stdout(StringIO()):
    writer = npy2bdv.BdvWriter("stack.h5", subsamp=((1, 1, 1), (2, 2, 2), (4, 4, 4)))
    writer.append_view(np.full((7, 21, 31), 1000, np.uint16), time=0, channel=0)
    writer.write_xml()
    writer.close()
seen = {}
for number, factor in enumerate((1, 2, 4)):
    level = npy2bdv.BdvEditor("stack.h5").read_view(time=0, channel=0, ilevel=number)
    places = level[0, 0, 0], level[0, 0, -1], level[-1, -1, 0], level[-1, -1, -1]
    seen[factor] = list(level.shape), [int(value) for value in places]
    print("factor", factor, "shape", seen[factor][0], "first, last column, last row, corner:", seen[factor][1])
expected = {
    1: ([7, 21, 31], [1000, 1000, 1000, 1000]),
    2: ([4, 11, 16], [1000, 500, 250, 125]),
    4: ([2, 6, 8], [1000, 750, 187, 140]),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
