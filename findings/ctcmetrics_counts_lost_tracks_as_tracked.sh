#!/usr/bin/env bash
# py-ctcmetrics counts a track of which nothing was found as mostly tracked, and hardly any as mostly lost.
# Guess before: MT and ML are MOTChallenge's, so that a track that is found in less than a fifth of its frames is lost. Seen with
# py-ctcmetrics 1.3.3: they take the share of the frames of a track's most frequent partner, and "not found" is one of the partners. Of four
# cells of which one is found, MT is 1 and ML 0, as of a perfect result, where .25 and .75 are right; of four that are found in the first of
# ten frames MT is 1 where ML should be, while in five of ten frames they are neither. So the less is found, the more is tracked. DET
# and SEG of the same results are .25, .1 and .5.
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


def movie(folder: str, truth: bool, frames: list[set[int]]) -> None:
    """Files of the challenge, a frame for each set of the cells 1 to 4 that are seen in it."""
    shutil.rmtree(folder, ignore_errors=True)
    names = {f"{folder}/TRA": "man_track", f"{folder}/SEG": "man_seg"} if truth else {folder: "mask"}
    for path, name in names.items():
        Path(path).mkdir(parents=True)
        for t, cells in enumerate(frames):
            labels = np.zeros((12, 48), np.uint16)
            for cell in cells:
                labels[2:9, 12 * cell - 10 : 12 * cell - 3] = cell
            tifffile.imwrite(f"{path}/{name}{t:03d}.tif", labels)
    table = Path(folder, "TRA/man_track.txt" if truth else "res_track.txt")
    seen = {cell: [t for t, cells in enumerate(frames) if cell in cells] for cell in set.union(*frames)}
    table.write_text("".join(f"{cell} {times[0]} {times[-1]} 0\n" for cell, times in seen.items()))


everything = {1, 2, 3, 4}
results = {
    "all found": [everything] * 10,
    "one of four": [{1}] * 10,
    "half of the frames": [everything] * 5 + [set()] * 5,
    "one frame of ten": [everything] + [set()] * 9,
}
movie("truth", True, [everything] * 10)
keys, seen = ("MT", "ML", "DET", "SEG"), {}
for name, frames in results.items():
    movie("result", False, frames)
    with contextlib.redirect_stdout(io.StringIO()):
        scores = evaluate_sequence("result", "truth", threads=1)
    seen[name] = tuple(round(float(scores[key]), 2) for key in keys)
    print(name, *(f"{key} {value}" for key, value in zip(keys, seen[name])))
expected = {
    "all found": (1.0, 0.0, 1.0, 1.0),
    "one of four": (1.0, 0.0, 0.25, 0.25),
    "half of the frames": (0.0, 0.0, 0.5, 0.5),
    "one frame of ten": (1.0, 0.0, 0.1, 0.1),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
