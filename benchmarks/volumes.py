"""Volumes: our recipe beside StarDist in 3D, trained from nothing for the same wall time.

    python benchmarks/volumes.py --environments PEERS --data VOLUMES --minutes 10
    python benchmarks/volumes.py --environments PEERS --generated

VOLUMES holds a folder for each set, {train,test}/{images,masks}, with one training volume. The last
fifth of its objects, along the longer side of its planes, is held out of both trainings: both
choose checkpoints there, ours thresholds, too (StarDist's took too long). Both train at the same
time, each on one core of its own, then find the objects of the test volumes at the same time; a
first round, which compiles, is not counted. Our matcher scores both. StarDist runs in an
environment below PEERS as in peers.py, where the results are kept too (volumes.json): the table is
of all that are there.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from environments import Worker, environment, on_cores, trained
from measure import show, write_table
from peers import PEERS
from spatialembed.data import open_data
from spatialembed.data.images.reading import read_stack_mask
from spatialembed.demo.volumes import write_volumes
from spatialembed.metrics.average_precision import score_images

SPACING = {
    "plant_nuclei": (0.284, 0.127, 0.127),
    "embryo": (1, 1, 1),
    "ovule": (1, 1, 1),
    "plastids": (1, 1, 1),
}
"""Along z, y and x; generated volumes say theirs.

That of plastids is a guess: how far its 10 planes lie apart is not known, and images and labels of
neighbouring training planes agree more than those one pixel apart.
"""

GENERATED, MINUTES = "generated", {"generated": 5.0}
HOLDOUT = 0.2
NAMES = {"ours_3d": "spatialembed", "stardist_3d": PEERS["stardist"].name}
HEADER = "set,minutes,,steps,with start and end,AP50,mean AP,objects,found,prediction,memory,"


def place(name: str, given: argparse.Namespace, folder: Path) -> Path:
    """A set of its own: as it lies in VOLUMES, or generated, and for StarDist as we split it."""
    data = folder / "data"
    if name == GENERATED:
        write_volumes(data)
    else:
        shutil.copytree(given.data / name, data, ignore=shutil.ignore_patterns(".*"))
    for part in ("train", "val"):
        split = open_data(data, part, holdout=HOLDOUT)
        for sample in (split[i] for i in range(len(split))):
            for kind, voxels in (("images", sample.image[..., 0]), ("masks", sample.label_mask)):
                path = folder / "parts" / part / kind / f"{sample.name}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, voxels)
    return data


def predicted(pythons: dict[str, Path], folder: Path, images: Sequence[Path]) -> dict[str, Any]:
    """Seconds and memory of all volumes, at the same time for all; labels go below ``folder``."""
    workers, taken = {}, {}
    for core, (name, python) in on_cores(pythons):
        (folder / name / "labels").mkdir()
        workers[name] = Worker(name, python, [core], folder / name)
    for _ in range(2):
        for name, worker in workers.items():
            found = folder / name / "labels"
            worker.ask([[str(image), str(found / image.name)] for image in images])
        taken |= {name: answer_of(worker) for name, worker in workers.items()}
        workers = {name: worker for name, worker in workers.items() if "failed" not in taken[name]}
    for worker in workers.values():
        worker.process.communicate()
    return taken


def answer_of(worker: Worker) -> dict[str, Any]:
    """What a worker answers, or that it ended, as for lack of memory."""
    try:
        answer: dict[str, Any] = worker.answer()
    except RuntimeError:
        return {"failed": "ended while it found objects"}
    return answer


def scored(masks: Path, found: Path) -> dict[str, Any]:
    """AP and objects of label TIFFs."""
    pairs = []
    for file in sorted(masks.iterdir()):
        labels = (read_stack_mask(path).astype(np.int32) for path in (found / file.name, file))
        pairs.append((*labels, None, None, file.name))
    [scores] = score_images(pairs)["classes"].values()
    mean = scores["mean_over_images"]
    counts = {key: scores[key] for key in ("objects", "found")}
    return {"ap50": mean["ap"][0], "ap": mean["ap_mean"], **counts}


def measured(name: str, minutes: float, given: argparse.Namespace) -> dict[str, Any]:
    """Train on a set and score its test part, both sides."""
    stardist = environment(given.environments / "stardist", PEERS["stardist"])
    if isinstance(stardist, str):
        raise SystemExit(stardist)
    pythons = {"ours_3d": Path(sys.executable), "stardist_3d": stardist}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = place(name, given, folder)
        asked: dict[str, Sequence[object]] = {
            "ours_3d": (data, minutes, *SPACING.get(name, ())),
            "stardist_3d": (folder / "parts", minutes),
        }
        told = trained(pythons, asked, folder)
        able = {n: python for n, python in pythons.items() if "failed" not in told[n]}
        images = sorted((data / "test" / "images").iterdir())
        for n, took in predicted(able, folder, images).items():
            told[n] |= took
            if "failed" not in took:
                told[n] |= scored(data / "test" / "masks", folder / n / "labels")
    return told


def rows(kept: dict[str, Any]) -> Iterator[list[str]]:
    """Of the table: set by set, then the means over sets of the same minutes."""
    for key, sides in kept.items():
        name, minutes = key.split()
        for side, told in sides.items():
            start = [name, minutes, NAMES[side]]
            if "failed" in told:
                yield [*start, *[""] * 8, f"failed: {told['failed']}"]
                continue
            accuracy = [f"{told['ap50']:.3f}", f"{told['ap']:.3f}"]
            counts = [str(told["objects"]), str(told["found"])]
            cost = [show(told["whole"]), f"{told['GB']:.1f} GB"]
            spent = [str(told["steps"]), show(told["wall"])]
            yield [*start, *spent, *accuracy, *counts, *cost, told["told"]]
    for minutes in sorted({key.split()[1] for key in kept}, key=float):
        same = [s for k, s in kept.items() if k.split()[1] == minutes and GENERATED not in k]
        whole = [s for s in same if all("ap" in told for told in s.values())]
        for side in NAMES if len(whole) > 1 else ():
            means = [f"{np.mean([s[side][k] for s in whole]):.3f}" for k in ("ap50", "ap")]
            row = [f"mean of {len(whole)} sets", minutes, NAMES[side], "", "", *means]
            yield [*row, *[""] * 5]


def main() -> None:
    """Measure set after set, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--minutes", type=float, help="10; of generated volumes 5")
    parser.add_argument("--sets", nargs="*", choices=list(SPACING))
    parser.add_argument("--generated", action="store_true", help="generated volumes as well")
    given = parser.parse_args()
    sets = given.sets or (list(SPACING) if given.data else [])
    if (sets and not given.data) or len(os.sched_getaffinity(0)) < 2:
        parser.error("give --data VOLUMES for --sets, and two cores")
    given.environments = given.environments.resolve()
    notes = given.environments / "volumes.json"
    command = "--environments PEERS"
    command += f" --data VOLUMES --sets {' '.join(sets)}" if sets else ""
    command += f" --minutes {given.minutes:g}" if given.minutes else ""
    command += " --generated" if given.generated else ""
    for name in [*sets, *[GENERATED][: given.generated]]:
        minutes = given.minutes or MINUTES.get(name, 10.0)
        found = measured(name, minutes, given)
        kept = json.loads(notes.read_text()) if notes.exists() else {}
        kept[f"{name} {minutes:g}"] = found
        notes.write_text(json.dumps(kept, indent=1))
        write_table("volumes", HEADER.split(","), list(rows(kept)), command, "volumes.md")


if __name__ == "__main__":
    main()
