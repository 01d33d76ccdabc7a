"""A volume past memory: predicted by two workers that are killed and go on, and without a seam.

    python benchmarks/large_volume.py runs/v --out FOLDER    # a model of volumes; 200 x 2000 x 2000
    python benchmarks/large_volume.py runs/v --out FOLDER --shape 60 400 400 --core 32 128 128

The volume is generated (large_volume_data.py). ``spatialembed predict`` is killed with its workers
once half of the tiles have their objects, and started again. What was found is compared with the
truth at the planes in which tiles meet, and for comparison at those amid tiles: how many of the
true objects that such a plane passes through are found (IoU above .5), and how many are cut by it:
the labels on its two sides are two, each mostly of that object. A smaller volume is predicted in
one piece, too, and compared. All that is done is kept in FOLDER: the same command goes on from
there.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import spatialembed as se
from large_image import Watched
from large_volume_data import write_volume
from measure import write_table
from spatialembed.console.progress import silent
from spatialembed.large import ModelSource, Mosaic, Workers, predict_large

FULL = [200, 2000, 2000]
BLOCK = 256
"""Rows and columns that are compared at once."""


def predict(model: str, folder: Path, core: list[int] | None) -> None:
    """What the command does, by tiles of that core if one is given."""
    image, out = folder / "image.zarr", folder / "labels.zarr"
    mosaic = None
    if core is not None:
        shape = zarr.open_group(image, mode="r")["0"].shape
        mosaic = Mosaic(shape, tuple(core), (32, 50, 50))
    predict_large(ModelSource(model), image, out, Workers(2), mosaic=mosaic, track=silent)


def started(model: str, folder: Path, core: list[int] | None) -> "subprocess.Popen[bytes]":
    """It in a process with a group of its own, its workers among it."""
    spatialembed = Path(sys.executable).with_name("spatialembed")
    command: list[str | Path] = [spatialembed, "predict", model, folder / "image.zarr"]
    command += ["--out", folder / "labels.zarr", "--workers", "2"]
    if core is not None:
        command = [sys.executable, __file__, model, "--out", folder, "--only", "--core"]
        command += map(str, core)
    return subprocess.Popen(command, start_new_session=True)


def half_done(folder: Path) -> bool:
    """Whether half of the tiles have their objects."""
    part = folder / "labels.zarr.part"
    if not (part / "settings.json").is_file():
        return False
    shape = zarr.open_group(folder / "image.zarr", mode="r")["0"].shape
    tiles = json.loads((part / "settings.json").read_text()).get("tiles")
    return bool(tiles) and len(list(part.glob("objects/*.npz"))) >= len(Mosaic(shape, *tiles)) / 2


def killed_midway(model: str, folder: Path, core: list[int] | None) -> dict[str, Any]:
    """Start it and kill it with its workers; the seconds that took, and the tiles."""
    begun, process = time.perf_counter(), started(model, folder, core)
    while not half_done(folder):
        if process.poll() is not None:
            raise SystemExit("it ended before it could be killed")
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    part = folder / "labels.zarr.part"
    tiles = json.loads((part / "settings.json").read_text())["tiles"]
    done = len(list(part.glob("objects/*.npz")))
    return {"before": time.perf_counter() - begun, "tiles": tiles, "kept": done}


def finished(model: str, folder: Path, core: list[int] | None) -> dict[str, Any]:
    """Run the same command to its end; seconds, and the most that one of its processes held."""
    watched, begun = Watched(), time.perf_counter()
    watched.thread.start()
    code = started(model, folder, core).wait()
    watched.running = False
    if code:
        raise SystemExit(code)
    return {"after": time.perf_counter() - begun, "GB": watched.peak / 1e9}


class Compared:
    """Truth and what was found, and how many voxels they have in common, object by object."""

    def __init__(self, truth: Any, found: Any) -> None:
        self.truth, self.found = truth, found
        keys, counts = [], []
        for y in range(0, self.truth.shape[1], BLOCK):
            for x in range(0, self.truth.shape[2], BLOCK):
                window = slice(None), slice(y, y + BLOCK), slice(x, x + BLOCK)
                both = self.truth[window].astype(np.int64) << 32 | self.found[window]
                key, count = np.unique(both, return_counts=True)
                keys.append(key)
                counts.append(count)
        key, place = np.unique(np.concatenate(keys), return_inverse=True)
        common = np.bincount(place, np.concatenate(counts))
        true, label = key >> 32, key & 0xFFFFFFFF
        self.size = np.bincount(true, common)
        area = np.bincount(label, common)
        real = (true > 0) & (label > 0)
        true, label, common = true[real], label[real], common[real]
        iou = common / (self.size[true] + area[label] - common)
        self.is_found = np.zeros(len(self.size), bool)
        self.is_found[true[iou > 0.5]] = True
        self.most = np.zeros(len(area), np.int64)
        mostly = common > 0.5 * area[label]
        self.most[label[mostly]] = true[mostly]
        self.true, self.labels = np.flatnonzero(self.size)[1:], int((area[1:] > 0).sum())

    def at(self, axis: int, plane: int) -> tuple[np.ndarray, np.ndarray]:
        """True objects that reach over a plane's near side, and those of them that it cuts."""
        window: list[slice] = [slice(None)] * 3
        window[axis] = slice(plane - 1, plane + 1)
        true = np.moveaxis(self.truth[tuple(window)], axis, 0)
        found = np.moveaxis(self.found[tuple(window)], axis, 0)
        over = (true[0] == true[1]) & (true[0] > 0)
        apart = over & (found[0] != found[1]) & (found > 0).all(0)
        cut = apart & (self.most[found[0]] == true[0]) & (self.most[found[1]] == true[0])
        return np.unique(true[0][over]), np.unique(true[0][cut])


