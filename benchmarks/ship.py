"""Makes a model of the package of a finished run.

    python benchmarks/ship.py runs/tissue shipped/tissue.safetensors --classes nucleus \\
        --trained_on "stained tissue of the 2018 Data Science Bowl" --licence "Apache-2.0; data CC0"

Weights are stored in float16; what prediction goes by stays as the run left it. With `--looks DATA
...` the model is given the looks of these sets' validation images, by which `predict` warns of
images of another kind, as runs of several sets or of before there were looks have none.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from spatialembed.data.mixture import mixed
from spatialembed.inference.evaluate import open_split
from spatialembed.inference.loading import load, load_network
from spatialembed.inference.looks import usual_looks
from spatialembed.models.checkpoint import save_model


def main() -> None:
    """Write the model file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--classes", nargs="+")
    parser.add_argument("--trained_on")
    parser.add_argument("--licence")
    parser.add_argument("--looks", nargs="+", type=Path, default=[])
    given = parser.parse_args()
    network, spec = load_network(given.run)
    training = dict(spec.training)
    if given.looks:
        val = mixed([open_split(path, "val", spec) for path in given.looks])
        training["looks"] = asdict(usual_looks(load(given.run), val))
    named = {
        "class_names": given.classes and tuple(given.classes),
        "trained_on": given.trained_on,
        "licence": given.licence,
        "training": training,
    }
    told = {name: value for name, value in named.items() if value}
    save_model(given.out, network, replace(spec, **told), half=True)
    print(f"{given.out}: {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
