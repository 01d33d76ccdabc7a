#!/usr/bin/env bash
# Of a CZI of two scenes that Zeiss' own library wrote, bioio-czi lists one, and gives colors with blue first.
# Guess before: two scenes, as the file's list of blocks and its SizeS say, and samples red, green, blue.
# Seen with bioio 3.6.0, bioio-czi 3.0.1 (aicspylibczi 4.0.1), the file from pylibCZIrw 6.1.0: it names scenes by
# Information/Image/Dimensions/S/Scenes, which that library leaves out, and then takes the first for the only one;
# samples (axis S) are in the order of the file, whose pixel type is Bgr24. pylibCZIrw itself has both scenes, blue first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet bioio==3.6.0 bioio-czi==3.0.1 aicspylibczi==4.0.1 pylibCZIrw==6.1.0
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import numpy as np
from bioio import BioImage
from pylibCZIrw.czi import create_czi, open_czi

warnings.simplefilter("ignore")
red = np.zeros((40, 60, 3), np.uint8)
red[..., 2] = 200  # of blue, green and red, as the library takes them
with create_czi("x.czi") as file:
    file.write(data=red, scene=0)
    file.write(data=red, scene=1, location=(100, 80))
    file.write_metadata()
with open_czi("x.czi") as file:
    scenes = len(file.scenes_bounding_rectangle)
found = BioImage("x.czi")
seen = scenes, len(found.scenes), found.get_image_data("YXS")[5, 5].tolist()
print("scenes by pylibCZIrw:", seen[0], "by bioio:", seen[1], "samples of red by bioio:", seen[2])
print("as seen before" if seen == (2, 1, [0, 0, 200]) else "changed")
sys.exit(seen != (2, 1, [0, 0, 200]))
PY
