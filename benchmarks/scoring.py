"""Scoring of one image with many objects: time, and memory that it takes beyond the images.

    python benchmarks/scoring.py          # a minute

Tissue without gaps, found a little displaced, so that objects overlap their neighbours; one in ten
is found in two halves, which leaves a choice at an IoU of one half. Each work runs in a process of
its own.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from measure import in_own_process, seconds, show, write_table
from naive import reference
from spatialembed.instances import Instances
from spatialembed.metrics.average_precision import THRESHOLDS, score_images
from spatialembed.metrics.matching import match
from spatialembed.metrics.object_record import ObjectRecord
from spatialembed.pictures import found_against_truth
from spatialembed.pictures.overlays import judge

SIZE = 12
"""Pixels across an object."""


def tissue(objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Label map and label mask (H, W) int32 of about so many objects."""
    across = round(objects**0.5)
    y, x = np.ogrid[: across * SIZE, : across * SIZE]
    row = (y + np.round(3 * np.sin(x / 9))).astype(np.int32).clip(0) // SIZE
    column = (x + np.round(3 * np.sin(y / 7))).astype(np.int32).clip(0) // SIZE
    truth = row * (across + 1) + column + 1
    found = np.roll(truth, 2, axis=(0, 1))
    found[found % 10 == 0] = 0
    whole = truth % 10 == 0
    right = (x + np.round(3 * np.sin(y / 7))).astype(np.int32).clip(0) % SIZE >= SIZE // 2
    found[whole] = (truth + right * int(truth.max() + 1))[whole]
    return np.unique(found, return_inverse=True)[1].astype(np.int32).reshape(truth.shape), truth


def naive(label_map: np.ndarray, label_mask: np.ndarray) -> None:
    """By a table of all pairs."""
    iou = reference.overlap_table(label_map, label_mask)
    for threshold in THRESHOLDS:
        reference.pairs(iou, threshold)


def record(label_map: np.ndarray, label_mask: np.ndarray) -> None:
    """The curve and the sizes of `evaluate`."""
    found = Instances.from_label_map(label_map)
    objects = ObjectRecord(["object"])
    objects.add(found, found, label_mask)
    objects.summary()


def validated(label_map: np.ndarray, label_mask: np.ndarray) -> None:
    """As validation scores eleven seed thresholds from one clustering."""
    whole = match(label_map, label_mask)
    for share in range(11):
        for threshold in THRESHOLDS:
            whole.first(whole.n_found * share // 10).pairs(threshold)


WORKS: dict[str, Callable[[np.ndarray, np.ndarray], object]] = {
    "all pairs": naive,
    "table of `evaluate`": lambda a, b: score_images([(a, b, None, None, "tissue")]),
    "its curve and sizes": record,
    "validation": validated,
    "found against truth, counted": judge,
    "found against truth, drawn": lambda a, b: found_against_truth(a % 251, a, b),
}


def one(work: str, objects: int) -> dict[str, float]:
    """Seconds and GB that one work takes."""
    WORKS[work](*tissue(16))  # what is loaded at the first call is not the work's
    label_map, label_mask = tissue(objects)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak()
    spent = seconds(lambda: WORKS[work](label_map, label_mask))
    return {"s": spent, "GB": peak() - before, "whole": peak()}


def peak() -> float:
    """GB that this process has had at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def main() -> None:
    """Measure all works."""
    rows = []
    for objects in (2_000, 20_000, 100_000):
        for work in WORKS:
            if work == "all pairs" and objects > 2_000:
                continue
            found = in_own_process(work, objects)
            assert found is not None, f"{work} of {objects} objects failed"
            memory = [f"{found[key]:.2f} GB" for key in ("GB", "whole")]
            rows.append([f"{objects:,}", work, show(found["s"]), *memory])
    header = ["objects", "work", "time", "memory beyond the images", "of the whole process"]
    write_table("scoring", header, rows)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(one(sys.argv[1], int(sys.argv[2]))))
