"""The recipe `volumes`, trained by the command line and asked as `spatialembed predict` asks."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from turns import Clock, serve

from spatialembed.data.images.reading import read_stack
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.inference.loading import load


def loaded():
    """What finds the objects of a volume by the run in a folder."""
    model = load(Path(sys.argv[1], "run"))

    def predict(clock: Clock, image: str, out: str) -> None:
        with clock("read"):
            voxels = read_stack(image)
        with clock("network and labels"):
            found = model.cluster(model.output(voxels, image))
        with clock("write"):
            save_label_tiff(Path(out), found.label_map)

    return predict


def trained(data: str, out: str, minutes: str, *spacing: str) -> dict[str, Any]:
    """Train by the recipe `volumes` for some minutes; of a single volume a slab is held out."""
    run = Path(out, "run")
    command = [sys.executable, "-m", "spatialembed", "train", data, "--config", "volumes"]
    options = ["--minutes", minutes, "--out", str(run), "--device", "cpu", "--seed", "0"]
    if spacing:
        options += ["--spacing", *spacing]
    if code := subprocess.run([*command, *options]).returncode:
        sys.exit(code)
    steps = int((run / "losses.csv").read_text().splitlines()[-1].split(",")[0])
    told = f"spacing {' × '.join(spacing)}" if spacing else "spacing as its files say"
    return {"steps": steps, "told": told}


if __name__ == "__main__":
    serve(loaded, trained)
