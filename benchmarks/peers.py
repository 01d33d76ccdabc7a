"""What one would take instead of us, on the same images, taking turns on the same machine.

    python benchmarks/peers.py --environments PEERS --dsb2018 DSB2018
    python benchmarks/peers.py --environments PEERS --dsb2018 DSB2018 --train 10

Each peer lives in an environment that is made below PEERS from pinned packages, and is kept there
between runs: 6 GB in all, and none of it a dependency of ours. A worker of `peers/` runs in it,
is given images as files, and imports nothing of ours. Works can be timed one by one (--works): what
was measured on this machine is kept in PEERS/times.json, and the table is of all that is there.
Trainings run side by side, each on one core, so that the machine's noise meets all alike.
DSB2018's test images are timed alone, never scored; training is scored on its validation images.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from environments import Paths, Peer, Worker, environment, trained
from measure import show, write_table
from spatialembed.data import open_data
from spatialembed.data.images.reading import read_image
from spatialembed.metrics.average_precision import score_images
from workload import nuclei

TORCH = ("torch==2.13.0+cpu", "torchvision==0.28.0")
"""By name the build for the CPU, so that none of CUDA comes with it."""

OURS = Peer("spatialembed", (), "`predict nuclei`, trained; overlay picture written too")
PEERS = {
    "stardist": Peer(
        "StarDist 0.9.2",
        ("stardist==0.9.2", "csbdeep==0.8.2", "tensorflow-cpu==2.21.0", "keras==3.15.1"),
        "random weights; its labels are of an output without error",
    ),
    "instanseg": Peer(
        "InstanSeg 0.1.2",
        ("instanseg-torch==0.1.2", *TORCH),
        "random weights; ends with the network",
    ),
    "ultralytics": Peer(
        "Ultralytics 8.4.190, yolo26n-seg",
        ("ultralytics==8.4.190", *TORCH),
        "random weights, at the image's size; ends with the network (AGPL: timed, never used)",
    ),
    "cellpose": Peer(
        "Cellpose 4.2.1.1",
        ("cellpose==4.2.1.1", *TORCH),
        "random weights; ends with the network, of which one tile was timed",
    ),
}
WORKS = {
    "2MP": "1024×2048, 600 nuclei",
    "dsb2018": "50 test images of DSB2018",
    "4000": "4000², 7,700 nuclei",
}
STAGES = ("read", "normalise", "network", "labels", "write")


def images(work: str, folder: Path, dsb2018: Path) -> Paths:
    """The images of a work, drawn if they are not given."""
    found = folder / "labels"
    found.mkdir(exist_ok=True)
    if work == "dsb2018":
        files = sorted((dsb2018 / "test" / "images").iterdir())
        masks = dsb2018 / "test" / "masks"
        return [(str(file), str(masks / file.name), str(found / file.name)) for file in files]
    shape, count = ((1024, 2048), 600) if work == "2MP" else ((4000, 4000), 7700)
    image, mask = nuclei(shape, count)
    paths = folder / f"{work}.png", folder / f"{work}_mask.tif", found / f"{work}.tif"
    Image.fromarray(image).save(paths[0])
    tifffile.imwrite(paths[1], mask.astype(np.uint16))
    return [(str(paths[0]), str(paths[1]), str(paths[2]))]


def timed(pythons: dict[str, Path], paths: Paths, threads: int, turns: int) -> dict[str, Any]:
    """Medians of each peer's seconds by stage; they take turns after a first one for each."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    with ExitStack() as stack:
        works = {n: stack.enter_context(Worker(n, p, cores)) for n, p in pythons.items()}
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in works}
        for turn in range(turns + 1):
            for name, worker in works.items():
                if turn:
                    taken[name].append(worker.work(paths))
                else:
                    worker.work(paths[:1])
    keys = {name: set().union(*each) for name, each in taken.items()}
    return {n: {k: median(t.get(k, 0) for t in taken[n]) for k in keys[n]} for n in taken}


def rows(kept: dict[str, Any]) -> Iterator[list[str]]:
    """Of the table: what was measured, work by work."""
    for key, found in kept.items():
        work, threads = key.split()
        ours = found["ours"]
        for name, took in found.items():
            peer = OURS if name == "ours" else PEERS[name]
            start = [WORKS[work], threads, peer.name]
            if isinstance(took, str):
                yield [*start, *[""] * (len(STAGES) + 3), took]
                continue
            stages = [show(took[s]) if took.get(s) else "" for s in STAGES]
            whole = (
                took["whole"] if "of one tile" not in took else sum(took.get(s, 0) for s in STAGES)
            )
            ratio = f"{whole / ours['whole']:.2g} ×"
            yield [*start, *stages, show(whole), ratio, f"{took['GB']:.1f} GB", peer.told]


