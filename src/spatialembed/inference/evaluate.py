"""Score a model on a data set: AP over thresholds, F1 and PQ, and the layout's official AP."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialembed.console.progress import Track, silent
from spatialembed.data.checks.mask_files import mask_file_warnings
from spatialembed.data.checks.one_image import about_masks
from spatialembed.data.data_set import FileDataSet, Problem, Split
from spatialembed.data.held_out import open_as_trained
from spatialembed.data.images.vendor_image import vendor_remark
from spatialembed.data.layouts import coco
from spatialembed.data.layouts.cityscapes import Cityscapes
from spatialembed.data.open import refuse, scan_data
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError
from spatialembed.files.described import such
from spatialembed.files.writing import write_json
from spatialembed.inference.folder import Outcome
from spatialembed.inference.image_files import ImageFile, spacing_in
from spatialembed.inference.layout_scores import official_score, unscored
from spatialembed.inference.loading import load
from spatialembed.inference.other_voxels import other_voxels
from spatialembed.inference.predictor import Model
from spatialembed.inference.summary import true_size, unknown_size
from spatialembed.metrics.average_precision import score_images
from spatialembed.metrics.coco_ap import MAX_FOUND
from spatialembed.metrics.object_record import ObjectRecord

if TYPE_CHECKING:
    import numpy as np

    from spatialembed.data.data_set import Crowds
    from spatialembed.instances import Instances
    from spatialembed.metrics.average_precision import Scored
    from spatialembed.models.spec import ModelSpec

UNTOLD = ("has no test split", "has no image", "has no list of annotations")
"""What is said of a data set without test images whose truth is public."""

NOTHING = (
    "no object was found in any image: are the objects of the kind and, with --diameter, of the "
    "size that the model knows, and is --seed_threshold not too high?"
)

RANKED_SEED_THRESHOLD = 0.3
"""Least seed score of an instance that counts in an official AP, which ranks by score."""


def evaluate(
    model: Model | str | os.PathLike[str],
    data: FileDataSet | str | os.PathLike[str],
    split: Split | None = None,
    out: str | os.PathLike[str] | None = None,
    min_region: int | None = None,
    track: Track = silent,
    max_found: int = MAX_FOUND,
) -> dict[str, Any]:
    """Predict every image of a split, in order, and score what was found.

    Args:
        model: a model, or the path of one.
        data: a data set, or the path of one; its classes are then the model's.
        split: "train", "val" or "test". None: the test split if the data has one with truth (so
            not for Cityscapes), else val.
        out: folder for ``evaluation.json`` and the official tools' results; None writes nothing.
        min_region: Cityscapes' AP leaves out true objects of fewer pixels; None for its own rule.
        track: shows progress.
        max_found: COCO's AP looks at so many found objects of an image and class, best first; how
            many images have more is told. Only at 100 is the figure COCO's.

    Returns:
        What :func:`~spatialembed.metrics.average_precision.score_images` gives (figures in
        [0, 1]), and "model", "data", "split", "date", "settings" (the thresholds used), "seconds"
        (network, clustering: mean per image), "objects" (what
        :meth:`~spatialembed.metrics.object_record.ObjectRecord.summary` gives), "official": None or
        ``{"by": "cityscapesScripts" | "faster-coco-eval", ...}``, and "warnings": what was found
        in the data that may not be meant, volumes of other voxels than those of training, an
        official score that is missing, and that no object was found, sentences. Of a model of
        several targets ``{"targets": {name: such}}`` of those that have masks, written to a folder
        of each one's name.

    Raises:
        UserError: data or model cannot be read, or their channels or classes differ.
    """
    model = model if isinstance(model, Model) else load(model)
    if isinstance(data, FileDataSet):
        if split not in (None, data.split):
            raise UserError(f"{data.root} was opened as {data.split}; open its {split} split")
        dataset = data
    else:
        dataset = open_split(Path(data), split, model.spec)
    if dataset.class_names != model.spec.class_names:
        raise UserError(
            f"the model finds {', '.join(model.spec.class_names)}, {dataset.root} was opened "
            f"for {', '.join(dataset.class_names)}; open it with the model's classes"
        )
    if isinstance(dataset, Targets) != bool(model.spec.targets):
        raise UserError(
            f"of {model.name} and {dataset.root} one alone has several targets; evaluate a model "
            "that was trained on such"
        )
    if isinstance(dataset, Targets):
        pairs = zip(model.spec.class_names, model.each(), dataset.each, strict=True)
        given = (min_region, track, max_found)
        return {
            "targets": {
                name: evaluate(one, own, None, out and Path(out, name), *given)
                for name, one, own in pairs
                if own.items
            }
        }
    remarks = dataset.remarks()
    refuse(remarks, dataset.root)
    if dataset.dims != model.spec.dims:
        raise UserError(
            f"{dataset.root} holds {dataset.things}, and {model.name} is not of such; evaluate a "
            "model that was trained on them"
        )
    remarks += about_masks(dataset) if dataset.dims == 2 else []
    remarks += mask_file_warnings(dataset)
    sizes = list(_about_sizes(dataset, model))
    clock = {"network": 0.0, "clustering": 0.0}
    record = ObjectRecord(dataset.class_names)
    folder = None if out is None else Path(out)
    with official_score(dataset, folder, min_region, max_found) as score:

        def scored() -> Iterator[Scored]:
            for i in track(range(len(dataset)), len(dataset), f"Scoring {dataset.split}"):
                sample, file = dataset[i], str(dataset.items[i].image)
                spacing = spacing_in(dataset, i, model)
                sized = model.for_image(sample.image, file, spacing)
                output, found = timed_predict(sized, sample.image, file, clock)
                # Clustered once for both that take it; the official score may take nothing.
                every = cache(partial(ranked, sized, output))
                score.add(i, every)
                record.add(every(), found, sample.label_mask, sample.class_map, sample.ignore)
                yield found, sample.label_mask, sample.class_map, sample.ignore, sample.name

        evaluation = {
            "model": model.name,
            "data": str(dataset.root),
            "split": dataset.split,
            "things": dataset.things,
            "date": date.today().isoformat(),
            "settings": model.used(),
            **score_images(scored(), dataset.class_names),
            "objects": record.summary(),
            "official": score.figures(),
            "warnings": [
                *map(str, (*dataset.problems, *remarks)),
                *map(str, sizes),
                *unscored(dataset),
            ],
        }
    rows = evaluation["images"]
    if any(row["n_true"] for row in rows) and not any(row["n_found"] for row in rows):
        evaluation["warnings"].append(NOTHING)
    evaluation["seconds"] = {part: total / len(dataset) for part, total in clock.items()}
    if folder is not None:
        write_json(folder / "evaluation.json", evaluation, indent=1)
    return evaluation


def _about_sizes(dataset: FileDataSet, model: Model) -> Iterator[str | Problem]:
    """Images shown at another size for their pixels or voxels, and those unlike training's: of
    each kind the first, and their number.
    """
    kinds: dict[str, list[Path]] = {}
    seen: list[Outcome] = []
    for i, name in enumerate(dataset.names):
        spacing, path = spacing_in(dataset, i, model), dataset.items[i].image
        sized = model.at_true_size(path, name, spacing) or model
        for note in filter(None, [*other_voxels(spacing, sized), vendor_remark(path)]):
            kinds.setdefault(note, []).append(path)
        seen.append(Outcome(ImageFile(path, name), 0, ratios=model.shown_at(spacing)))
    for note, files in kinds.items():
        yield Problem(files[0], note + such(files, dataset.things), True)
    yield from filter(None, (true_size(seen, model), unknown_size(seen, model)))


def open_split(
    data: Path, split: Split | None, spec: ModelSpec, crowds: Crowds | None = None
) -> FileDataSet:
    """Open ``split`` of a data set, or if None the one a model is reported on.

    Where val is held out of the training images, it is what was held out of the model's training;
    ``crowds`` of COCO data are what they were in training, unless given.
    """
    class_names = spec.class_names
    crowds = crowds or crowds_of(data, spec.training.get("crowds"))
    if split is None:
        try:
            test = scan_data(data, "test", class_names, crowds=crowds)
        except UserError as error:
            if not any(said in str(error) for said in UNTOLD):
                raise
            split = "val"
        else:  # the truth of Cityscapes' test images is not public
            split = "val" if isinstance(test, Cityscapes) else "test"
    return open_as_trained(data, split, class_names, spec.training, crowds)


def crowds_of(data: Path, trained: Any) -> Crowds:
    """What crowds of a data set are to a model for which they were ``trained``: of COCO alone."""
    return "objects" if trained == "objects" and coco.recognize(data) else "ignore"


def timed_predict(
    model: Model, image: np.ndarray, file: str, clock: dict[str, float]
) -> tuple[np.ndarray, Instances]:
    """Raw output and instances of a file's image; ``clock`` gains the seconds that both took."""
    start = time.perf_counter()
    output = model.raw(image, file)
    half = time.perf_counter()
    found = model.cluster(output)
    clock["network"] += half - start
    clock["clustering"] += time.perf_counter() - half
    return output, found


def ranked(model: Model, output: np.ndarray) -> Instances:
    """Every instance down to the least seed score, best first.

    The official AP ranks instances by their score and wants those of low scores too.
    """
    return model.cluster(output, min(model.settings()[0], RANKED_SEED_THRESHOLD))
