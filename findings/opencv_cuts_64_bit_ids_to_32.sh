#!/usr/bin/env bash
# OpenCV makes int32 of 64-bit label images, of each id its lowest 32 bits, in whatever it does with them.
# Guess before: flipping, enlarging by the nearest pixel, padding and the like give the ids that went in, or refuse the type, as dilate
# does; or ids pass through floats and round. Seen with opencv-python-headless 5.0.0.93: of int64 and uint64 flip, rotate, transpose, resize,
# warpAffine, remap, copyMakeBorder, vconcat and max give int32, and nothing is said. Of two neurons whose ids differ by 2^32 one is left,
# 2^32 itself is background, ids from 2^31 on are negative, and compare finds different ids equal. int32 is kept, and so is uint32, which is
# new in OpenCV 5, where it is not refused. numpy's labels are 64 bits as they come, and right as long as ids are below 2^31.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys

import cv2
import numpy as np

columns, rows = np.meshgrid(np.arange(4, dtype=np.float32), np.arange(2, dtype=np.float32))
still = np.eye(2, 3, dtype=np.float32)
ways = {
    "flip": lambda labels: cv2.flip(labels, 0),
    "rotate": lambda labels: cv2.rotate(labels, cv2.ROTATE_180),
    "transpose": cv2.transpose,
    "resize": lambda labels: cv2.resize(labels, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST),
    "warpAffine": lambda labels: cv2.warpAffine(labels, still, (4, 2), flags=cv2.INTER_NEAREST),
    "remap": lambda labels: cv2.remap(labels, columns, rows, cv2.INTER_NEAREST),
    "copyMakeBorder": lambda labels: cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_REPLICATE),
    "vconcat": lambda labels: cv2.vconcat([labels, labels]),
    "max": lambda labels: cv2.max(labels, labels),
    "dilate": lambda labels: cv2.dilate(labels, np.ones((3, 3), np.uint8)),
}
large = [0, 7, 2**32, 2**32 + 7, 3 * 2**31, 720575940621039145, 720575940621039145 + 2**32, 2**31 + 5]
seen = {}
for dtype, ids in ((np.int64, large), (np.uint64, large), (np.int64, [*range(8)]), (np.uint32, [*range(2**32 - 8, 2**32)])):
    labels, key = np.array(ids, dtype).reshape(2, 4), f"{dtype.__name__}, ids to {ids[-1]}"
    for name, way in ways.items():
        try:
            found = way(labels)
            seen[key, name] = found.dtype.name, len(np.unique(found)), len({*found.ravel().tolist()} & {*ids})
        except cv2.error:
            seen[key, name] = "refused"
    print(key, *(f"{name}: {seen[key, name]}" for name in ways), sep="\n  ")
values = cv2.flip(np.array(large).reshape(2, 4), -1)[::-1, ::-1].ravel().tolist()
print("ids in: ", *large)
print("ids out:", *values)
equal = cv2.compare(np.array([[7]]), np.array([[2**32 + 7]]), cv2.CMP_EQ)[0, 0]
print("7 and 2**32 + 7 by compare:", equal)
kinds = [{seen[key, name] for name in ways if name != "dilate"} for key in dict.fromkeys(key for key, _ in seen)]
expected = [{("int32", 5, 2)}, {("int32", 5, 2)}, {("int32", 8, 8)}]
new = {"refused", ("uint32", 8, 8)}
cut = [int(np.int64(number).astype(np.int32)) for number in large]
same = kinds[:3] == expected and kinds[3] == new and values == cut and equal == 255 and all(
    value == "refused" for (_, name), value in seen.items() if name == "dilate"
)
print("as seen before" if same else f"changed: {kinds}")
sys.exit(not same)
PY
