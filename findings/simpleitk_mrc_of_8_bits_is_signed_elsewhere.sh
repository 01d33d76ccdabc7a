#!/usr/bin/env bash
# Labels of 8 bits that SimpleITK saves as MRC come back from mrcfile with every id above 127 negative.
# Guess before: an MRC file of SimpleITK holds for mrcfile what was saved, as that opens it without a word; or bytes are signed
# there. Seen with SimpleITK 2.5.7 and mrcfile 1.5.4: mode 0 of the format is signed since 2014, SimpleITK writes it for unsigned
# bytes and takes it for them again, with neither the year's mark nor IMOD's. So 128 of 256 values are others, in mrcfile's strict mode,
# too, and the header's own least and largest value, 0 and 255, contradict them. Of mrcfile's file of int8 SimpleITK gives int8, and 16
# bits are right both ways.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 mrcfile==1.5.4 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
import warnings

import mrcfile
import numpy as np
import SimpleITK

warnings.simplefilter("error")
seen = {}
for dtype in (np.uint8, np.int16, np.uint16):
    labels = np.arange(256).reshape(4, 8, 8).astype(dtype)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels), "labels.mrc")
    own = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage("labels.mrc"))
    with mrcfile.open("labels.mrc") as file:
        header = float(file.header.dmin), float(file.header.dmax)
        seen[dtype.__name__] = file.data.dtype.name, int((file.data != labels).sum()), int((own != labels).sum())
    print(dtype.__name__, "saved, mrcfile's type, its wrong values, SimpleITK's own:", *seen[dtype.__name__], "header:", header)
with mrcfile.new("signed.mrc") as file:
    file.set_data(np.arange(-128, 128).reshape(4, 8, 8).astype(np.int8))
back = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage("signed.mrc"))
seen["mrcfile's int8"] = back.dtype.name, int(back.min())
print("mrcfile's int8 by SimpleITK:", *seen["mrcfile's int8"])
expected = {"uint8": ("int8", 128, 0), "int16": ("int16", 0, 0), "uint16": ("uint16", 0, 0), "mrcfile's int8": ("int8", -128)}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
