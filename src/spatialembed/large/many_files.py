"""A folder's images shared among workers, each remembered as it is done: a million is no more work
to begin again than ten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from spatialembed.files.sources import doubts
from spatialembed.formats.results_folder import Results
from spatialembed.inference.folder import Given, Outcome, agreed_settings, predict_file
from spatialembed.inference.image_files import ImageFile
from spatialembed.inference.true_size import Ratios
from spatialembed.large.work_table import TABLE, WorkTable, refuse_if_used
from spatialembed.large.worker_model import Source, model_here
from spatialembed.large.workers import Workers, work_through
from spatialembed.models.looks import Look


@dataclass(frozen=True)
class PredictFile:
    """The work of predicting one image; the fields are those of :func:`predict_many`."""

    source: Source
    results: Results
    overwrite: bool
    settings: Given
    threads: int

    def __call__(self, image: ImageFile) -> dict[str, Any]:
        """Write its results."""
        model = model_here(self.source, self.threads)
        found = predict_file(model, image, self.results, self.overwrite, self.settings)
        told = {"found": found.found, "diameter": found.diameter, "notes": found.notes}
        return told | {"look": found.look, "ratios": found.ratios}


def predict_many(
    source: Source,
    images: Sequence[ImageFile],
    results: Results,
    workers: Workers,
    overwrite: bool = False,
    seed_threshold: float | None = None,
    foreground_threshold: float | None = None,
    min_size: int | None = None,
) -> Iterator[Outcome]:
    """:func:`spatialembed.inference.folder.predict_files` by several processes.

    ``work.sqlite`` in the folder of results remembers what is done. The same call goes on with
    what is left, also of images that were set aside: those that failed three times.

    Raises:
        UserError: settings other than those of results that are there, or a scheduler that is gone.
    """
    path = results.out.absolute() / TABLE
    refuse_if_used(path)
    given = (seed_threshold, foreground_threshold, min_size)
    what = (source.load(), images, results, overwrite)
    # Workers may run in other folders.
    results = replace(results, out=results.out.absolute())
    by_name = {image.name: image._replace(path=image.path.absolute()) for image in images}
    with ExitStack() as held:
        settings = held.enter_context(agreed_settings(*what, given, others=[path]))
        if overwrite:
            path.unlink(missing_ok=True)
        table = held.enter_context(closing(WorkTable(path)))
        client = held.enter_context(workers.client())
        task = PredictFile(source, results, overwrite, settings, workers.threads)
        table.add(by_name)
        kept = {image.name: image for image in images if not overwrite and results.has(image.name)}
        left = by_name.keys() - kept.keys()
        for name in left:
            if table.is_done(name):
                table.undo(name)
        yield from (_kept(image, results) for image in kept.values())
        names = (name for name in table.waiting() if name in left)
        for name in work_through(table, names, task, by_name.__getitem__, client):
            yield _outcome(table, by_name[name])


def _kept(image: ImageFile, results: Results) -> Outcome:
    return Outcome(image, None, kept=True, notes=doubts(results.paths("labels", image.name)))


def _outcome(table: WorkTable, image: ImageFile) -> Outcome:
    note, reason = table.result(image.name)
    if note is None:
        named = reason and str(image.path) in reason
        return Outcome(image, None, reason if named else f"{image.path}: {reason}")
    notes = tuple(note.get("notes", ()))  # of results of earlier versions there are none
    look = Look(*note["look"]) if note.get("look") else None
    ratios = Ratios(*note["ratios"]) if note.get("ratios") else None
    return Outcome(image, note["found"], None, False, note["diameter"], notes, look, ratios)
