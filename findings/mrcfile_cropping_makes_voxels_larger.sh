#!/usr/bin/env bash
# mrcfile makes voxels larger where a map is cropped in its file, 0 where their size was set first, and thicker in a stack of images.
# Guess before: voxels keep their size until someone sets another, since set_data "replaces the current data" and "updates the header to match the
# new data dimensions". Seen with mrcfile 1.5.4: the file holds the cell's size and the number of voxels in it; of these set_data updates
# the number alone, so that voxels of 2 A are 6 x 4 x 2 A after 30 x 20 x 8 were cropped to 10 x 10 x 8, and 1 x 1 x 2 after a padding to
# 60 x 40 x 8. Of a new file voxel_size = 2 before set_data is 0 after it, and after set_image_stack eight planes of 2 A are 16 A apart; in the
# other order it stays. Nothing is said, and validate() finds the files valid. Setting voxel_size once more, last, is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mrcfile==1.5.4 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
from io import StringIO

import mrcfile
import numpy as np

volume = np.arange(8 * 20 * 30, dtype=np.int16).reshape(8, 20, 30)


def stated(path: str) -> tuple[list[float], bool]:
    """The size of voxels along x, y and z that a file states, and whether it is valid."""
    with mrcfile.open(path) as file:
        size = file.voxel_size
        return [round(float(size[axis]), 3) for axis in "xyz"], bool(mrcfile.validate(path, print_file=StringIO()))


def new(path: str) -> str:
    with mrcfile.new(path, data=volume) as file:
        file.voxel_size = 2
    return path


seen = {"as written": stated(new("whole.mrc"))}
with mrcfile.open(new("cropped.mrc"), mode="r+") as file:
    file.set_data(file.data[:, :10, :10].copy())
seen["cropped"] = stated("cropped.mrc")
with mrcfile.open(new("padded.mrc"), mode="r+") as file:
    file.set_data(np.pad(file.data, ((0, 0), (0, 20), (0, 30))))
seen["padded"] = stated("padded.mrc")
with mrcfile.new("early.mrc") as file:
    file.voxel_size = 2
    file.set_data(volume)
seen["set before the data"] = stated("early.mrc")
for name, first in (("set, then a stack", True), ("a stack, then set", False)):
    with mrcfile.new(f"stack{first}.mrc", data=volume) as file:
        if first:
            file.voxel_size = 2
        file.set_image_stack()
        if not first:
            file.voxel_size = 2
    seen[name] = stated(f"stack{first}.mrc")
for name, (size, valid) in seen.items():
    print(name, "voxels:", size, "valid:", valid)
expected = {
    "as written": ([2, 2, 2], True),
    "cropped": ([6, 4, 2], True),
    "padded": ([1, 1, 2], True),
    "set before the data": ([0, 0, 0], True),
    "set, then a stack": ([2, 2, 16], True),
    "a stack, then set": ([2, 2, 2], True),
}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