def time_all(given: argparse.Namespace) -> None:
    """Time the works that were asked for, and write the table of all that were timed."""
    notes = given.environments / "times.json"
    kept = json.loads(notes.read_text()) if notes.exists() else {}
    made = {n: environment(given.environments / n, PEERS[n]) for n in given.peers}
    pythons = {"ours": Path(sys.executable)}
    pythons |= {n: p for n, p in made.items() if isinstance(p, Path)}
    with tempfile.TemporaryDirectory() as folder:
        for work in given.works:
            paths = images(work, Path(folder), given.dsb2018)
            for threads in given.threads:
                found = timed(pythons, paths, threads, given.turns)
                kept[f"{work} {threads}"] = found | {
                    n: p for n, p in made.items() if n not in found
                }
                notes.write_text(json.dumps(kept))
    command = "--environments PEERS --dsb2018 DSB2018"
    command += f" --works {' '.join(given.works)} --threads {' '.join(map(str, given.threads))}"
    command += f" --turns {given.turns}"
    header = ["images", "threads", "", *STAGES, "whole", "of ours", "memory", "what it is"]
    write_table("peers", header, list(rows(kept)), command)


def parts(dsb2018: Path, folder: Path) -> None:
    """Write the training and the validation images as we split them, for those that read files."""
    for part in ("train", "val"):
        dataset = open_data(dsb2018, part)
        for sample in (dataset[k] for k in range(len(dataset))):
            for kind, pixels in (("images", sample.image), ("masks", sample.label_mask)):
                path = folder / part / kind / f"{sample.name}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(
                    path, pixels.squeeze().astype(np.uint16 if kind == "masks" else pixels.dtype)
                )


def scored(folder: Path, found: Path) -> list[str]:
    """AP50 and mean AP of label TIFFs on the validation images."""
    pairs = []
    for file in sorted((folder / "val" / "masks").iterdir()):
        labels = (read_image(path).squeeze().astype(np.int32) for path in (found / file.name, file))
        pairs.append((*labels, None, None, file.name))
    mean = score_images(pairs)["mean"]["mean_over_images"]
    return [f"{mean['ap'][0]:.3f}", f"{mean['ap_mean']:.3f}"]


def time_training(given: argparse.Namespace) -> None:
    """Train ourselves and the peers that can be for the same wall time, a core each."""
    pythons: dict[str, Path] = {"ours": Path(sys.executable)}
    table, told, minutes = [], {}, f"{given.train:g} min"
    for name in (n for n in ("stardist", "cellpose") if n in given.peers):
        python = environment(given.environments / name, PEERS[name])
        if isinstance(python, Path):
            pythons[name] = python
        else:
            table.append([minutes, PEERS[name].name, "", "", "", "", python])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parts(given.dsb2018, folder / "data")
        at_once = len(os.sched_getaffinity(0))
        for first in range(0, len(pythons), at_once):
            some = dict(list(pythons.items())[first : first + at_once])
            asked = dict.fromkeys(some, (folder / "data", f"{given.train:g}"))
            told |= trained(some, asked, folder)
        for name, answer in told.items():
            peer = OURS if name == "ours" else PEERS[name]
            ends = scored(folder / "data", folder / name) if answer.get("labels") else ["", ""]
            steps, what = (str(answer.get(key, "")) for key in ("steps", "told"))
            wall = f"{answer['wall']:.0f} s"
            table.append([minutes, peer.name, steps, wall, *ends, what or str(answer["failed"])])
    header = ["trained", "", "steps", "with start and end", "AP50", "mean AP", "what it is"]
    arguments = f"--environments PEERS --dsb2018 DSB2018 --train {given.train:g}"
    write_table("peers", header, table, arguments, table=f"peers, trained {given.train:g} min")


def main() -> None:
    """Time works, or training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--dsb2018", type=Path, required=True)
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--works", nargs="*", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--train", type=float, metavar="MINUTES", help="train, and time nothing")
    given = parser.parse_args()
    given.environments = given.environments.resolve()
    given.environments.mkdir(parents=True, exist_ok=True)
    time_training(given) if given.train else time_all(given)


if __name__ == "__main__":
    main()
