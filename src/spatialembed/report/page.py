"""One self-contained HTML page of an evaluation: scores, charts and pictures, no network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.errors import missing_extra
from spatialembed.files.writing import atomic_write
from spatialembed.metrics.average_precision import worst_first
from spatialembed.pictures import data_address
from spatialembed.report.charts import bars, curves

WORST = 12
"""Images listed at once; the rest folds away."""

WAYS = (("mean_over_images", "mean over images"), ("pooled", "pooled over the set"))


def write_page(
    path: str | Path,
    evaluation: Mapping[str, Any],
    pictures: Sequence[tuple[str, str, NDArray[np.uint8]]] = (),
    title: str = "Evaluation",
) -> None:
    """Write an evaluation as one HTML file that needs nothing else, in light and dark.

    Args:
        path: the file to write.
        evaluation: what :func:`spatialembed.inference.evaluate.evaluate` gives, or its JSON.
            Whatever is missing is left out of the page.
        pictures: (title, caption, (H, W, 3) uint8), in the order shown.
        title: heading of the page.

    Raises:
        UserError: the 'report' extra is missing, or ``path`` cannot be written.
    """
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise missing_extra("The HTML page", "report") from error
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["figure"] = figure
    source = files("spatialembed.report").joinpath("page.html.j2").read_text("utf-8")
    html = environment.from_string(source).render(
        title=title, pictures=[_picture(*picture) for picture in pictures], **_content(evaluation)
    )
    with atomic_write(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def figure(value: Any, digits: int = 3) -> str:
    """A number as the page shows it, an en dash for one that is missing or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def things(evaluation: Mapping[str, Any]) -> str:
    """What was scored, in a word: images, as of earlier versions, too, or volumes."""
    return str(evaluation.get("things", "images"))


