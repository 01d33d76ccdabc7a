"""The command ``evaluate``, as those of commands.py."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from spatialembed.console.output import console, warn
from spatialembed.console.progress import track
from spatialembed.errors import UserError
from spatialembed.files.writing import require_writable


def run_evaluate(
    model: str,
    data: Path,
    split: Literal["train", "val", "test"] | None = None,
    out: Path | None = None,
    min_region: int | None = None,
    max_found: int = 100,
    crowds: Literal["ignore", "objects"] | None = None,
    seed_threshold: float | None = None,
    foreground_threshold: float | None = None,
    min_size: int | None = None,
    symmetries: bool = False,
    diameter: float | None = None,
    pixel_size: float | None = None,
    invert: bool = False,
    pictures: int = 8,
    device: str = "auto",
    precision: Literal["float32", "bf16"] | None = None,
) -> int:
    """Score a model on a data set: tables, JSON, the worst images as pictures, and a page.

    Args:
        model: a shipped model (`spatialembed models` lists them), run folder, model file, exported
            .onnx or authors' file.
        data: folder of the data set.
        split: test where there is one with truth, else val, by default.
        out: folder for what is written; by default "evaluation_SPLIT" in the run folder, or
            beside a single file by its name.
        min_region: Cityscapes' AP leaves out objects of fewer pixels; its own rule by default.
        max_found: COCO's AP looks at so many found objects of an image and class, best first.
        crowds: what COCO's annotations marked iscrowd are; as in training by default.
        seed_threshold: least seed score that starts an object; the model's own by default.
        foreground_threshold: seed score of an object's pixels; the model's own by default.
        min_size: fewest pixels of an object; the model's own by default.
        symmetries: average over the symmetries of training: better, up to 8 times slower.
        diameter: pixels across of objects in these images; by default those of training, at its
            pixel size where that and the images' are known.
        pixel_size: micrometres that a pixel is wide, where files do not state it, or wrongly.
        invert: exchange dark and bright, where objects are dark and were bright in training.
        pictures: how many of the worst images to show.
        device: auto, cpu, cuda, ….
        precision: float32 or bf16; by default float32, of nuclei on a processor int8. An
            exported model has its own.
    """
    from spatialembed.data.targets import each_of
    from spatialembed.inference.evaluate import evaluate, open_split
    from spatialembed.inference.loading import load
    from spatialembed.report.evaluation import folder_beside, tables, write_evaluation

    if pictures < 0:
        raise UserError(f"--pictures is a number from 0 up, not {pictures}")
    if out is not None:
        require_writable(out)
    loaded = load(model, device, precision, symmetries, diameter, invert, pixel_size)
    loaded = loaded.asking(seed_threshold, foreground_threshold, min_size)
    dataset = open_split(data, split, loaded.spec, crowds)
    folder = out or folder_beside(Path(model), dataset.split)
    replaced = (folder / "evaluation.json").exists()
    evaluation = evaluate(loaded, dataset, None, folder, min_region, track, max_found)
    each = evaluation.get("targets", {"": evaluation})
    pairs = [pair for pair in zip(loaded.each(), each_of(dataset), strict=True) if pair[1].items]
    for name in loaded.spec.largest_first:
        if name not in each:
            warn([f"no {dataset.split} image has a mask of {name}, which are not scored"])
    for (one, own), name in zip(pairs, each, strict=True):
        warn(each[name]["warnings"])
        for table in tables(each[name]):
            console.print(table)
        page = write_evaluation(one, own, each[name], folder / name, pictures)
        console.print(f"Written: {folder / name / 'evaluation.json'} and {page}", soft_wrap=True)
    if replaced:
        console.print("In place of an earlier evaluation; another --out keeps both", soft_wrap=True)
    return 0
