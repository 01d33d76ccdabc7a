#!/usr/bin/env bash
# bioio saves an image whose pixels are 100 nm wide as one whose pixels are 100 µm wide.
# Guess before: physical_pixel_sizes are the file's numbers without a unit, as its text says, and save() of the same image
# keeps both. Seen with bioio 3.6.0 and bioio-ome-tiff 1.4.0: the number is written without its unit, which in OME-XML
# means µm, so that an OME-TIFF in nm comes back a thousand times too large and one in mm a thousand times too small, and
# nothing else that bioio gives (scale, dimension_properties) tells the three apart: the unit there is None.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet bioio==3.6.0 bioio-ome-tiff==1.4.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import re
import sys
import warnings

import numpy as np
import tifffile

warnings.simplefilter("ignore")
from bioio import BioImage

seen = {}
for size, unit in ((0.1, "µm"), (100, "nm"), (0.0001, "mm")):
    about = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit, "PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
    tifffile.imwrite("x.ome.tif", np.zeros((20, 30), np.uint8), metadata=about)
    image = BioImage("x.ome.tif")
    image.save("y.ome.tiff")
    with tifffile.TiffFile("y.ome.tiff") as file:
        pixels = re.search("<Pixels[^>]*>", file.ome_metadata)[0]
    name = re.search('PhysicalSizeXUnit="([^"]*)"', pixels)
    written = re.search('PhysicalSizeX="([^"]*)"', pixels)[1], name[1] if name else "µm, OME's default"
    seen[unit] = [image.physical_pixel_sizes.X, image.dimension_properties.X.unit, float(written[0]), written[1]]
    print("pixels of", size, unit, "bioio:", *seen[unit][:2], "saved as", *written)
expected = {unit: [size, None, size, "µm, OME's default"] for unit, size in (("µm", 0.1), ("nm", 100.0), ("mm", 0.0001))}
print("as seen before" if seen == expected else f"changed: {seen}")
sys.exit(seen != expected)
PY
