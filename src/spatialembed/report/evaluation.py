"""An evaluation on screen and on a page: tables, and the worst images with what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from spatialembed.inference.explaining import sheet_of
from spatialembed.inference.image_files import spacing_in
from spatialembed.metrics.average_precision import worst_first
from spatialembed.models.checkpoint import MODEL_FILE
from spatialembed.pictures import cuts, found_against_truth, save_picture
from spatialembed.report.page import cut_note, measures_of, things, ways, write_page

if TYPE_CHECKING:
    import numpy as np

    from spatialembed.data import DataSet
    from spatialembed.data.sample import Sample
    from spatialembed.inference.predictor import Model

EXPLAINED, BEST = 2, 2
"""Images on a page that are explained, and best ones."""


def tables(evaluation: dict[str, Any]) -> Iterator[Group]:
    """The figures of an evaluation: AP per class and threshold, then the official ones."""
    scored = f"{len(evaluation['images'])} {things(evaluation)}"
    where = f"{evaluation['data']}, {evaluation['split']}, {scored}"
    thresholds = [f"{threshold:.2f}".lstrip("0") for threshold in evaluation["thresholds"]]
    first = thresholds[0].rstrip("0")
    segs = {n: c["seg"] if c["objects"] else None for n, c in evaluation["classes"].items()}
    seg = ", ".join(f"{name} {_figure(mean)}" for name, mean in segs.items())
    where += f"; SEG: {seg}"
    if used := _settings(evaluation.get("settings") or {}):
        where += f"\nwith {used}"
    for way, words in ways(evaluation):
        columns = ("objects", *thresholds, "mean", f"F1{first}", f"PQ{first}")
        table = _table(columns)
        for name, held in evaluation["classes"].items():
            table.add_row(name, str(held["objects"]), *_figures(measures_of(held, way)))
        if len(evaluation["classes"]) > 1:
            table.add_row("mean", "", *_figures(evaluation["mean"][way]))
        yield _titled(f"AP = TP / (TP + FP + FN), {words}\n{where}", table)
    if evaluation["official"]:
        yield _official_table(evaluation["official"])


def _settings(used: dict[str, Any]) -> str:
    """What was found with, as options are called; without what was not asked for."""
    asked = (item for item in used.items() if item[1] is not None and item[1] is not False)
    return ", ".join(f"{name} {value}" for name, value in asked)


def folder_beside(model: Path, split: str) -> Path:
    """Where an evaluation of a run folder or model file goes by default."""
    if model.is_dir():
        return model / f"evaluation_{split}"
    named = "" if model.name == MODEL_FILE else f"_{model.name}"
    return model.with_name(f"evaluation_{split}{named}")


def write_evaluation(
    model: Model, dataset: DataSet, evaluation: dict[str, Any], out: Path, count: int = 8
) -> Path:
    """Write the worst images as pictures into ``out/worst`` and the page, and say where it is.

    The page opens with how the model sees two images, the fullest ones that it found well; then
    come the best and the worst images, what was found against the truth.

    Args:
        model: what was evaluated; it predicts the worst images once more.
        dataset: what it was evaluated on.
        evaluation: as :func:`~spatialembed.inference.evaluate.evaluate` gives it.
        out: folder for ``page.html`` and ``worst/``.
        count: how many images to show.
    """
    pictures = list(explained(model, dataset, evaluation))
    rows = worst_first(evaluation)
    full = [row for row in reversed(rows[count:]) if row["n_true"]]
    best = compared(model, dataset, full[:BEST])
    pictures += [(f"Among the best: {name}", told, picture) for name, told, picture in best]
    worst = list(compared(model, dataset, rows[:count]))
    for old in (out / "worst").glob("[0-9]*_*.png"):
        old.unlink()
    for rank, (name, caption, picture) in enumerate(worst, 1):
        save_picture(out / "worst" / f"{rank:02d}_{name}.png", picture)
        pictures.append((f"Among the worst: {name}", caption, picture))
    title = f"{model.name} on {evaluation['data']}, {evaluation['split']}"
    write_page(out / "page.html", evaluation, pictures, title)
    return out / "page.html"


def explained(
    model: Model, dataset: DataSet, evaluation: dict[str, Any]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, caption and sheet (found, truth, offsets, margins, seeds) of images found well."""
    rows = worst_first(evaluation)
    better = [row for row in rows[len(rows) // 2 :] if row["n_true"]]
    for row in sorted(better, key=lambda row: -row["n_true"])[:EXPLAINED]:
        i = dataset.names.index(row["name"])
        sample = dataset[i]
        sized = model.for_image(sample.image, sample.name, spacing_in(dataset, i, model))
        output = sized.raw(sample.image, sample.name)
        sheet = sheet_of(sized, sample.image, output, sized.cluster(output), sample.label_mask)
        yield f"How the model sees {sample.name}", f"AP50 {row['ap50']:.3f}", sheet


def compared(
    model: Model, dataset: DataSet, rows: Iterable[dict[str, Any]]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, caption and picture (found against truth) of images of an evaluation.

    Args:
        model: what was evaluated; it predicts them once more.
        dataset: what holds them.
        rows: of the evaluation's "images".
    """
    for row in rows:
        i = dataset.names.index(row["name"])
        sample, spacing = dataset[i], spacing_in(dataset, i, model)
        sized = model.for_image(sample.image, sample.name, spacing)  # the scores told of it
        found = sized.predict(sample.image, name=sample.name)
        caption = (
            f"AP {row['ap']:.3f}, AP50 {row['ap50']:.3f}; "
            f"{row['n_true']} objects, {row['n_found']} found"
        )
        if sample.label_mask.ndim == 3:
            caption += "; marks at the edges show where the other cuts go through"
        picture = _against_truth(sample, found.label_map, spacing or model.spec.spacing)
        yield sample.name, caption, picture


def _against_truth(
    sample: Sample, found: np.ndarray, spacing: Sequence[float] | None
) -> np.ndarray:
    """What was found in an image and its truth; of a volume in cuts through it."""
    if sample.label_mask.ndim == 3:
        return cuts(sample.image, found, sample.label_mask, spacing)
    return found_against_truth(sample.image, found, sample.label_mask)


def _figures(measures: dict[str, Any]) -> list[str]:
    figures = [*measures["ap"], measures["ap_mean"], measures["f1"][0], measures["pq"][0]]
    return [_figure(figure) for figure in figures]


def _figure(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.3f}".removeprefix("0")


def _official_table(official: dict[str, Any]) -> Group:
    rows = {**official["classes"], "mean": official["mean"]}
    table = _table(official["mean"])
    for name, figures in rows.items():
        cells = ("–" if value is None else f"{value:.1f}" for value in figures.values())
        table.add_row(name, *cells)
    title = f"AP in percent by {official['by']}"
    return _titled("\n".join(filter(None, (title, cut_note(official)))), table)


def _table(columns: Iterable[str]) -> Table:
    """An empty table, narrow enough for nine thresholds on a terminal of 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("class", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _titled(title: str, table: Table) -> Group:
    return Group(Text(title, style="bold"), table, "")
