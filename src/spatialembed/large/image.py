"""An image or volume of any size to its labels: tiles, then seams, then pixels; each by workers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from spatialembed.console.progress import Track, silent
from spatialembed.data.images.series import which
from spatialembed.data.images.windows import in_words, one_below_the_other
from spatialembed.errors import UserError
from spatialembed.files.described import fitting, read_json
from spatialembed.files.folder_lock import alone
from spatialembed.files.names import SETTINGS_FILE
from spatialembed.files.writing import write_json
from spatialembed.formats.settings_file import in_short
from spatialembed.inference.channels import fitting_parts
from spatialembed.inference.familiarity import tell_of_parts
from spatialembed.inference.image_files import ImageFile, spacing_of
from spatialembed.inference.tiles import most_of
from spatialembed.large.labels import Paint, flat_of, make_labels, number, write_table
from spatialembed.large.mosaic import Mosaic, plan, plan_volume
from spatialembed.large.same_image import changed_image, stamp_of
from spatialembed.large.seams import Compare, pairs_of, settle
from spatialembed.large.segment import Segment, file_of, open_image
from spatialembed.large.true_size import diameter_in, grid_in, tell_of_voxels
from spatialembed.large.work_table import TABLE, Failure, WorkTable, refuse_if_used
from spatialembed.large.worker_model import Source
from spatialembed.large.workers import Workers, work_through
from spatialembed.models.input_warnings import tell_sampled
from spatialembed.models.looks import Look

if TYPE_CHECKING:
    from distributed import Client

    from spatialembed.data.images.series import Series
    from spatialembed.inference.predictor import Model

STEPS = ("segment", "compare", "labels", "paint")
"""In their order."""


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
    series: Series = None,
    tell: Callable[[str], None] = lambda text: None,
) -> int:
    """Instances of an image or volume that need not fit in memory, as an OME-Zarr image of labels.

    The labels are those of the whole image, but for what the network sees beyond the overlap of
    tiles: no object that is smaller than that is cut at a seam, found twice or merged with another.
    What is done is kept in ``OUT.part`` until all is; the same call goes on from there.

    Args:
        source: of the model; percentiles are taken of the whole image.
        image: an OME-Zarr or Zarr folder, or a TIFF; see data/images/windows.py. Of a model of
            volumes a stack of planes in z.
        out: the folder that is made, ending in .zarr.
        workers: who does it; by default a process a core.
        overwrite: replace ``out``, and begin anew whatever is done; to go on with a run that was
            begun so, leave it out.
        seed_threshold, foreground_threshold, min_size: as for :meth:`Model.predict`.
        mosaic: the tiles; by default as large as memory allows, or those of the run under way.
        track: shows progress.
        series: which of the images that the file holds, from 0, or also which of its resolutions
            and channels; None for the only one.
        tell: takes a sentence on what is going to be done, before the first tile.

    Returns:
        How many instances there are.

    Raises:
        UserError: an image that cannot be read, an ``out`` that is there, a run of other settings
            under way or of an image that changed since, parts that failed, or a scheduler that is
            gone.
    """
    workers = workers or Workers()
    image, out = image.absolute(), out.absolute()  # workers may run in other folders
    part = out.with_name(f"{out.name}.part")
    replaces = overwrite or _read(part).get("overwrite", False)
    _refuse(image, out, replaces)
    model = source.load()
    spec = model.spec
    reader = fitting_parts(model.name, spec, open_image(image, series, spec.dims))
    file, notes = ImageFile(image, "", series), list[str]()
    stated = spacing_of(file, model, notes, spec.dims == 3)
    grid = grid_in(file, model, stated)
    diameter = diameter_in(file, reader, model, stated)
    if diameter is not None:  # of all tiles the same
        source, model = source.seeing(diameter), model.seeing(diameter)
    tell_of_voxels(file, model, stated, notes)
    spacing = stated or spec.spacing or (1.0, 1.0, 1.0)
    lock = out.with_name(f".{out.name}.lock")
    with alone(lock, f"another run is at work on {out}"):
        refuse_if_used(part / TABLE)
        if overwrite or not _read(part):
            _remove(part)
        settings = model.settings(seed_threshold, foreground_threshold, min_size)
        used = model.used(*settings) | {"model": model.name} | which(series).told()
        tiles = {} if mosaic is None else {"tiles": (mosaic.core, mosaic.overlap)}
        held = _agree(part, used | tiles | {"image": str(image), "shape": reader.shape})
        stamp = stamp_of(image, part, out, lock)
        changed = held.get("stamp", stamp) != stamp
        if changed and not held.get("to_repair"):
            raise changed_image(image, part)
        if changed:
            tell(f"{image} changed, as if repaired; parts that were done before are kept")
        if mosaic is None:
            mosaic = _planned(reader.shape, workers.here, model, spacing)
            core, overlap = held.get("tiles", (mosaic.core, mosaic.overlap))
            mosaic = Mosaic(reader.shape, tuple(core), tuple(overlap))
        held |= {"tiles": (mosaic.core, mosaic.overlap), "overwrite": replaces, "stamp": stamp}
        write_json(part / SETTINGS_FILE, held | {"to_repair": False})
        sides = " x ".join(map(str, reversed(reader.shape)))
        tiled = f"{len(mosaic)} tile{'s' * (len(mosaic) > 1)}"
        tell(f"{image}: {sides} in {tiled}, by {workers.in_words}")
        as_one = one_below_the_other(reader)
        normalize = spec.normalization.fixed(as_one)
        tell_sampled(spec.normalization, as_one, str(image))
        paint = Paint(mosaic, part, flat_of(spacing) if spec.dims == 3 else 0)
        segment = Segment(source, image, mosaic, normalize, settings, part, workers.threads, series)
        with closing(WorkTable(part / TABLE)) as table, workers.client() as client:
            run = Run(table, client, mosaic, track)
            run.forget_lost(part)
            try:
                run.through("segment", segment, "Finding objects")
            except UserError:
                write_json(part / SETTINGS_FILE, held | {"to_repair": bool(table.failures())})
                raise
            if stamp_of(image, part, out, lock) != stamp:
                raise changed_image(image, part)
            run.through("compare", Compare(mosaic, part), "Comparing seams")
            count = number(mosaic, part, settle(part, run.with_pairs()))
            table.add(["labels"])
            if not table.is_done("labels"):
                make_labels(paint, count, spec.class_names, grid)
                table.done("labels", {"count": count})
            run.through("paint", paint, "Writing labels")
            write_table(mosaic, part, count)
            looks = [Look(*note["look"]) for _, note in table.notes() if note.get("look")]
        tell_of_parts(looks, model, str(image))
        former = out.with_name(f".{out.name}.former")
        if out.exists():
            _remove(former)
            os.replace(out, former)
        os.replace(part / "labels", out)
        _remove(former)
        _remove(part)
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
        for _ in self.track(settled, sum(1 for _ in self._left(names)), doing, "tiles"):
            pass
        if failures := self.table.failures():
            raise UserError(_told(failures, self.mosaic))

    def _left(self, names: Sequence[str]) -> Iterator[str]:
        return self.table.waiting(names[0], names[-1])

    def with_pairs(self) -> Iterator[int]:
        """Tiles in whose core objects claim common pixels."""
        for name, note in self.table.notes():
            step, _, tile = name.partition(" ")
            if step == "compare" and note["pairs"]:
                yield int(tile)

    def forget_lost(self, part: Path) -> None:
        """Do again what is said to be done but whose file is gone, and all that came after it."""
        notes = [(*name.partition(" ")[::2], note) for name, note in self.table.notes()]
        lost = {
            step
            for step, tile, note in notes
            if (step == "segment" and not file_of(part, int(tile)).is_file())
            or (step == "compare" and note["pairs"] and not pairs_of(part, int(tile)).is_file())
            or (step == "labels" and not (part / "labels" / "zarr.json").is_file())
        }
        first = min((STEPS.index(step) for step in lost), default=len(STEPS))
        for step, tile, _ in notes:
            same = step == "segment" and file_of(part, int(tile)).is_file()
            if STEPS.index(step) >= first and not same:
                self.table.undo(f"{step} {tile}".rstrip())


def _refuse(image: Path, out: Path, overwrite: bool) -> None:
    """Refuse an ``out`` that is there, is no folder, or holds the image."""
    if out.resolve() in (image.resolve(), *image.resolve().parents):
        raise UserError(f"--out {out} would replace the image itself; choose another --out")
    if out.exists() and not (overwrite and out.is_dir()):
        remedy = "choose another --out" if out.is_file() else "add --overwrite to replace it"
        raise UserError(f"{out}, where the labels would go, is there already; {remedy}")


def _planned(
    shape: tuple[int, ...], workers: int, model: Model, spacing: tuple[float, ...]
) -> Mosaic:
    """Tiles for a model and so many workers of this machine."""
    largest = _largest(model)
    if len(shape) == 2:
        return plan(shape, workers, model.zoom, largest, most_of(model.network))
    flatness = spacing[0] / max(spacing[1:])
    return plan_volume(shape, workers, model.zoom, largest, flatness, model.square)


def _remove(folder: Path) -> None:
    """Delete a folder so that no half of it can be taken for the whole."""
    if folder.exists():
        going = folder.with_name(f".{folder.name.lstrip('.')}.{uuid4().hex}")
        os.replace(folder, going)
        shutil.rmtree(going, ignore_errors=True)


def _largest(model: Model) -> float | None:
    """Diameter of the large ones among a model's objects, in pixels of the images to come."""
    diameters = model.spec.training.get("diameters")
    return None if diameters is None else float(diameters[1]) / model.size_ratio


