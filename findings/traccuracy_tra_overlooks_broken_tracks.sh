#!/usr/bin/env bash
# traccuracy gives a TRA of 1 to a tracker that starts a new id in every frame, as long as it names the old one as parent.
# Guess before: the two public scores of the Cell Tracking Challenge's files differ where a track pauses.
# Seen with traccuracy 0.4.3 and py-ctcmetrics 1.3.3: on pauses they agree. Which links are between a parent and its
# daughter, whose confusion the measure (Matula et al. 2015) counts as an error, traccuracy does not take from the
# files but from where tracks fork: a parent with one daughter is one track. So a result whose every object is a track
# of its own has TRA 1 and LNK 1 rather than .93 and .33; and where one of two daughters is missed, the link to the
# other, right in both files, costs: TRA .975 rather than .985.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet traccuracy==0.4.3 py-ctcmetrics==1.3.3 numpy==2.2.6 tifffile==2026.3.3
cd "$folder"
venv/bin/python - <<'PY'
import logging
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import tifffile

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from ctc_metrics.scripts.evaluate import evaluate_sequence
from traccuracy.loaders import load_ctc_data
from traccuracy.matchers import CTCMatcher
from traccuracy.metrics import CTCMetrics

Tracks = dict[int, tuple[int, int, int, int]]  # id: first frame, last frame, parent, row


def write(folder: Path, tracks: Tracks, mask: str, table: str) -> tuple[str, str]:
    folder.mkdir(parents=True)
    for frame in range(6):
        labels = np.zeros((64, 32), np.uint16)
        for number, (begin, end, _, row) in tracks.items():
            if begin <= frame <= end:
                labels[row : row + 8, 4 + frame : 12 + frame] = number
        tifffile.imwrite(folder / f"{mask}{frame:03d}.tif", labels)
    rows = [f"{number} {begin} {end} {parent}\n" for number, (begin, end, parent, _) in tracks.items()]
    (folder / table).write_text("".join(rows))
    return str(folder), str(folder / table)


def scores(name: str, truth: Tracks, found: Tracks) -> dict[str, list[float]]:
    """TRA and LNK of one result, by both."""
    root = Path(name)
    files = write(root / "01_GT" / "TRA", truth, "man_track", "man_track.txt")
    write(root / "01_GT" / "SEG", truth, "man_seg", "unused.txt")
    ours = write(root / "01_RES", found, "mask", "res_track.txt")
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        one = evaluate_sequence(ours[0], str(root / "01_GT"), threads=1)
        pair = CTCMatcher().compute_mapping(load_ctc_data(*files), load_ctc_data(*ours))
        other = CTCMetrics().compute(pair).results
    seen = {"py-ctcmetrics": one, "traccuracy": other}
    return {by: [round(float(row[key]), 3) for key in ("TRA", "LNK")] for by, row in seen.items()}


whole: Tracks = {1: (0, 5, 0, 4), 2: (0, 5, 0, 34)}
broken = {10 * k + t: (t, t, 10 * k + t - 1 if t else 0, 4 + 30 * (k - 1)) for k in (1, 2) for t in range(6)}
pause: Tracks = {1: (0, 1, 0, 4), 3: (3, 5, 1, 4), 2: (0, 5, 0, 34)}
division: Tracks = {1: (0, 2, 0, 19), 2: (3, 5, 1, 4), 3: (3, 5, 1, 34)}
seen = {
    "perfect": scores("perfect", whole, whole),
    "a pause": scores("pause", whole, pause),
    "a track each frame": scores("broken", whole, broken),
    "one daughter missed": scores("daughter", division, {**division, 3: (3, 5, 0, 34)}),
}
for name, row in seen.items():
    print(name, "TRA, LNK:", row)
expected = {
    "perfect": {"py-ctcmetrics": [1, 1], "traccuracy": [1, 1]},
    "a pause": {"py-ctcmetrics": [0.896, 0.733], "traccuracy": [0.896, 0.733]},
    "a track each frame": {"py-ctcmetrics": [0.926, 0.333], "traccuracy": [1, 1]},
    "one daughter missed": {"py-ctcmetrics": [0.985, 0.875], "traccuracy": [0.975, 0.792]},
}
print("as seen before" if seen == expected else "changed")
sys.exit(seen != expected)
PY
