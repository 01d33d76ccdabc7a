"""What 8 bits are calibrated and checked on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from test_predictor import bright

from spatialembed.export.int8 import check, open_splits
from spatialembed.inference.predictor import Model


def test_accuracy_is_measured_on_images_as_large_as_in_training(tmp_path: Path) -> None:
    seen = []

    class Seeing(Model):
        def output(self, image, name=None, part=None):
            seen.append(self.size_ratio)
            return super().output(image, name, part)

    for split in ("train", "val"):
        for part in ("images", "masks"):
            path = tmp_path / split / part / "a.tif"
            path.parent.mkdir(parents=True)
            pixels = np.zeros((32, 48), np.uint8)
            pixels[8:24, 8:24] = 255 if part == "images" else 1
            said = {"unit": "um"}
            tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 4), metadata=said)
    spec = replace(bright().spec, pixel_size=0.5, object_diameter=9.0)
    model = Seeing(bright().network, spec)
    _, val = open_splits(tmp_path, spec)
    checked = check(model, model, val)
    assert checked["checked_on"] == 1
    assert checked["ap"]["float32"] == checked["ap"]["int8"] > 0.5
    assert seen == [0.5, 0.5]
