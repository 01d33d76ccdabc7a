"""Volumes: loss and clustering against naive loops, prediction of a large one in bounded memory.

    python benchmarks/volume_speed.py        # about five minutes
    python benchmarks/volume_speed.py --environments PEERS      # beside StarDist, too

Objects are those of generated volumes (spatialembed.demo.volumes), raw outputs as a trained network
gives them; the network that predicts is that of the recipe `volumes`, with random weights.
"""

import argparse
import json
import os
import resource
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
import torch
import yaml

from environments import Worker, environment
from measure import in_own_process, show, side_by_side, write_table
from naive import reference
from peers import PEERS
from spatialembed.cli.recipe import find_recipe
from spatialembed.clustering import cluster
from spatialembed.data.images.reading import read_stack
from spatialembed.demo.volumes import draw_volume
from spatialembed.embedding import PITCH
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.inference.loading import load
from spatialembed.inference.predictor import Model
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


def untrained() -> Model:
    """The recipe's model with random weights."""
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
        return load(Path(folder, "x.safetensors"), device="cpu")


def prediction(*shape: int) -> dict[str, float]:
    """Seconds of a network on a volume, and GB that the process takes at most, the volume's own
    included.
    """
    model = untrained()
    volume = np.random.default_rng(0).integers(0, 4000, shape, np.uint16)
    model.output(volume[:32, :64, :64])
    start = time.perf_counter()
    model.output(volume)
    taken = time.perf_counter() - start
    return {"ours": taken, "GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def beside_stardist(environments: str, *shape: int) -> dict[str, float]:
    """Seconds from a TIFF to a label TIFF, ours and StarDist's.

    Both networks have random weights; objects are found in what networks without error give.
    """
    python = environment(Path(environments, "stardist"), PEERS["stardist"])
    voxels, label_mask = draw_volume(0, shape, CUBES, int(np.prod(shape) / 12_000))
    model, output = untrained(), trained_output(label_mask.astype(np.int32), N_SIGMA)
    with TemporaryDirectory() as folder:
        image, mask, found = (Path(folder, name) for name in ("x.tif", "mask.tif", "found.tif"))
        tifffile.imwrite(image, voxels)
        tifffile.imwrite(mask, label_mask)

        def ours() -> None:
            model.output(read_stack(image), image)
            save_label_tiff(found, model.cluster(output).label_map)

        with Worker("stardist_3d_random", python, sorted(os.sched_getaffinity(0))) as stardist:
            paths = [(str(image), str(mask), str(found))]
            times = side_by_side({"ours": ours, "naive": lambda: stardist.work(paths)}, 3)
            memory = stardist.work(paths)["GB"]
    return times | {"objects": float(len(np.unique(label_mask)) - 1), "GB": memory}


def main() -> None:
    """Measure all, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environments", type=Path, help="where peers.py keeps StarDist")
    environments = parser.parse_args().environments
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
    if environments:
        shape = (64, 128, 128)  # of eight times as many voxels StarDist's takes minutes
        found = in_own_process("beside_stardist", environments.resolve(), *shape)
        told = f"instead of naive loops {PEERS['stardist'].name} in 3D, peak {found['GB']:.1f} GB"
        objects = f"{found['objects']:,.0f}"
        rows.append([f"TIFF to label TIFF, {_size(shape)}", objects, *_times(found), told])
    header = ["work", "objects", "naive", "ours", "faster", ""]
    write_table("volume_speed", header, rows, "--environments PEERS" if environments else "")


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _times(found: dict[str, float]) -> list[str]:
    if "naive" not in found:
        return ["", show(found["ours"]), ""]
    return [show(found["naive"]), show(found["ours"]), f"{found['naive'] / found['ours']:.0f} ×"]


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1].startswith("-"):
        main()
    else:
        kind, *given = sys.argv[1:]
        numbers = (int(word) if word.isdigit() else word for word in given)
        works = (loss, clustering, prediction, beside_stardist)
        print(json.dumps({work.__name__: work for work in works}[kind](*numbers)))
