"""The shipped `nuclei`, as `spatialembed predict nuclei IMAGE --out FOLDER` runs it by default."""

import subprocess
import sys
from functools import wraps
from pathlib import Path
from typing import Any

from turns import Clock, serve

from spatialembed.formats.label_images import save_label_tiff
from spatialembed.formats.results_folder import Results
from spatialembed.inference import folder
from spatialembed.inference.image_files import ImageFile
from spatialembed.inference.loading import load
from spatialembed.inference.predictor import Model

STAGES = {
    "read": (folder, "read_image"),
    "normalise": (Model, "prepared"),
    "labels": (Model, "cluster"),
    "write": (Results, "write"),
}


def loaded():
    """What predicts one file and writes its results; the stages are timed where they are called."""
    model = load("nuclei")
    clocks = [Clock()]

    def timed(stage: str, work):
        @wraps(work)
        def call(*given: Any, **named: Any) -> Any:
            with clocks[-1](stage):
                return work(*given, **named)

        return call

    for stage, (owner, name) in STAGES.items():
        setattr(owner, name, timed(stage, getattr(owner, name)))
    model.network = timed("network", model.network)

    def predict(clock: Clock, image: str, mask: str, out: str) -> None:
        clocks.append(clock)
        file = ImageFile(Path(image), Path(out).stem)
        (outcome,) = folder.predict_files(model, [file], Results(Path(out).parent), True)
        assert outcome.error is None, outcome.error

    return predict


def trained(data: str, out: str, minutes: str) -> dict[str, Any]:
    """Train by the recipe `nuclei` for some minutes, then write labels of the validation images."""
    run = Path(out, "run")
    command = [sys.executable, "-m", "spatialembed", "train", data, "--config", "nuclei"]
    options = ["--minutes", minutes, "--out", str(run), "--device", "cpu", "--seed", "0"]
    subprocess.run([*command, *options], check=True)
    model = load(run)
    for image in Path(data, "val", "images").iterdir():
        save_label_tiff(Path(out, image.name), model.predict(image).label_map)
    steps = int((run / "losses.csv").read_text().splitlines()[-1].split(",")[0])
    told = "trained by `nuclei`; checkpoint and thresholds chosen on the scored images"
    return {"steps": steps, "labels": True, "told": told}


if __name__ == "__main__":
    serve(loaded, trained)
