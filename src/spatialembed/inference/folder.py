"""Prediction over files: one set of results an image, and no image stops the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from spatialembed.data.images.reading import read_image, read_stack
from spatialembed.data.images.series import which
from spatialembed.errors import UserError
from spatialembed.files.sources import doubts, require_sources
from spatialembed.files.writing import sweep
from spatialembed.formats.at_work import at_work
from spatialembed.formats.target_results import require_distinct, require_own, write_targets
from spatialembed.inference.channels import fitting
from spatialembed.inference.image_files import ImageFile, spacing_of
from spatialembed.inference.looks import look_of, sampled_seeds
from spatialembed.inference.noting import noting
from spatialembed.inference.other_voxels import other_voxels
from spatialembed.inference.overlap import Done, overlapped
from spatialembed.inference.stack import median_diameter, predict_stack
from spatialembed.inference.true_size import Ratios
from spatialembed.models.looks import Look
from spatialembed.models.spec import require_one_target

if TYPE_CHECKING:
    from spatialembed.formats.results_folder import Results
    from spatialembed.inference.predictor import Model
    from spatialembed.instances import Instances

REMEDY = "choose another --out, or add --overwrite to replace them"
"""What to do about results of another image."""

Given: TypeAlias = tuple[float | None, float | None, int | None]
"""Seed threshold, foreground threshold and minimum size; None for the model's own."""

_Job: TypeAlias = tuple[ImageFile, bool]
"""An image, and whether its results are kept."""


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
    look: Look | None = None
    """How it looks, by which images of another kind are told."""
    ratios: Ratios | None = None
    """By how much it was shown larger for its pixels or voxels; None where that is not known."""


def predict_files(
    model: Model,
    images: Sequence[ImageFile],
    results: Results,
    overwrite: bool = False,
    seed_threshold: float | None = None,
    foreground_threshold: float | None = None,
    min_size: int | None = None,
    stitch: bool = False,
) -> Iterator[Outcome]:
    """Predict images one after the other and write their results, yielding each as it is done.

    An image that fails is an outcome with an error; the rest goes on. Images are read, and results
    written, while the network works; the order stays.

    Args:
        model: what finds the instances.
        images: as :func:`find_images` gives them.
        results: where results go and which.
        overwrite: predict again where results exist; else they are kept, what is missing is added.
        seed_threshold, foreground_threshold, min_size: as in :meth:`Model.cluster`.
        stitch: take files as stacks in z; see :func:`~spatialembed.inference.stack.predict_stack`.

    Raises:
        UserError: at once, for a setting out of its range, results that the model's classes cannot
            have, or that are there, or being made, with other settings or of another image.
    """
    given = (seed_threshold, foreground_threshold, min_size)
    results = replace(results, targets=model.spec.largest_first)
    with ExitStack() as held:
        what = (model, images, results, overwrite)
        settings = held.enter_context(agreed_settings(*what, given, stitch))
        return _predict_each(*what, settings, stitch, held.pop_all())


@contextmanager
def agreed_settings(
    model: Model,
    images: Sequence[ImageFile],
    results: Results,
    overwrite: bool,
    given: Given,
    stitch: bool = False,
    others: Collection[Path] = (),
) -> Iterator[Given]:
    """Settings of results in the block, as given: one that finds sizes has a least size for each.

    ``others`` is that of :func:`.at_work`; the rest, and what is refused, as of `predict_files`.
    """
    used = {"model": model.name, **model.used(*given)}
    if stitch:
        require_one_target(model.spec, model.name, "--stitch")
    names = [image.name for image in images]
    if stitch and model.spec.dims == 3:
        raise UserError(f"{model.name} finds objects in volumes as they are: leave --stitch out")
    require_distinct(results, names, overwrite)
    results.require(model.spec.class_names, names, 3 if stitch else model.spec.dims)
    used |= which(images[0].series if images else None).told()
    used["spacing"] = list(spacing) if images and (spacing := images[0].spacing) else None
    used["stitch"] = stitch or None  # as results of earlier versions, which lack it
    sweep(results.out)
    if not overwrite:
        require_own(results, [(image.name, image.path) for image in images], REMEDY)
    with at_work(results, used, overwrite, names, others):
        yield given


def _predict_each(
    model: Model,
    images: Sequence[ImageFile],
    results: Results,
    overwrite: bool,
    settings: Given,
    stitch: bool,
    held: ExitStack,
) -> Iterator[Outcome]:
    read_pixels, found_in = ways(model, stitch)
    jobs = ((image, not overwrite and results.has(image.name)) for image in images)

    def read(job: _Job) -> np.ndarray | None:
        image, kept = job
        return None if kept else read_pixels(image.path, image.series)

    def work(job: _Job, read: Callable[[], Any]) -> Found | Outcome:
        image, kept = job
        if kept:
            notes = doubts(results.paths("labels", image.name))
            return Outcome(image, None, kept=True, notes=notes)
        return _attempted(image, lambda: found_in(model, image, read, settings))

    def write(job: _Job, found: Found | Outcome) -> Outcome:
        if isinstance(found, Outcome):
            return found
        return _attempted(job[0], lambda: found.write(results, overwrite))

    with held:
        yield from overlapped(jobs, read, work, write, _size)


def ways(
    model: Model, stitch: bool = False
) -> tuple[Callable[..., np.ndarray], Callable[..., Found]]:
    """How an image, a stack or a volume is read, and how instances are found in it."""
    if model.spec.dims == 3:
        return read_stack, find_in_volume
    return (read_stack, find_in_stack) if stitch else (read_image, find)


