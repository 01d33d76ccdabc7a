"""Prediction over files: one set of results an image, and no image stops the others."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spatialembed.data.image_io import SUFFIXES, read_image
from spatialembed.errors import UserError, sweep

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model
    from spatialembed.inference.written import Results
    from spatialembed.instances import Instances


class ImageFile(NamedTuple):
    """An image to predict, and the path of its results below the output folder, no suffix."""

    path: Path
    name: str


class Outcome(NamedTuple):
    """What became of one image."""

    image: ImageFile
    found: int | None
    """Number of instances; None where the image failed or was kept as it is."""
    error: str | None = None
    kept: bool = False
    """Whether its results were there already."""
    diameter: float | None = None
    """Median diameter of its instances in pixels, of the discs of their areas."""


def find_images(inputs: Sequence[str | Path], out: Path) -> list[ImageFile]:
    """Images of files, folders (with their subfolders) and patterns such as ``day?/*.tif``.

    Results of a folder's images keep their place in it. Where ``out`` is inside of a folder, what
    it holds is left out, so that results are never taken for images.

    Raises:
        UserError: an input that does not exist or holds no image, two images whose results would
            have one name, or results that would lie among the images.
    """
    images: dict[str, ImageFile] = {}
    place = cache(Path.resolve)  # of folders: of each of a million files it would take minutes
    for given in inputs:
        for image in _expand(str(given), out):
            other = images.setdefault(image.name, image)
            if other is not image and other.path.resolve() != image.path.resolve():
                raise UserError(
                    f"{other.path} and {image.path} would both write '{image.name}'; "
                    "predict them into two folders"
                )
            if place((out / image.name).parent) == place(image.path.parent):
                raise UserError(
                    f"results of {image.path} would lie beside it, where label maps could replace "
                    "images; choose another folder"
                )
    return list(images.values())


def predict_files(
    model: Model,
    images: Sequence[ImageFile],
    results: Results,
    overwrite: bool = False,
    seed_threshold: float | None = None,
    foreground_threshold: float | None = None,
    min_size: int | None = None,
) -> Iterator[Outcome]:
    """Predict images one after the other and write their results, yielding each as it is done.

    An image that fails is an outcome with an error; the rest goes on.

    Args:
        model: what finds the instances.
        images: as :func:`find_images` gives them.
        results: where results go and which.
        overwrite: predict again where results exist; otherwise they are kept, and what is
            missing is added.
        seed_threshold, foreground_threshold, min_size: as in :meth:`Model.cluster`.

    Raises:
        UserError: at once, for a setting out of its range, results that the model's classes
            cannot have, or results that are there and were made with other settings.
    """
    given = (seed_threshold, foreground_threshold, min_size)
    settings = agreed_settings(model, images, results, overwrite, given)
    return _predict_each(model, images, results, overwrite, settings)


def agreed_settings(
    model: Model,
    images: Sequence[ImageFile],
    results: Results,
    overwrite: bool,
    given: tuple[float | None, float | None, int | None],
) -> tuple[float, float, int]:
    """Seed threshold, foreground threshold and minimum size that results are made with.

    Args:
        model, images, results, overwrite: as for :func:`predict_files`.
        given: the settings, None for the model's own.

    Raises:
        UserError: a setting out of its range, results that the model's classes cannot have, or
            results that are there and were made with other settings.
    """
    settings = model.settings(*given)
    results.require(model.spec.class_names)
    used = {"model": model.name, **model.used(*settings)}
    sweep(results.out)
    results.agree(used, overwrite, [image.name for image in images])
    return settings


def _predict_each(
    model: Model,
    images: Sequence[ImageFile],
    results: Results,
    overwrite: bool,
    settings: tuple[float, float, int],
) -> Iterator[Outcome]:
    for image in images:
        if not overwrite and results.has(image.name):
            yield Outcome(image, None, kept=True)
            continue
        try:
            yield predict_file(model, image, results, overwrite, settings)
        except UserError as error:
            yield Outcome(image, None, str(error))
        except (MemoryError, RuntimeError) as error:  # torch reports lack of memory as the latter
            reason = str(error).partition("\n")[0] or "out of memory"
            yield Outcome(image, None, f"{image.path}: {reason}")


def predict_file(
    model: Model,
    image: ImageFile,
    results: Results,
    overwrite: bool,
    settings: tuple[float, float, int],
) -> Outcome:
    """Predict one image and write its results.

    Args:
        model, image, results: what, and where to.
        overwrite: replace files that are there; else only what is missing is written.
        settings: seed threshold, foreground threshold and minimum size.

    Raises:
        UserError: the image cannot be read, or its results not be written.
    """
    pixels = read_image(image.path)
    found = model.predict(pixels, *settings, name=str(image.path))
    results.write(image.name, pixels, found, overwrite)
    return Outcome(image, len(found), diameter=_median_diameter(found))


def _median_diameter(found: Instances) -> float | None:
    if len(found) == 0:
        return None
    return float(np.sqrt(np.median(found.areas) * 4 / np.pi))


def summary(outcomes: Sequence[Outcome], out: Path) -> str:
    """How many images there are results of in ``out``, new ones and others."""
    kept = sum(outcome.kept for outcome in outcomes)
    found = [outcome.found for outcome in outcomes if outcome.found is not None]
    new = f"{len(found)} images, {sum(found)} instances" if found or not kept else "nothing new"
    text = f"{new} in {out}"
    empty = [outcome.image.path for outcome in outcomes if outcome.found == 0]
    if 0 < len(empty) < len(found):
        text += f"; nothing found in {len(empty)} of them, first {empty[0]}"
    return text + (f"; {kept} kept as they were (--overwrite predicts them again)" if kept else "")


def unlike_training(outcomes: Sequence[Outcome], model: Model) -> str | None:
    """A sentence where objects have other sizes than nearly all that the model was trained on."""
    found = [outcome.diameter for outcome in outcomes if outcome.diameter is not None]
    trained = model.spec.training.get("diameters")
    if not found and any(outcome.found == 0 for outcome in outcomes):
        return (
            "nothing was found in any image: are its objects of the kind and, with --diameter, of "
            "the size that the model knows?"
        )
    if not found or not trained:
        return None
    smallest, largest = (float(d) / model.size_ratio for d in trained)
    here = float(np.median(found))
    if smallest <= here <= largest:
        return None
    asked = "" if model.size_ratio == 1 else ", as the diameter was given,"
    return (
        f"what was found is {here:.1f} pixels across, the model{asked} expects {smallest:.1f} to "
        f"{largest:.1f}: look at the pictures, and if they are wrong say with --diameter how wide "
        "objects are, with --overwrite"
    )


def _expand(given: str, out: Path) -> Iterator[ImageFile]:
    path = Path(given)
    if path.suffix == ".zarr":
        raise UserError(f"{path} is predicted by itself: give --out a name ending in .zarr")
    if path.is_dir():
        inside = [file for file in sorted(path.rglob("*")) if _is_image(file)]
        if out.resolve() != path.resolve():
            inside = _without_results(inside, out)
        for file in inside:
            yield ImageFile(file, file.relative_to(path).with_suffix("").as_posix())
        if not inside:
            raise UserError(f"{path} has no image; expected files ending in {', '.join(SUFFIXES)}")
    elif path.exists():
        yield ImageFile(path, path.stem)
    else:
        matches = [Path(match) for match in sorted(glob.glob(given, recursive=True))]
        images = _without_results([match for match in matches if _is_image(match)], out)
        if not images:
            raise UserError(f"{given} does not exist; give images, folders or a pattern")
        yield from (ImageFile(image, image.stem) for image in images)


def _without_results(images: list[Path], out: Path) -> list[Path]:
    """Images that do not lie below the folder of results."""
    below = {
        folder
        for folder in {image.parent for image in images}
        if folder.resolve().is_relative_to(out.resolve())
    }
    return [image for image in images if image.parent not in below]


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and not hidden and path.is_file()
