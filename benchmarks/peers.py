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
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image

from measure import show, write_table
from spatialembed.data import open_data
from spatialembed.data.images.reading import read_image
from spatialembed.metrics.average_precision import score_images
from workload import nuclei

HERE = Path(__file__).parent
TORCH = ("torch==2.13.0+cpu", "torchvision==0.28.0")
"""By name the build for the CPU, so that none of CUDA comes with it."""


class Peer(NamedTuple):
    """What is compared."""

    name: str
    packages: Sequence[str]
    told: str
    """What of it was timed, and with which weights."""


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
Paths = list[tuple[str, str, str]]
"""Of images, of their label masks and of the labels to write."""


def environment(folder: Path, peer: Peer) -> Path | str:
    """Python of a peer's environment, made if it is not there; or why it could not be made."""
    python = folder / "bin" / "python"
    done = folder / "packages.txt"
    if done.exists() and done.read_text().split() == list(peer.packages):
        return python
    venv.create(folder, with_pip=True, clear=True)
    command = [python, "-m", "pip", "install", "--quiet", *peer.packages]
    made = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if made.returncode:
        errors = [line for line in made.stderr.splitlines() if line.startswith("ERROR")]
        return f"not installed: {(errors or ['pip failed'])[-1]}"
    done.write_text("\n".join(peer.packages))
    return python


class Worker:
    """A process that works on images when it is asked to, on some cores of the machine."""

    def __init__(self, name: str, python: Path | str, cores: Sequence[int], *given: object) -> None:
        self.process = subprocess.Popen(
            [python, HERE / "peers" / f"of_{name}.py", *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if name.startswith("ours") else subprocess.DEVNULL,
            text=True,
            env=clean(len(cores)),
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self.answer()

    def answer(self) -> Any:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended")
        return json.loads(line)

    def ask(self, paths: Sequence[Sequence[str]]) -> None:
        """Have it work on images, and do not wait."""
        assert self.process.stdin is not None
        print(json.dumps(paths), file=self.process.stdin, flush=True)

    def work(self, paths: Paths) -> dict[str, float]:
        """Seconds by stage and whole, and its peak of memory so far in GB."""
        self.ask(paths)
        answer: dict[str, float] = self.answer()
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def clean(threads: int) -> dict[str, str]:
    """Environment variables of a worker."""
    own = {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **own}


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


def on_cores(pythons: dict[str, Path]) -> Iterator[tuple[int, tuple[str, Path]]]:
    """Each side with a core of its own."""
    return zip(sorted(os.sched_getaffinity(0)), pythons.items(), strict=False)


def trained(
    pythons: dict[str, Path], given: dict[str, Sequence[object]], folder: Path
) -> dict[str, Any]:
    """Train all at the same time; what each tells, or the last that it said before it failed."""
    start, told, running = time.perf_counter(), {}, {}
    for core, (name, python) in on_cores(pythons):
        (folder / name).mkdir()
        data, *others = given[name]
        words = [python, HERE / "peers" / f"of_{name}.py", "train", data, folder / name, *others]
        running[name] = subprocess.Popen(
            list(map(str, words)),
            stdout=subprocess.PIPE,
            stderr=(folder / f"{name}.txt").open("w"),
            env=clean(1),
            preexec_fn=partial(os.sched_setaffinity, 0, [core]),
        )
    while running:
        time.sleep(0.2)
        for name in [n for n, process in running.items() if process.poll() is not None]:
            answer, _ = running.pop(name).communicate()
            said = (folder / f"{name}.txt").read_text(errors="replace").split("\n")
            last = next((line for line in reversed(said) if line.strip()), "")
            told[name] = json.loads(answer) if answer else {"failed": last}
            told[name]["wall"] = time.perf_counter() - start
    return {name: told[name] for name in pythons}


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