def planes(mosaic: Mosaic, amid: bool) -> Iterator[tuple[int, int]]:
    """Axis and number of the planes in which tiles meet, or of those amid tiles."""
    for axis, (length, core) in enumerate(zip(mosaic.shape, mosaic.core, strict=True)):
        if length > core:
            first = core // 2 if amid else core
            yield from ((axis, plane) for plane in range(first, length, core))


def labels_of(folder: Path, name: str) -> Any:
    """The full resolution of an OME-Zarr."""
    return zarr.open_group(folder / name, mode="r")["0"]


def in_one_piece(model: str, folder: Path) -> str:
    """How what tiles found compares with what is found in the volume as a whole."""
    whole = se.load(model).predict(folder / "image.zarr").label_map
    tiles = labels_of(folder, "labels.zarr")[:]
    compared = Compared(whole, tiles)
    same, other = compared.is_found[compared.true], np.count_nonzero((whole > 0) != (tiles > 0))
    return (
        f"in one piece {len(same):,} objects, of which {same.sum():,} are among those "
        f"of tiles (IoU > .5), which have {compared.labels:,}; {other:,} voxels are an object's "
        "in one alone"
    )


def rows(folder: Path, held: dict[str, Any]) -> Iterator[list[str]]:
    """The table."""
    compared = Compared(labels_of(folder, "truth.zarr"), labels_of(folder, "labels.zarr"))
    mosaic = Mosaic(compared.truth.shape, *map(tuple, held["tiles"]))
    share = compared.is_found[compared.true].mean()
    yield ["all objects", f"{len(compared.true):,}", f"{share:.3f}", "", f"{compared.labels:,}"]
    for name, amid in (("where tiles meet", False), ("amid tiles", True)):
        met = [compared.at(*where) for where in planes(mosaic, amid)]
        over, cut = (np.unique(np.concatenate(ids)) for ids in zip(*met, strict=True))
        share = compared.is_found[over].mean()
        yield [f"those over {len(met)} planes {name}", f"{len(over):,}", f"{share:.3f}",
               f"{len(cut)}", ""]  # fmt: skip


def main() -> None:
    """Write, predict, kill, go on, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shape", type=int, nargs=3, default=FULL)
    parser.add_argument("--core", type=int, nargs=3, help="of smaller tiles than memory allows")
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    asked, folder = (given.model, given.out, given.core), given.out
    if given.only:
        return predict(*asked)
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.json"
    held = json.loads(state.read_text()) if state.is_file() else {}
    write_volume(folder, tuple(given.shape))
    for step, mark in ((killed_midway, "tiles"), (finished, "after")):
        if mark not in held:
            held |= step(*asked)
            state.write_text(json.dumps(held))
    mosaic = Mosaic(tuple(given.shape), *map(tuple, held["tiles"]))
    header = ["true objects", "number", "found", "cut there", "labels"]
    table = [*rows(folder, held)]
    size, core = (" x ".join(map(str, sides)) for sides in (given.shape, mosaic.core))
    told = (
        f"{size} voxels, {len(mosaic)} tiles of {core}: killed after {held['before']:,.0f} s with "
        f"{held['kept']} tiles done, then {held['after']:,.0f} s; {held['GB']:.2f} GB a process"
    )
    print(told)
    if given.shape == FULL:
        name = "large_volume"
        given_as = "runs/v --out FOLDER"
        write_table(name, header, [*table, [told, *[""] * 4]], given_as, "volumes.md")
    else:
        print("\n".join(" | ".join(row) for row in [header, *table]))
        print(in_one_piece(given.model, folder))


if __name__ == "__main__":
    main()
