"""The Cell Tracking Challenge's measures of folders of tracks, by py-ctcmetrics (BSD-3).

    python of_ctcmetrics.py TRUTH TRACKS [TRACKS ...]

Prints a list of measures, a folder each.
"""

import contextlib
import json
import sys

from ctc_metrics.scripts.evaluate import evaluate_sequence

MEASURES = ["Valid", "DET", "SEG", "TRA", "LNK", "BC", "HOTA"]  # BC gives BC(1)

truth, *folders = sys.argv[1:]
with contextlib.redirect_stdout(sys.stderr):
    found = [evaluate_sequence(folder, truth, list(MEASURES), threads=1) for folder in folders]
print(
    json.dumps(
        [{name: float(value) for name, value in row.items() if value is not None} for row in found]
    )
)
