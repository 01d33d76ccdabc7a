"""Volumes: loss and clustering against naive loops, prediction of a large one in bounded memory.

    python benchmarks/volume_speed.py        # about five minutes

Objects are those of generated volumes (spatialembed.demo.volumes), raw outputs as a trained network
gives them; the network that predicts is that of the recipe `volumes`, with random weights.
"""

import json
import resource
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import yaml

from measure import in_own_process, show, side_by_side, write_table
from naive import reference
from spatialembed.cli.recipe import find_recipe
from spatialembed.clustering import cluster
from spatialembed.demo.volumes import draw_volume
from spatialembed.embedding import PITCH
from spatialembed.inference.loading import load
from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec
from workload import trained_output

CUBES = (0.15, 0.15, 0.15)
"""Micrometres: voxels as far apart along all axes."""

N_SIGMA = 3


def mask(shape: tuple[int, int, int], objects: int, seed: int) -> np.ndarray:
    """Label mask (Z, H, W) int32."""
    return draw_volume(seed, shape, CUBES, objects)[1].astype(np.int32)


def loss() -> dict[str, float]:
    """Seconds of a loss with its gradient, on two volumes of 64³ with 60 objects each."""
    masks = [mask((64, 64, 64), 60, seed) for seed in range(2)]
    output = torch.from_numpy(np.stack([trained_output(one, N_SIGMA) for one in masks]))
    label_mask = torch.from_numpy(np.stack(masks))

    def gradient(of: object) -> torch.Tensor:
        given = output.clone().requires_grad_()
        of(given, label_mask)["total"].backward()
        return given.grad

    works = {
        "ours": SpatialEmbeddingLoss(N_SIGMA),
        "naive": partial(reference.loss, n_sigma=N_SIGMA),
    }
    found = side_by_side({name: partial(gradient, work) for name, work in works.items()}, 5)
    return found | {"objects": float(np.mean([one.max() for one in masks]))}


def clustering(*shape: int) -> dict[str, float]:
    """Seconds of clustering a volume; of the naive loops where it is small."""
    objects = 2000 if shape[0] > 64 else 40
    label_mask = mask(shape, objects, 0)
    output = trained_output(label_mask, N_SIGMA)
    works = {"ours": partial(cluster, output, N_SIGMA, min_size=30)}
    if shape[0] <= 64:
        works["naive"] = partial(reference.cluster, output, n_sigma=N_SIGMA, min_size=30)
        exact = works["naive"]()[0]
        assert np.array_equal(works["ours"]().label_map, exact)
    found = side_by_side(works, 3)
    return found | {"objects": len(works["ours"]()), "share": float((label_mask > 0).mean())}


def prediction(*shape: int) -> dict[str, float]:
    """Seconds of a network on a volume, and GB that the process takes at most, the volume's own
    included.
    """
    recipe = yaml.safe_load(find_recipe("volumes").read_text())
    spec = ModelSpec(
        recipe["network"],
        recipe["network_options"],
        in_channels=1,
        n_sigma=N_SIGMA,
        dims=3,
        pitch=(PITCH,) * 3,
        normalization=Normalization("percentile"),
    )
    with TemporaryDirectory() as folder:
        save_model(Path(folder, "x.safetensors"), spec.build(), spec)
        model = load(Path(folder, "x.safetensors"), device="cpu")
    volume = np.random.default_rng(0).integers(0, 4000, shape, np.uint16)
    model.output(volume[:32, :64, :64])
    start = time.perf_counter()
    model.output(volume)
    taken = time.perf_counter() - start
    return {"ours": taken, "GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    """Measure all, each in a process of its own."""
    found = in_own_process("loss")
    rows = [["loss and gradient, two of 64³", f"{found['objects']:.0f} each", *_times(found), ""]]
    for shape in ((64, 128, 128), (256, 512, 512)):
        found = in_own_process("clustering", *shape)
        told = f"{found['objects']:,} on {found['share']:.0%}"
        rows.append([f"clustering, {_size(shape)}", told, *_times(found), ""])
    shape = (512, 512, 512)
    found = in_own_process("prediction", *shape)
    speed = f"{np.prod(shape) / found['ours'] / 1e6:.2g} M voxels/s, peak {found['GB']:.1f} GB"
    rows.append([f"raw output, {_size(shape)}", "", "", show(found["ours"]), "", speed])
    header = ["work", "objects", "naive", "ours", "faster", ""]
    write_table("volume_speed", header, rows)


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _times(found: dict[str, float]) -> list[str]:
    if "naive" not in found:
        return ["", show(found["ours"]), ""]
    return [show(found["naive"]), show(found["ours"]), f"{found['naive'] / found['ours']:.0f} ×"]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        kind, *numbers = sys.argv[1:]
        work = {"loss": loss, "clustering": clustering, "prediction": prediction}[kind]
        print(json.dumps(work(*map(int, numbers))))
