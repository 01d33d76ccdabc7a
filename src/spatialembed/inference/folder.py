"""Prediction over files: one set of results an image, and no image stops the others."""

from __future__ import annotations

import glob
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spatialembed.data.images.kinds import SUFFIXES
from spatialembed.data.images.reading import further_images, read_image
from spatialembed.data.layouts.left_out import DOCUMENTS, STORES, in_words, is_visible, walk
from spatialembed.errors import ImageWarning, UserError
from spatialembed.files.names import composed
from spatialembed.files.writing import sweep

if TYPE_CHECKING:
    from spatialembed.formats.results_folder import Results
    from spatialembed.inference.predictor import Model
    from spatialembed.instances import Instances


class ImageFile(NamedTuple):
    """An image to predict, and the path of its results below the output folder, no suffix."""

    path: Path
    name: str
    series: int | None = None
    """Which of the images in the file, from 0; None for the only one."""


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
    notes: tuple[str, ...] = ()
    """What to know of the image before its result is believed."""


def find_images(
    inputs: Sequence[str | Path], out: Path, tell: Callable[[str], None] = lambda text: None
) -> list[ImageFile]:
    """Images of files, folders (with their subfolders) and patterns such as ``day?/*.tif``.

    Results of a folder's images keep their place in it. Where ``out`` is inside of a folder, what
    it holds is left out, so that results are never taken for images. Hidden files and folders are
    no images.

    Args:
        inputs: files, folders and patterns.
        out: where results will go.
        tell: takes a sentence on files of other formats, which are left out.

    Raises:
        UserError: an input that does not exist or holds no image, two images whose results would
            have one name, or results that would lie among the images.
    """
    images: dict[str, ImageFile] = {}
    place = cache(Path.resolve)  # of folders: of each of a million files it would take minutes
    for given in inputs:
        for image in _expand(str(given), out, tell):
            # Not all disks know Größe from its decomposed form, or A from a.
            other = images.setdefault(composed(image.name).casefold(), image)
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
    names = [image.name for image in images]
    results.require(model.spec.class_names, names)
    used = {"model": model.name, **model.used(*settings)}
    used["series"] = images[0].series if images else None
    sweep(results.out)
    results.agree(used, overwrite, names)
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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ImageWarning)
        pixels = read_image(image.path, image.series)
        found = model.predict(pixels, *settings, name=str(image.path))
    for warning in caught:
        if not isinstance(warning.message, ImageWarning):
            warnings.warn_explicit(**{name: getattr(warning, name) for name in _OF_WARNINGS})
    notes = tuple(w.message.note for w in caught if isinstance(w.message, ImageWarning))
    results.write(image.name, pixels, found, overwrite)
    return Outcome(image, len(found), diameter=_median_diameter(found), notes=notes)


_OF_WARNINGS = "message", "category", "filename", "lineno"


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


def cautions(outcomes: Sequence[Outcome], model: Model) -> list[str]:
    """What plausible results may hide: :func:`unlike_training` and :func:`left_out`."""
    return [told for told in (unlike_training(outcomes, model), left_out(outcomes)) if told]


def left_out(outcomes: Sequence[Outcome]) -> str | None:
    """A sentence about images that were not predicted, since a file holds more than one."""
    told = []
    for (path, _, series), found, *_ in outcomes:
        with suppress(UserError):  # a file that is gone by now was predicted all the same
            further = None if found is None else further_images(path, series)
            told += [f"{path} {further}"] if further else []
    if not told:
        return None
    return told[0] + (f"; so do {len(told) - 1} other files" if len(told) > 1 else "")


def unlike_training(outcomes: Sequence[Outcome], model: Model) -> str | None:
    """A sentence where objects have other sizes than nearly all that the model was trained on."""
    found = [outcome.diameter for outcome in outcomes if outcome.diameter is not None]
    trained = model.spec.training.get("diameters")
    if not found and any(outcome.found == 0 for outcome in outcomes):
        return (
            "nothing was found in any image predicted now: are its objects of the kind and, with "
            "--diameter, of the size that the model knows?"
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


def _expand(given: str, out: Path, tell: Callable[[str], None]) -> Iterator[ImageFile]:
    path = Path(given)
    if path.suffix == ".zarr":
        raise UserError(f"{path} is predicted by itself: give --out a name ending in .zarr")
    if path.is_dir():
        inside, others = walk(path, None if out.resolve() == path.resolve() else out.resolve())
        if others:
            tell(f"{path}: {in_words(others)}")
        for file in inside:
            yield ImageFile(file, file.relative_to(path).with_suffix("").as_posix())
        if not inside:
            raise UserError(f"{path} has no image; expected files ending in {', '.join(SUFFIXES)}")
    elif path.exists():
        yield ImageFile(path, path.stem)
    else:
        matches = [Path(match) for match in sorted(glob.glob(given, recursive=True))]
        matches = [match for match in matches if is_visible(match)]
        images = _without_results([match for match in matches if _is_image(match)], out)
        stores = (m for m in matches if m.is_file() or m.suffix.lower() in STORES)
        left = Counter(store.suffix.lower() for store in stores if not _is_image(store))
        if told := in_words({s: n for s, n in left.items() if s not in DOCUMENTS}):
            tell(f"{given}: {told}")
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
    return path.suffix.lower() in SUFFIXES and path.is_file()
