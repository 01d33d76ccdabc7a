#!/usr/bin/env bash
# sahi makes one object of two cells whose masks do not touch, and a disc of a ring that lies in two slices.
# Guess before: predictions of slices that have masks are merged where the masks overlap, and keep their holes. Seen with sahi 0.12.8
# (GREEDYNMM by IOS .5, as get_sliced_prediction has it): boxes alone are compared, and those of two slanted cells side by side overlap by .8,
# so that they become one object of two parts, by NMM and by IOU, too, or, by NMS, one of them is gone. Of a nucleus in a ring the gap between
# them is the cell and the nucleus its hole; a ring that two slices see two thirds of each is a disc, 3761 pixels rather than 1552. So cells
# that lie close, slanted or curved, are fewer and larger the more the image is sliced.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sahi==0.12.8 numpy==2.2.6
cd "$folder"
venv/bin/python - <<'PY'
import itertools
import sys

import numpy as np
from sahi.annotation import Mask
from sahi.postprocess.combine import GreedyNMMPostprocess, NMMPostprocess, NMSPostprocess
from sahi.prediction import ObjectPrediction

y, x = np.mgrid[:100, :100]
far = (y - 50) ** 2 + (x - 50) ** 2


def prediction(mask: np.ndarray, score: float) -> ObjectPrediction:
    outlines = Mask.from_bool_mask(mask, full_shape=[100, 100]).segmentation
    return ObjectPrediction(segmentation=outlines, category_id=0, category_name="cell", score=score, full_shape=[100, 100])


slanted = (abs(x - y) < 5) & (x > 10) & (x < 60) & (y > 10) & (y < 60)
beside = (abs(x - y - 20) < 5) & (x > 15) & (x < 65) & (y > 5) & (y < 55)
ring = (far > 700) & (far < 1200)
pairs = {
    "two slanted cells": (slanted, beside),
    "a nucleus in a ring": (ring, far < 300),
    "a ring in two slices": (ring & (x < 65), ring & (x > 35)),
}
ways = {"GREEDYNMM": GreedyNMMPostprocess, "NMM": NMMPostprocess, "NMS": NMSPostprocess}
seen = {}
for name, masks in pairs.items():
    print(name, "areas", *(int(mask.sum()) for mask in masks), "in common", int((masks[0] & masks[1]).sum()))
    for (way, Way), metric in itertools.product(ways.items(), ("IOS", "IOU")):
        merge = Way(match_threshold=0.5, match_metric=metric, class_agnostic=False)
        found = merge([prediction(mask, score) for mask, score in zip(masks, (0.9, 0.8))])
        seen[name, way, metric] = [int(each.mask.bool_mask.sum()) for each in found]
        print("  ", way, metric, "leaves", len(found), "of", seen[name, way, metric], "pixels")
        if (name, way, metric) == ("a nucleus in a ring", "GREEDYNMM", "IOS"):
            cell = found[0].mask.bool_mask
            seen["nucleus, gap"] = bool(cell[50, 50]), bool(cell[50, 72])
            print("   the nucleus, the gap are of the cell:", *seen["nucleus, gap"])
expected = {("two slanted cells", way, metric): [421] if way == "NMS" else [772] for way in ways for metric in ("IOS", "IOU")}
expected |= {("a nucleus in a ring", way, "IOS"): [1552] if way == "NMS" else [2908] for way in ways}
expected |= {("a nucleus in a ring", way, "IOU"): [1552, 949] for way in ways} | {"nucleus, gap": (False, True)}
expected |= {("a ring in two slices", way, "IOS"): [1022] if way == "NMS" else [3761] for way in ways}
expected |= {("a ring in two slices", way, "IOU"): [1022, 1022] if way == "NMS" else [1022, 1022] for way in ways}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
