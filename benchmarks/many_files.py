"""Folders of many files by several processes: how fast, how it goes on, what a killed worker costs.

    python benchmarks/many_files.py    # about ten minutes, and two million names on the disk

The network is replaced by nothing but a decoder (tests/large/pointing.py). Images have 64 x 64
pixels and some nine objects each. The million are names (hard links) of a few such images, and all
but the last thousand have results already: what is timed is a run that goes on.
"""

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import tifffile
import zarr

from measure import show, write_table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "large"))

from pointing import Pointing, pointing_image

from spatialembed.formats.results_folder import Results
from spatialembed.inference.image_files import find_images
from spatialembed.large import Workers, predict_large, predict_many
from spatialembed.large.mosaic import plan

FILES, MILLION, LEFT, EACH, SIDE, KILLS = 2_000, 1_000_000, 1_000, 10_000, 8192, 3


def write_images(folder: Path, number: int) -> list[Path]:
    """Small images, each of its own pixels."""
    folder.mkdir(parents=True)
    paths = [folder / f"field_{k:07d}.tif" for k in range(number)]
    patterns = [pointing_image((64, 64), k) for k in range(50)]
    for k, path in enumerate(paths):
        tifffile.imwrite(path, np.roll(patterns[k % 50], k, axis=0))
    return paths


def link_names(path: Path, folder: Path, names: range) -> None:
    """As many files as there are names, of one file's content; a copy for every ``EACH``."""
    for k in names:
        name = folder / f"{k // EACH:03d}" / f"field_{k:07d}.tif"
        if k % EACH == 0:
            name.parent.mkdir(parents=True)
            copy = Path(shutil.copy(path, name))
        else:
            os.link(copy, name)


def predicted(images: Path, out: Path, workers: int) -> dict[str, float]:
    """Seconds until files are found, until the first new result and to the end; and how many."""
    start = time.perf_counter()
    files = find_images([images], out)
    marks = {"found": time.perf_counter() - start, "kept": 0, "new": 0}
    for outcome in predict_many(Pointing(), files, Results(out, pictures=False), Workers(workers)):
        marks["kept" if outcome.kept else "new"] += 1
        if not outcome.kept:
            marks.setdefault("first", time.perf_counter() - start)
            marks["last"] = time.perf_counter() - start
    return marks


def file_rows(root: Path) -> Iterator[list[str]]:
    """Files a second by one and two workers."""
    write_images(root / "images", FILES)
    speed = {}
    for workers in (1, 2):
        marks = predicted(root / "images", root / f"found{workers}", workers)
        speed[workers] = (marks["new"] - 1) / (marks["last"] - marks["first"])
        beside = f"{speed[2] / speed[1]:.2f} × one worker" if workers == 2 else ""
        name = f"{FILES:,} files, {workers} worker{'s' * (workers > 1)}"
        yield [name, f"{speed[workers]:.0f} files a second", beside]


def million_rows(root: Path) -> Iterator[list[str]]:
    """A run over a million names that goes on with the last thousand."""
    (image,) = write_images(root / "one", 1)
    link_names(image, root / "many", range(MILLION))
    label, labels = root / "label", root / "labels"
    predicted(image, label, 1)
    link_names(label / image.name, labels, range(MILLION))
    for k in range(MILLION - LEFT, MILLION):
        (labels / f"{k // EACH:03d}" / f"field_{k:07d}.tif").unlink()
    (label / "settings.json").rename(labels / "settings.json")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    marks = predicted(root / "many", labels, 2)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    assert marks["kept"] == MILLION - LEFT, marks
    assert marks["new"] == LEFT, marks
    yield [f"{MILLION:,} files, {LEFT:,} left: files found", show(marks["found"]), ""]
    yield ["the same: first new result", show(marks["first"]), f"{memory:.2f} GB"]
    yield ["the same: all done", show(marks["last"]), ""]


def kill_rows(root: Path) -> Iterator[list[str]]:
    """An image in tiles with and without a worker that is killed half-way, in turns."""
    root.mkdir()
    pattern = pointing_image((SIDE // 4,) * 2, 0)
    whole = np.tile(pattern, (4, 4, 1))
    whole[SIDE // 2, SIDE // 2] = 1  # where a worker dies, if it is to
    path = root / "a.zarr"
    chunks = (1024, 1024, 3)
    zarr.create_array(path, shape=whole.shape, chunks=chunks, dtype="u1")[:] = whole
    mosaic = plan((SIDE, SIDE), 2, 1.0, 30)
    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(KILLS):
        for dies, spent in times.items():
            source, out = Pointing(root / f"once{turn}{dies}"), root / f"{turn}{dies}.zarr"
            if not dies:
                source.once.touch()
            start = time.perf_counter()
            predict_large(source, path, out, Workers(2), mosaic=mosaic)
            spent.append(time.perf_counter() - start)
            assert source.once.exists()
    undisturbed, disturbed = (median(values) for values in times.values())
    tile = f"{undisturbed * 2 / len(mosaic):.1f} s a tile of one worker"
    yield [f"{SIDE}² in {len(mosaic)} tiles, 2 workers", show(undisturbed), tile]
    yield ["the same, a worker killed", show(disturbed), f"{disturbed - undisturbed:+.1f} s"]


def main() -> None:
    """Measure and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in (kill_rows, file_rows, million_rows):
            for row in name(Path(folder) / name.__name__):
                print(row, file=sys.stderr, flush=True)
                rows.append(row)
    write_table("many_files", ["work", "", ""], rows)


if __name__ == "__main__":
    main()