def _attempted(image: ImageFile, work: Callable[[], Done]) -> Done | Outcome:
    """What a work gives, or an outcome that says why it failed."""
    try:
        return work()
    except UserError as error:
        reason = str(error)
    except (MemoryError, RuntimeError) as error:  # torch reports lack of memory as the latter
        reason = str(error).partition("\n")[0] or "out of memory"
    return Outcome(image, None, reason if str(image.path) in reason else f"{image.path}: {reason}")


def _size(found: Found | Outcome) -> int:
    return found.pixels.nbytes if isinstance(found, Found) else 0


def predict_file(
    model: Model,
    image: ImageFile,
    results: Results,
    overwrite: bool,
    settings: Given,
) -> Outcome:
    """Predict one image and write its results, or with ``overwrite`` False those it lacks.

    Raises:
        UserError: the image cannot be read, or its results not be written.
    """
    read_pixels, found_in = ways(model)
    read = partial(read_pixels, image.path, image.series)
    return found_in(model, image, read, settings).write(results, overwrite)


class Found(NamedTuple):
    """What was found in an image, before anything is written."""

    image: ImageFile
    pixels: np.ndarray
    """(H, W, C) as stored, of a stack (Z, H, W, C)."""
    instances: dict[str, Instances]
    """By target, where there are several from the largest objects to the smallest."""
    told: Callable[[], tuple[float | None, Look | None]]
    """Gives the instances' median diameter, and how the image looks; of volumes nobody knows."""
    notes: tuple[str, ...]
    spacing: tuple[float, ...] | None = None
    """Micrometres along (y, x) or (z, y, x), where the file states them or they were asked for."""
    ratios: Ratios | None = None
    """See :class:`Outcome`."""

    def write(self, results: Results, overwrite: bool) -> Outcome:
        """Write its results.

        Raises:
            UserError: they cannot be written.
        """
        (path, name, *_), found = self.image, self.instances
        notes, labels = self.notes, results.paths("labels", name)
        if not overwrite:  # another process may have written some meanwhile
            require_sources(((each, path) for each in labels), REMEDY)
            notes += doubts(labels)
        if results.targets:
            write_targets(results, name, self.pixels, found, overwrite, self.spacing, path)
        else:
            [one] = found.values()
            results.write(name, self.pixels, one, overwrite, self.spacing, source=path)
        count, (diameter, look) = sum(map(len, found.values())), self.told()
        return Outcome(self.image, count, None, False, diameter, notes, look, self.ratios)


def find(model: Model, image: ImageFile, read: Callable[[], np.ndarray], settings: Given) -> Found:
    """Find the instances of an image whose pixels (H, W, C) ``read`` gives.

    Raises:
        UserError: the image cannot be read, its channels are not the model's, or it does not fit
            in a GPU's memory.
    """
    name = str(image.path)
    with noting(name) as notes:
        pixels = read()
        spacing = spacing_of(image, model, notes)
        sized = model.for_image(pixels, name, spacing)
        output = sized.output(pixels, name)
        found = sized.cluster_targets(output, *settings)
        seeds = None if sized.spec.targets else sampled_seeds(sized, output)

    def told() -> tuple[float | None, Look | None]:
        *_, smallest = found.values()
        diameter = median_diameter(smallest.areas)
        if seeds is None:  # how images look is not known of several targets
            return diameter, None
        fitted = fitting(sized.name, sized.spec, pixels, name)
        return diameter, look_of(sized, fitted, seeds, smallest)

    notes += other_voxels(spacing, model)
    return Found(image, pixels, found, told, tuple(notes), spacing, model.shown_at(spacing))


def find_in_stack(
    model: Model, image: ImageFile, read: Callable[[], np.ndarray], settings: Given
) -> Found:
    """Find the instances of a stack whose voxels (Z, H, W, C) ``read`` gives; raises as `find`."""
    name = str(image.path)
    with noting(name) as notes:
        voxels = read()
        spacing = spacing_of(image, model, notes, stack=True)
        found, look, diameter = predict_stack(model, voxels, *settings, name, spacing)
        notes += other_voxels(spacing, model)
    told, named = (diameter, look), {"+".join(model.spec.class_names): found}
    whole = spacing if spacing and len(spacing) == 3 else None
    return Found(image, voxels, named, lambda: told, tuple(notes), whole, model.shown_at(spacing))


def find_in_volume(
    model: Model, image: ImageFile, read: Callable[[], np.ndarray], settings: Given
) -> Found:
    """Find the instances of a volume whose voxels (Z, H, W, C) ``read`` gives; raises as `find`."""
    name = str(image.path)
    with noting(name) as notes:
        voxels = read()
        spacing = spacing_of(image, model, notes, stack=True)
        sized = model.for_image(voxels, name, spacing)
        found = sized.cluster_targets(sized.output(voxels, name), *settings)
    *_, smallest = found.values()
    depths = smallest.boxes[:, 3] - smallest.boxes[:, 0]
    widths = median_diameter(smallest.areas / depths * 1.5)  # of ellipsoids, in their widest plane
    notes += other_voxels(spacing, sized)
    told, ratios = (widths, None), model.shown_at(spacing)
    return Found(image, voxels, found, lambda: told, tuple(notes), spacing, ratios)
