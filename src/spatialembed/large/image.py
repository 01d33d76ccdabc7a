"""An image of any size to its labels: tiles, then seams, then pixels; each step by workers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialembed.console import Track, silent
from spatialembed.errors import UserError, atomic_write
from spatialembed.large.labels import Paint, make_labels, number, write_table
from spatialembed.large.mosaic import Mosaic, plan
from spatialembed.large.seams import Compare, settle
from spatialembed.large.segment import Segment, file_of, open_image
from spatialembed.large.source import Source
from spatialembed.large.work import Failure, WorkTable
from spatialembed.large.workers import Workers, work_through

if TYPE_CHECKING:
    from distributed import Client

    from spatialembed.inference.predictor import Model

SETTINGS_FILE = "settings.json"


def predict_large(
    source: Source,
    image: Path,
    out: Path,
    workers: Workers | None = None,
    overwrite: bool = False,
    seed_threshold: float | None = None,
    foreground_threshold: float | None = None,
    min_size: int | None = None,
    mosaic: Mosaic | None = None,
    track: Track = silent,
) -> int:
    """Instances of an image that need not fit in memory, as an OME-Zarr image of labels.

    The labels are those of the whole image: no object is cut at a seam, found twice or merged
    with another. What differs is what lies outside of the overlap of tiles in what the network
    sees. What is done is kept in ``OUT.part`` until all is; the same call goes on from there.

    Args:
        source: of the model; percentiles are taken of the whole image.
        image: an OME-Zarr or Zarr folder, or a TIFF; see data/windowed.py.
        out: the folder that is made, ending in .zarr.
        workers: who does it; by default a process a core.
        overwrite: replace ``out``, and begin anew whatever is done.
        seed_threshold, foreground_threshold, min_size: as for :meth:`Model.predict`.
        mosaic: the tiles; by default as large as memory allows.
        track: shows progress.

    Returns:
        How many instances there are.

    Raises:
        UserError: an image that cannot be read, an ``out`` that is there, a run of other settings
            under way, parts that failed, or a scheduler that is gone.
    """
    workers = workers or Workers()
    if out.exists() and not overwrite:
        raise UserError(f"{out} is there; add --overwrite to replace it, or choose another --out")
    reader, model = open_image(image), source.load()
    spec = model.spec
    mosaic = mosaic or plan(reader.shape, workers.here, model.zoom, _largest(model))
    part = out.with_name(f"{out.name}.part")
    if overwrite:
        shutil.rmtree(part, ignore_errors=True)
    settings = model.settings(seed_threshold, foreground_threshold, min_size)
    used = model.used(*settings) | {"model": model.name, "image": str(image.resolve())}
    _agree(part, used | vars(mosaic))
    threads = max(1, (os.cpu_count() or 1) // workers.here)
    normalize = model.spec.normalization.fixed(reader)
    segment = Segment(source, image, mosaic, normalize, settings, part, threads)
    with closing(WorkTable(part / "work.sqlite")) as table, workers.client() as client:
        run = Run(table, client, mosaic, track)
        run.forget_lost(part)
        run.through("segment", segment, "Finding objects")
        run.through("compare", Compare(mosaic, part), "Comparing seams")
        pairs = (int(n) for n in range(len(mosaic)) if (part / "pairs" / f"{n}.npz").is_file())
        count = number(mosaic, part, settle(mosaic, part, pairs))
        table.add(["labels"])
        if not table.is_done("labels"):
            make_labels(mosaic, part, count, spec.class_names)
            table.done("labels", {"count": count})
        run.through("paint", Paint(mosaic, part), "Writing labels")
    write_table(mosaic, part, count)
    if out.exists():
        shutil.rmtree(out)
    os.replace(part / "labels", out)
    shutil.rmtree(part, ignore_errors=True)
    return count


@dataclass(frozen=True)
class Run:
    """Steps of one image by the same workers."""

    table: WorkTable
    client: Client
    mosaic: Mosaic
    track: Track

    def through(self, step: str, task: Callable[[int], dict[str, Any]], doing: str) -> None:
        """Do a step for all tiles.

        Raises:
            UserError: some failed.
        """
        names = [f"{step} {tile:09}" for tile in range(len(self.mosaic))]
        self.table.add(names)
        settled = work_through(
            self.table, self._left(names), task, lambda name: int(name.split()[1]), self.client
        )
        for _ in self.track(settled, sum(1 for _ in self._left(names)), doing):
            pass
        if failures := self.table.failures():
            raise UserError(_told(failures, self.mosaic))

    def _left(self, names: Sequence[str]) -> Iterator[str]:
        return self.table.waiting(names[0], names[-1])

    def forget_lost(self, part: Path) -> None:
        """Do again what is said to be done, but whose file is gone."""
        for name, _ in list(self.table.notes()):
            step, _, tile = name.partition(" ")
            if step == "segment" and not file_of(part, int(tile)).is_file():
                self.table.undo(name)


def _largest(model: Model) -> float | None:
    """Diameter of the large ones among a model's objects, in pixels of the images to come."""
    diameters = model.spec.training.get("diameters")
    return None if diameters is None else float(diameters[1]) / model.size_ratio


def _agree(part: Path, settings: dict[str, Any]) -> None:
    """Keep what a run is made with; refuse to go on with one of other settings."""
    path, settings = part / SETTINGS_FILE, json.loads(json.dumps(settings))
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        other = [f"{key} {before.get(key)}" for key in settings if settings[key] != before.get(key)]
        if other:
            raise UserError(
                f"{part} holds an unfinished run with {', '.join(other)}; run it with these to go "
                "on, or add --overwrite to begin anew"
            )
        return
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(settings), encoding="utf-8")


def _told(failures: Sequence[Failure], mosaic: Mosaic) -> str:
    """A sentence about parts of the image that failed."""
    first = failures[0]
    rows, columns = mosaic.core_of(int(first.name.split()[1]))
    return (
        f"{len(failures)} of {len(mosaic)} parts of the image failed, first that of rows "
        f"{rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}: {first.reason}; "
        "repair this and run the same command, which does only what is left"
    )