def _agree(part: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What the run under way is made with, or these settings; refuses to go on with others."""
    before, settings = _read(part), json.loads(json.dumps(settings))
    if not before:
        return dict(settings)
    other = [f"{key} {before.get(key)}" for key in settings if settings[key] != before.get(key)]
    if other:
        raise UserError(
            f"{part} holds an unfinished run with {in_short(other)}; run it with these to go "
            "on, or add --overwrite to begin anew"
        )
    return before


def _read(part: Path) -> dict[str, Any]:
    """What the run under way is made with; empty where there is none."""
    path = part / SETTINGS_FILE
    content = read_json(path, "add --overwrite to begin anew") if path.is_file() else {}
    if not isinstance(content, dict):
        raise UserError(f"{path} is no settings of a run; add --overwrite to begin anew")
    fitting(list[list[int]] | None, content.get("tiles"), "tiles", str(path))
    return content


def _told(failures: Sequence[Failure], mosaic: Mosaic) -> str:
    """A sentence about parts of the image that failed."""
    first = failures[0]
    where = in_words(mosaic.core_of(int(first.name.split()[1])))
    return (
        f"{len(failures)} of {len(mosaic)} parts of the image failed, first that of {where}: "
        f"{first.reason}; repair this and run the same command, which does only what is left"
    )