def ways(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How figures are averaged: as they are called in an evaluation, and in words."""
    return ((way, words.replace("images", things(evaluation))) for way, words in WAYS)


def _content(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    thresholds, classes = evaluation.get("thresholds") or [], evaluation.get("classes") or {}
    images = worst_first({"images": evaluation.get("images") or []})
    settings = evaluation.get("settings") or {}
    facts = [(name, evaluation.get(name)) for name in ("model", "data", "split", "date")]
    official = _official(evaluation.get("official"))
    return {
        "facts": [(name, value) for name, value in facts if value],
        "settings": [(name.replace("_", " "), value) for name, value in settings.items()],
        "seconds": evaluation.get("seconds") or {},
        "headline": _headline(evaluation, thresholds, classes, official, images),
        "thresholds": thresholds,
        "rows": _rows(evaluation, classes),
        "classes": classes,
        "first": thresholds[0] if thresholds else None,
        "official": official,
        "things": things(evaluation),
        "worst": images[:WORST],
        "others": images[WORST:],
        "charts": _charts(evaluation, thresholds, classes, images),
    }


def _rows(scores: Mapping[str, Any], classes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table of AP: two ways of averaging for each class, and for their mean."""
    held = dict(classes)
    if len(classes) > 1 and scores.get("mean"):
        held["mean of classes"] = scores["mean"]
    return [
        {
            "name": name,
            "way": words,
            "objects": values.get("objects"),
            "first": way == WAYS[0][0],
            "errors": values.get("standard_error", []) if way == WAYS[0][0] else [],
            **measures_of(values, way),
        }
        for name, values in held.items()
        for way, words in ways(scores)
        if values.get(way)
    ]


def measures_of(values: Mapping[str, Any], way: str) -> dict[str, Any]:
    """Measures of a class by one way of averaging; None for each where no object was to be found
    and none was: 0 would say that it is never found."""
    measures = dict(values[way])
    if values.get("objects", 1) or values.get("found"):
        return measures
    return {m: [None] * len(v) if isinstance(v, list) else None for m, v in measures.items()}


def _headline(
    scores: Mapping[str, Any],
    thresholds: Sequence[float],
    classes: Mapping[str, Any],
    official: Sequence[Mapping[str, Any]],
    images: Sequence[Any],
) -> list[tuple[str, str, str]]:
    """The few figures shown large: (figure, what it is, how it was averaged)."""
    shown = []
    for table in official:
        mean = table["mean"]
        for key, what in (("AP50", "AP at IoU 0.50"), ("AP", "AP")):
            if mean.get(key) is not None:
                shown.append((figure(mean[key], 1), what, f"{table['by']}, percent"))
    only = next(iter(classes.values())) if len(classes) == 1 else scores.get("mean") or {}
    if only.get("mean_over_images"):
        measures = measures_of(only, "mean_over_images")
        how = f"mean over {things(scores)}" + (" and classes" if len(classes) > 1 else "")
        shown.append((figure(measures["ap"][0]), f"AP at IoU {thresholds[0]:.2f}", how))
        shown.append((figure(measures["ap_mean"]), "AP, mean of thresholds", how))
    objects = sum(values.get("objects") or 0 for values in classes.values())
    if objects:
        shown.append((figure(objects), "true objects", f"in {len(images)} {things(scores)}"))
    return shown[:5]


def _official(found: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The table of figures by the layout's own tool, in percent; none where there was none."""
    if not found:
        return []
    return [{**found, "columns": list(found["mean"]), "cut": cut_note(found)}]


def cut_note(official: Mapping[str, Any]) -> str:
    """How many images have more found objects than COCO's AP looked at; empty where none has."""
    if not official.get("images_cut"):
        return ""
    return (
        f"Only the {official['max_found']} best found objects of an image and class count: "
        f"{official['images_cut']} of {official['images']} images have more. "
        "--max_found takes another number."
    )


def _charts(
    evaluation: Mapping[str, Any],
    thresholds: Sequence[float],
    classes: Mapping[str, Any],
    images: Sequence[Any],
) -> list[tuple[str, str]]:
    """Titles and SVG of what can be drawn."""
    objects = evaluation.get("objects") or {}
    iou = f"{objects.get('threshold', 0.5):.2f}"
    drawn = [
        (f"AP, mean over {things(evaluation)}", _ap_curves(thresholds, classes)),
        (f"Precision over recall at IoU {iou}, as the seed threshold falls", _recall(objects)),
        (f"How the {things(evaluation)} scored", _image_histogram(evaluation, thresholds, images)),
        (f"True objects by size; the dark part is found at IoU {iou}", _sizes(objects)),
    ]
    return [(title, svg) for title, svg in drawn if svg]


def _ap_curves(thresholds: Sequence[float], classes: Mapping[str, Any]) -> str:
    held = {name: c for name, c in classes.items() if c.get("objects", 1) and c.get(WAYS[0][0])}
    if len(thresholds) < 2 or not held:
        return ""
    lines = {name: (thresholds, c["mean_over_images"]["ap"]) for name, c in held.items()}
    errors = {name: c["standard_error"] for name, c in held.items() if c.get("standard_error")}
    return curves(lines, errors if len(lines) <= 3 else {}, "IoU threshold")


def _recall(objects: Mapping[str, Any]) -> str:
    held = objects.get("precision_recall") or {}
    lines = {name: (c["recall"], c["precision"]) for name, c in held.items() if c["recall"]}
    return curves(lines, {}, "recall", (0, 1)) if lines else ""


def _image_histogram(
    evaluation: Mapping[str, Any], thresholds: Sequence[float], images: Sequence[Any]
) -> str:
    values = [i["ap50"] for i in images if i["n_true"] or i["n_found"]]
    if len(values) < 5:
        return ""
    counts = np.histogram(values, np.linspace(0, 1 + 1e-9, 11))[0].tolist()
    edges = [f"{k / 10:.1f}" if k % 2 == 0 else "" for k in range(11)]
    label = f"AP at IoU {thresholds[0]:.2f}, number of {things(evaluation)}"
    return bars(edges, counts, label)


def _sizes(objects: Mapping[str, Any]) -> str:
    sizes = objects.get("sizes") or {}
    if not sizes.get("edges"):
        return ""
    edges = [f"{edge:,}" for edge in sizes["edges"]]
    return bars(edges, sizes["true"], "pixels of an object", sizes["matched"])


def _picture(title: str, caption: str, rgb: NDArray[np.uint8]) -> dict[str, Any]:
    height, width = rgb.shape[:2]
    return {
        "title": title,
        "caption": caption,
        "source": data_address(rgb),
        "width": width,
        "height": height,
        "wide": width > 900 or width > 2.2 * height,
        "coarse": width <= 320,
    }
