"""Gives a model that was trained before models had them the looks of its validation images.

    python benchmarks/add_looks.py shipped/nuclei.safetensors DSB2018

By them `predict` warns of images of another kind. The weights stay as they are, to the bit.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from safetensors.torch import load_file
from torch import float16

from spatialembed.inference.evaluate import open_split
from spatialembed.inference.loading import load, load_network
from spatialembed.inference.looks import usual_looks
from spatialembed.models.checkpoint import save_model


def main() -> None:
    """Write the model file again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    network, spec = load_network(given.model)
    looks = asdict(usual_looks(load(given.model), open_split(given.data, "val", spec)))
    before = load_file(given.model)
    half = any(tensor.dtype == float16 for tensor in before.values())
    save_model(given.model, network, replace(spec, training=spec.training | {"looks": looks}), half)
    after = load_file(given.model)
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
    print(looks)


if __name__ == "__main__":
    main()
