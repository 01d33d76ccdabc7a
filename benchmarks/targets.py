"""One network for cells and their nuclei beside one for each, on generated images.

    python benchmarks/targets.py OUT

Makes OUT/CELLS, trains both together and each alone, as long together and as long each, and prints
AP on the test images: mean over images, at IoU .50 and over .50 to .90. Ten minutes on one core.
"""

import json
import sys
from pathlib import Path

from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.demo.cells import make_cells
from spatialembed.training import train

NETWORK = {"widths": [24, 32, 48, 64], "blocks": [1, 1, 1, 1], "fine": 8}
"""273,000 parameters: scenes are simple, and a processor is to be done soon."""

STAGE = {
    "crop_size": 96, "batch_size": 4, "steps": 600, "minutes": None, "learning_rate": 3e-3,
    "warmup_steps": 30, "validations": 1,
}  # fmt: skip

RUNS = {"both": [], "cells": ["--classes", "cells"], "nuclei": ["--classes", "nuclei"]}


def trained(out: Path, kind: str, steps: int) -> Path:
    """The run folder of a training of so many steps."""
    options = [
        f"--network_options={json.dumps(NETWORK)}", f"--stages={json.dumps([STAGE])}",
        "--diameter=null", "--average=0.98", f"--steps={steps}", "--workers=0",
        f"--out={out / f'{kind}_{steps}'}", *RUNS[kind],
    ]  # fmt: skip
    return train(read_recipe("nuclei", out / "CELLS", *options))


def scores(run: Path, data: Path) -> dict[str, tuple[float, float]]:
    """AP at .50 and mean AP of each target on the test images."""
    main(["evaluate", str(run), str(data), "--pictures", "0"])
    found = {}
    for path in sorted((run / "evaluation_test").rglob("evaluation.json")):
        for name, held in json.loads(path.read_text(encoding="utf-8"))["classes"].items():
            measured = held["mean_over_images"]
            found[name] = measured["ap"][0], measured["ap_mean"]
    return found


def run(out: Path) -> None:
    """Make the images, train, and print a line a network."""
    make_cells(out / "CELLS", {"train": 40, "val": 4, "test": 20})
    lines = []
    for kind, steps in (("both", 600), *((k, n) for n in (300, 600) for k in ("cells", "nuclei"))):
        for name, (ap50, ap) in scores(trained(out, kind, steps), out / "CELLS").items():
            lines.append(f"| {kind}, {steps} steps | {name} | {ap50:.3f} | {ap:.3f} |")
    print("\n".join(lines))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
