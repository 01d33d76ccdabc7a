"""A PNG of 2 megapixels with 20 cars to its label map, in turns.

    python benchmarks/whole_image.py

The network has no training: its output is computed and thrown away, and a trained-like output of
the same size is clustered in its place, so that clustering has 20 objects to find.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from measure import network_rows, operations, side_by_side, write_table
from naive import reference
from spatialembed.data.images.reading import read_image
from spatialembed.inference.loading import load, load_network
from spatialembed.inference.predictor import Model
from spatialembed.models.spec import ModelSpec
from workload import NETWORKS, ellipses, exported, trained_output, untrained

SHAPE = (1024, 2048)


def main() -> None:
    """Measure all cases."""
    torch.manual_seed(0)
    label_mask = ellipses(SHAPE, 20)
    output = trained_output(label_mask, 1)
    with tempfile.TemporaryDirectory() as folder:
        png = Path(folder) / "image.png"
        noise = np.random.default_rng(0).integers(0, 60, (*SHAPE, 3))
        Image.fromarray((noise + 90 * (label_mask > 0)[..., None]).astype(np.uint8)).save(png)
        works = {"branched_erfnet, as the original": original(png, output)}
        counts = {}
        for name in NETWORKS:
            path = untrained(name, Path(folder))
            network = load_network(path)[0]
            counts[name] = operations(lambda n=network: n(torch.zeros(1, 3, *SHAPE)))
            for precision in ("float32", "bf16"):
                model = load(path, "cpu", precision)
                works[f"{name}, {precision}"] = ours(model, png, output)
            model = exported(name, "int8", Path(folder))
            works[f"{name}, int8 exported"] = ours(model, png, output)
        times = side_by_side(works, 7)
    write_table(
        "whole_image", ["1024×2048", "time", "faster", "of the limit"], network_rows(times, counts)
    )


def original(png: Path, output: np.ndarray):
    """Float32, NCHW, eager, naive clustering."""
    network = ModelSpec("branched_erfnet").build().eval()

    def work() -> None:
        image = np.asarray(Image.open(png), np.float32).transpose(2, 0, 1) / 255
        with torch.no_grad():
            network(torch.from_numpy(np.ascontiguousarray(image))[None])
        reference.cluster(output, min_size=128)

    return work


def ours(model: Model, png: Path, output: np.ndarray):
    """By the library."""

    def work() -> None:
        model.raw(read_image(png))
        model.cluster(output)

    return work


if __name__ == "__main__":
    main()
