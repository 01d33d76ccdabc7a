#!/usr/bin/env bash
# tifffile gives each file of an OME-TIFF set the pixels of the whole set's first image, and zeros
# for a channel whose file is gone.
# Guess before: imread of one file gives that file's own pixels, and a missing file is an error.
# Seen with tifffile 2026.3.3: imread of any of three positions gives position 0; where the file of
# channel 1 is gone, an array of two channels comes back whose second is all 0, with a logged line
# and no error. TiffFile(path, _multifile=False) gives a file's own pages.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import sys
from pathlib import Path

import numpy as np
import tifffile

print("tifffile", tifffile.__version__)
OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}">{images}</OME>'
IMAGE = (
    '<Image ID="Image:{i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYCZT" Type="uint8" SizeX="4" '
    'SizeY="3" SizeC="{c}" SizeZ="1" SizeT="1">{data}</Pixels></Image>'
)
DATA = (
    '<TiffData IFD="0" FirstC="{c}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{k}</UUID></TiffData>'
)


def write(names, images):
    for k, name in enumerate(names):
        about = OME.format(own=k, images=images)
        page = np.full((3, 4), 10 * (k + 1), np.uint8)
        tifffile.imwrite(name, page, description=about, metadata=None, compression="zlib")


names = [f"p{k}.ome.tif" for k in range(3)]
data = [DATA.format(c=0, name=name, k=k) for k, name in enumerate(names)]
write(names, "".join(IMAGE.format(i=k, c=1, data=one) for k, one in enumerate(data)))
positions = [int(tifffile.imread(name)[0, 0]) for name in names]
print("three positions, stored 10, 20, 30; read", positions)
own = []
for name in names:
    with tifffile.TiffFile(name, _multifile=False) as file:
        own.append(int(file.asarray()[0, 0]))
print("with _multifile=False", own)

names = [f"c{k}.ome.tif" for k in range(2)]
data = "".join(DATA.format(c=k, name=name, k=k) for k, name in enumerate(names))
write(names, IMAGE.format(i=0, c=2, data=data))
Path(names[1]).unlink()
channels = tifffile.imread(names[0])[:, 0, 0].tolist()
print("two channels, stored 10, 20, the second's file gone; read", channels)
same = positions == [10, 10, 10] and own == [10, 20, 30] and channels == [10, 0]
print("as seen before" if same else "changed")
sys.exit(not same)
PY
