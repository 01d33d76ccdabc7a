"""Tracks by the Cell Tracking Challenge's measures, ours beside a plain linker by overlap.

    python benchmarks/tracking.py --environments PEERS
    python benchmarks/tracking.py --environments PEERS --sequence TRACKING

First of generated cells, on which the costs were chosen, then of a real sequence, on which nothing
was: TRACKING holds `test/images/*/*.tif`, `test/masks/*/*.tif` and `tracks.txt`. Its truth is
silver, made by a network and a tracker, without divisions. Linked are the truth's own masks, whose
labels are drawn anew in every frame, and what the shipped model `phase` finds in the images. The
measures are those of py-ctcmetrics, in an environment of its own below PEERS.

The plain linker takes the pairs of objects of two frames for one whose IoU add up to most.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

import spatialembed as se
from environments import HERE, Peer, environment
from measure import write_table
from spatialembed.data.images.reading import read_image
from spatialembed.demo.sequences import CellSequence, draw_sequence
from spatialembed.formats.label_images import save_label_tiff
from spatialembed.tracking.costs import near
from spatialembed.tracking.ctc import write_ctc
from spatialembed.tracking.frames import open_frames
from spatialembed.tracking.objects import joined, measured
from spatialembed.tracking.tracks import Tracks, tracks_of

CTC = Peer("py-ctcmetrics 1.3.3", ("py-ctcmetrics==1.3.3",), "")
Maps = Sequence[np.ndarray]
LINKERS: dict[str, Callable[[Maps], Tracks]]
SHOWN = ("DET", "SEG", "TRA", "LNK", "BC(1)", "HOTA")


def by_overlap(frames: Maps) -> Tracks:
    """The plain linker."""
    tables = [measured(t, frame, (1.0, 1.0)) for t, frame in enumerate(frames)]
    starts = np.cumsum([0, *map(len, tables)])
    edges = []
    for t in range(len(frames) - 1):
        pairs = near(tables[t], tables[t + 1], (frames[t], frames[t + 1]), 10.0)
        iou = np.zeros((len(tables[t]), len(tables[t + 1])))
        iou[pairs.first, pairs.second] = pairs.iou
        for i, k in zip(*linear_sum_assignment(-iou), strict=True):
            if iou[i, k] > 0:
                edges.append((int(starts[t] + i), int(starts[t + 1] + k)))
    return tracks_of(joined(tables), edges, frames, 0.0)


LINKERS = {"spatialembed": se.track, "plain IoU": by_overlap}
PLAINER = {
    "spatialembed, `--divisions no --max_gap 0`": partial(se.track, max_gap=0, divisions=False)
}
"""For the real sequence, whose truth knows neither."""


def write_truth(folder: Path, frames: Maps, rows: np.ndarray) -> None:
    """A truth in the form of the challenge: label maps and (K, 4) of id, begin, end, parent."""
    for t, frame in enumerate(frames):
        for kind, name in (("TRA", "man_track"), ("SEG", "man_seg")):
            save_label_tiff(folder / kind / f"{name}{t:03d}.tif", frame, highest=65535)
    np.savetxt(folder / "TRA" / "man_track.txt", rows, fmt="%d")


def measures(
    python: Path,
    folder: Path,
    frames: Maps,
    rows: np.ndarray,
    works: dict[str, Maps],
    linkers: dict[str, Callable[[Maps], Tracks]],
) -> Iterator[tuple[str, str, list[float]]]:
    """Of each work, label maps without tracks, what each linker makes of it, by SHOWN."""
    write_truth(folder / "truth", frames, rows)
    places = []
    for work, maps in works.items():
        for name, link in linkers.items():
            places.append((work, name, folder / f"{work} {name}"))
            assert write_ctc(places[-1][2], link(maps))
    command = [python, HERE / "peers" / "of_ctcmetrics.py", folder / "truth"]
    done = subprocess.run(
        [*command, *(place for *_, place in places)], check=True, stdout=subprocess.PIPE, text=True
    )
    for (work, name, _), row in zip(places, json.loads(done.stdout), strict=True):
        yield work, name, [row.get(measure, float("nan")) for measure in SHOWN]


def shuffled(frames: Maps, rng: np.random.Generator) -> list[np.ndarray]:
    """Label maps whose labels say nothing of those of other frames."""
    mixed = []
    for frame in frames:
        ids = np.unique(frame[frame > 0])
        new = np.zeros(int(frame.max()) + 1, np.int32)
        new[ids] = rng.permutation(len(ids)) + 1
        mixed.append(new[frame])
    return mixed


def harmed(frames: Maps, rng: np.random.Generator) -> list[np.ndarray]:
    """Label maps as a network may find them: one in fifty missing, some frames a pixel thinner."""
    found = []
    for frame in shuffled(frames, rng):
        lost = rng.random(frame.max() + 1) < 0.02
        frame = np.where(lost[frame], 0, frame)
        thin = rng.random() < 0.5
        found.append(
            np.where(ndimage.minimum_filter(frame, 3) == frame, frame, 0) if thin else frame
        )
    return found


def rows_of(sequence: CellSequence) -> np.ndarray:
    """(K, 4) id, begin, end, parent; a cell that leaves and comes back is not drawn."""
    rows = []
    for cell in np.unique(sequence.label_maps[sequence.label_maps > 0]).tolist():
        seen = np.flatnonzero((sequence.label_maps == cell).any((1, 2)))
        parent = sequence.parents.get(cell, 0)
        rows.append((cell, seen[0], seen[-1], parent))
    there = {row[0] for row in rows}
    return np.array([(*row[:3], row[3] if row[3] in there else 0) for row in rows])


def generated(python: Path) -> Iterator[list[str]]:
    """Rows of means over sequences, by how far cells go and how long they are."""
    for step, longest in ((0.1, 1.8), (0.25, 1.8), (0.5, 1.8), (0.8, 1.8), (0.1, 6.0), (0.25, 6.0)):
        found: dict[str, list[list[float]]] = {name: [] for name in LINKERS}
        for seed in range(4):
            drawn = draw_sequence(seed, cells=(20, 45)[seed % 2], step=step, longest=longest)
            works = {"found": harmed(drawn.label_maps, np.random.default_rng(seed))}
            with tempfile.TemporaryDirectory() as folder:
                done = measures(
                    python, Path(folder), drawn.label_maps, rows_of(drawn), works, LINKERS
                )
                for _, name, row in done:
                    found[name].append(row)
        for name, rows in found.items():
            yield [f"{step}", f"{longest}", name, *figures(np.nanmean(rows, axis=0))]


def real(python: Path, root: Path) -> Iterator[list[str]]:
    """Rows of the real sequence."""
    masks = open_frames(next((root / "test" / "masks").iterdir()))
    images = next((root / "test" / "images").iterdir())
    truth = [masks[t] for t in range(len(masks))]
    wide = 2 * np.sqrt(np.median(measured(0, truth[0], (1.0, 1.0)).area) / np.pi)
    model = se.load("phase", diameter=round(wide))
    found = [model.predict(read_image(images / f"{name}.tif")).label_map for name in masks.names]
    rows = np.loadtxt(root / "tracks.txt", dtype=int)
    works = {
        "the truth's": shuffled(truth, np.random.default_rng(0)),
        f"`phase`, `--diameter {round(wide)}`": found,
    }
    with tempfile.TemporaryDirectory() as folder:
        for work, name, row in measures(
            python, Path(folder), truth, rows, works, LINKERS | PLAINER
        ):
            yield [work, name, *figures(row)]


def figures(row: Sequence[float]) -> list[str]:
    """Measures as the tables have them; where one says nothing, a dash."""
    return ["–" if np.isnan(value) else f"{value:.3f}".lstrip("0") for value in row]


def main() -> None:
    """Score what was asked for, and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--sequence", type=Path)
    given = parser.parse_args()
    python = environment(given.environments / "ctcmetrics", CTC)
    if not isinstance(python, Path):
        raise SystemExit(python)
    if given.sequence is None:
        header, rows = ["way in diameters", "longest", "linker"], generated(python)
        write("generated", [*header, *SHOWN], list(rows), "")
    else:
        rows = real(python, given.sequence)
        write("real", ["masks", "linker", *SHOWN], list(rows), " --sequence TRACKING")


def write(table: str, header: Sequence[str], rows: Sequence[Sequence[str]], given: str) -> None:
    """Put a table where it stands."""
    write_table("tracking", header, rows, f"--environments PEERS{given}", "tracking.md", table)


if __name__ == "__main__":
    main()
