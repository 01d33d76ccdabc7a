"""The command ``predict``, as those of commands.py."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spatialembed.console.output import console, errors, warn
from spatialembed.console.progress import track
from spatialembed.errors import UserError
from spatialembed.files.writing import require_writable

if TYPE_CHECKING:
    from spatialembed.inference.folder import Outcome


def run_predict(
    model: str,
    images: list[str],
    out: Path = Path("found"),
    format: list[str] | None = None,
    annotations: Path | None = None,
    overlay: bool = True,
    overwrite: bool = False,
    seed_threshold: float | None = None,
    foreground_threshold: float | None = None,
    min_size: int | None = None,
    series: int | None = None,
    level: int = 0,
    channel: list[int] | None = None,
    symmetries: bool = False,
    diameter: float | None = None,
    pixel_size: float | None = None,
    spacing: list[float] | None = None,
    invert: bool = False,
    stitch: bool = False,
    device: str = "auto",
    precision: Literal["float32", "bf16"] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> int:
    """Find the instances in images: a label TIFF and a picture each, other formats on demand.

    One image or volume that does not fit in memory (OME-Zarr, Zarr or TIFF) becomes OME-Zarr
    labels where --out ends in .zarr.

    Args:
        model: a shipped model (`spatialembed models` lists them), run folder, model file, exported
            .onnx or authors' file.
        images: files, folders or patterns.
        out: folder for the results; ending in .zarr, for the labels of one image of any size.
        format: further results: cityscapes, coco, geojson, imagej, measurements, meshes.
        annotations: COCO json whose image and category ids the COCO results take.
        overlay: write a picture of every image with its instances; none of an image of any size.
        overwrite: predict again where results exist; what other formats hold of them is removed.
        seed_threshold: least seed score that starts an object; the model's own by default.
        foreground_threshold: seed score of an object's pixels; the model's own by default.
        min_size: fewest pixels of an object; the model's own by default.
        series: which image of files that hold several (scenes, positions, pages), from 0.
        level: which resolution of images that are stored in several, from 0, the full one;
            results have its size.
        channel: numbers of the channels to take of an image, in the model's order, from 0.
        symmetries: average over the symmetries of training: better, up to 8 times slower.
        diameter: pixels across of objects in these images; by default those of training, at its
            pixel size where that and the images' are known.
        pixel_size: micrometres that a pixel is wide, where files do not state it, or wrongly.
        spacing: micrometres between the voxels of stacks along z, y and x, likewise.
        invert: exchange dark and bright, where objects are dark and were bright in training.
        stitch: files are stacks in z (TIFF or OME-Zarr): objects of their planes, joined where
            they overlap.
        device: auto, cpu, cuda, ….
        precision: float32 or bf16; by default float32, of nuclei on a processor int8. An
            exported model has its own.
        workers: processes that share the work; by default one, or for an image of any size as
            many as there are cores.
        scheduler: address of a dask scheduler whose workers share the work instead.
    """
    from spatialembed.data.images.reading import further_images
    from spatialembed.data.images.series import Series, Which
    from spatialembed.formats.results_folder import Results
    from spatialembed.inference.asked import asked_spacing
    from spatialembed.inference.folder import predict_files
    from spatialembed.inference.image_files import find_images
    from spatialembed.inference.loading import load
    from spatialembed.inference.summary import cautions, summary, true_size
    from spatialembed.models.spec import require_one_target

    require_writable(out)
    if stitch and (annotations or workers or scheduler or out.suffix == ".zarr"):
        raise UserError(
            "of stacks label TIFFs are written, by one process: leave --annotations, --workers and "
            "--scheduler out, and give --out a folder"
        )
    asked: Series = Which(series, level, tuple(channel or ())) if level or channel else series
    settings = (seed_threshold, foreground_threshold, min_size)
    given = (model, device, precision, symmetries, diameter, invert, pixel_size)
    if out.suffix == ".zarr":
        if format or annotations:
            raise UserError(f"{out} takes labels alone; leave --format and --annotations out")
        if spacing:
            raise UserError(
                f"{out} takes the spacing that the volume's file states: store it there, and "
                "leave --spacing out"
            )
        if len(images) != 1 or (Path(images[0]).is_dir() and Path(images[0]).suffix != ".zarr"):
            raise UserError(
                f"{out} takes the labels of one image; for many give --out a folder, and store one "
                "that is a folder of planes as a TIFF stack or OME-Zarr"
            )
        from spatialembed.large import ModelSource, Workers, predict_large

        source, image, who = ModelSource(*given), Path(images[0]), Workers(workers, scheduler)
        told = (track, asked, _tell)
        count = predict_large(source, image, out, who, overwrite, *settings, None, *told)
        console.print(f"{count} instances in {out}", soft_wrap=True)
        with suppress(UserError):  # of a stack, which is read as one
            if further := further_images(image, asked):
                warn([f"{image} {further}"])
        return 0
    results = Results(out, format or (), overlay, annotations)
    loaded = load(*given)
    if stitch or workers is not None or scheduler is not None:
        what = "--stitch" if stitch else "what several processes predict"
        require_one_target(loaded.spec, model, what)
    stacks = stitch or loaded.spec.dims == 3
    apart = asked_spacing(spacing, stacks, pixel_size)
    found = find_images(images, out, lambda text: warn([text]), stacks)
    files = [file._replace(series=asked, spacing=apart) for file in found]
    if workers is not None or scheduler is not None:
        from spatialembed.large import ModelSource, Workers, predict_many

        who = Workers(workers, scheduler)
        _tell(f"{len(files)} files, by {who.in_words}")
        outcomes = predict_many(ModelSource(*given), files, results, who, overwrite, *settings)
    else:
        outcomes = predict_files(loaded, files, results, overwrite, *settings, stitch)
    done = list(track(outcomes, len(files), "Predicting"))
    if resized := true_size(done, loaded):
        console.print(resized, soft_wrap=True)
    warn(cautions(done, loaded, stacks))
    code = _report_outcomes(done, summary(done, out, stacks))
    results.gather([file.name for file in files])
    return code


def _tell(text: str) -> None:
    """Where progress goes."""
    errors.print(text, soft_wrap=True)


def _report_outcomes(outcomes: Sequence[Outcome], said: str) -> int:
    """Say what became of the images, the failed ones last and by name."""
    console.print(said, soft_wrap=True)
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        errors.print(f"failed: {outcome.error}", soft_wrap=True)
    return 1 if failed else 0
