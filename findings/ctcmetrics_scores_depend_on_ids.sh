#!/usr/bin/env bash
# py-ctcmetrics gives a perfect result a SEG, DET and TRA of 0 where its ids are high, and less than 1 where truth and result are one.
# Guess before: scores do not depend on which ids cells have, from 1 to 65535, which the Cell Tracking Challenge's 16 bits allow. Seen with
# py-ctcmetrics 1.3.3: to tell truth and result apart the highest id of the truth is added to the result's, in the result's own type, where it
# wraps into the truth's ids or 0. With the truth's ids 1 to 4 the same cells as 1 to 4 have 1, as 65531 to 65534 0; a truth with an id of
# 64000 has .75 against itself. In masks of 8 bits an id of 200 is enough. Nothing is said, and "Valid" is 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet py-ctcmetrics==1.3.3 tifffile==2026.3.3 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.2.6
cd "$folder"
venv/bin/python - <<'PY'
import contextlib
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import tifffile
from ctc_metrics.scripts.evaluate import evaluate_sequence


def movie(folder: str, truth: bool, ids: tuple[int, ...], dtype: type) -> None:
    """Files of the challenge: five frames of four cells that stay where they are."""
    shutil.rmtree(folder, ignore_errors=True)
    labels = np.zeros((12, 48), dtype)
    for k, number in enumerate(ids):
        labels[2:9, 12 * k + 2 : 12 * k + 9] = number
    names = {f"{folder}/TRA": "man_track", f"{folder}/SEG": "man_seg"} if truth else {folder: "mask"}
    for path, name in names.items():
        Path(path).mkdir(parents=True)
        for t in range(5):
            tifffile.imwrite(f"{path}/{name}{t:03d}.tif", labels)
    table = Path(folder, "TRA/man_track.txt" if truth else "res_track.txt")
    table.write_text("".join(f"{number} 0 4 0\n" for number in ids))


cases = (
    (np.uint16, (1, 2, 3, 4), (1, 2, 3, 4)),
    (np.uint16, (1, 2, 3, 4), (60000, 60001, 60002, 60003)),
    (np.uint16, (1, 2, 3, 4), (65531, 65532, 65533, 65534)),
    (np.uint16, (101, 2, 3, 64000), (101, 2, 3, 64000)),
    (np.uint8, (1, 2, 3, 200), (1, 2, 3, 4)),
    (np.uint8, (1, 2, 3, 200), (57, 58, 59, 60)),
)
keys, seen = ("Valid", "SEG", "DET", "TRA"), []
for dtype, truth, result in cases:
    movie("truth", True, truth, dtype)
    movie("result", False, result, dtype)
    with contextlib.redirect_stdout(io.StringIO()):
        scores = evaluate_sequence("result", "truth", threads=1)
    seen.append(tuple(round(float(scores[key]), 2) for key in keys))
    print(dtype.__name__, "truth", truth, "result", result, *(f"{key} {value}" for key, value in zip(keys, seen[-1])))
right, none = (1.0, 1.0, 1.0, 1.0), (1.0, 0.0, 0.0, 0.0)
expected = [right, right, none, (1.0, 0.75, 0.72, 0.73), right, none]
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
