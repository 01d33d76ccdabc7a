"""What is said of predicted images: how many, and what to know before results are believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialembed.data.images.reading import further_images
from spatialembed.data.images.spacing import in_words
from spatialembed.errors import UserError, kind_of
from spatialembed.files.described import some
from spatialembed.inference.familiarity import other_kind
from spatialembed.inference.true_size import AS_IT_IS

if TYPE_CHECKING:
    from spatialembed.inference.folder import Outcome
    from spatialembed.inference.predictor import Model
    from spatialembed.models.spec import ModelSpec

SHOWN = 10
"""Lines of one kind that are said of images."""


def summary(outcomes: Sequence[Outcome], out: Path, stacks: bool = False) -> str:
    """How many images or stacks there are results of in ``out``, new ones and others."""
    kept = sum(outcome.kept for outcome in outcomes)
    found = [outcome.found for outcome in outcomes if outcome.found is not None]
    things = "volumes" if stacks else "images"
    new = f"{len(found)} {things}, {sum(found)} instances" if found or not kept else "nothing new"
    text = f"{new} in {out}"
    empty = [outcome.image.path for outcome in outcomes if outcome.found == 0]
    if 0 < len(empty) < len(found):
        text += f"; nothing found in {len(empty)} of them, first {empty[0]}"
    return text + (f"; {kept} kept as they were (--overwrite predicts them again)" if kept else "")


def cautions(outcomes: Sequence[Outcome], model: Model, stacks: bool = False) -> list[str]:
    """What plausible results may hide, a line each; of ``stacks`` not what else their files hold,
    which is not asked of them.
    """
    looks = {str(o.image.path): o.look for o in outcomes if o.look is not None}
    # Of another kind, sizes tell nothing.
    unlike = other_kind(looks, model) or unlike_training(outcomes, model)
    further = None if stacks else left_out(outcomes)
    told = [*notes_of(outcomes), unknown_size(outcomes, model), unlike, further]
    return [line for line in told if line]


def left_out(outcomes: Sequence[Outcome]) -> str | None:
    """A sentence about images that were not predicted, since a file holds more than one."""
    told = []
    for (path, _, series, _), found, *_ in outcomes:
        with suppress(UserError):  # a file that is gone by now was predicted all the same
            further = None if found is None else further_images(path, series)
            told += [f"{path} {further}"] if further else []
    if not told:
        return None
    return told[0] + (f"; so do {len(told) - 1} other files" if len(told) > 1 else "")


def true_size(outcomes: Sequence[Outcome], model: Model) -> str | None:
    """A sentence about images that were shown at another size, as large as those of training."""
    ratios = [
        o.ratios for o in outcomes if o.found is not None and o.ratios not in (None, AS_IT_IS)
    ]
    if not ratios:
        return None
    planes, depth = (_range(side) for side in zip(*filter(None, ratios), strict=True))
    spec, count = model.spec, some(len(ratios), "volume" if model.spec.dims == 3 else "image")
    if spec.spacing is not None:
        how = f"{planes} times as large in planes and {depth} times as deep"
        own = f"voxels of {in_words(spec.spacing)}"
    else:
        how, own = f"at {planes} times the size", f"{spec.pixel_size:.3g} µm a pixel"
    shown = f"{count} {'was' if len(ratios) == 1 else 'were'} shown to the model {how}"
    return f"{shown}, by the pixel size, as training had {own} (--diameter goes before)"


def unknown_size(outcomes: Sequence[Outcome], model: Model) -> str | None:
    """A sentence about images and a model of which one has a pixel size and the other none."""
    spec = model.spec
    if model.sized or model.finds_size:
        return None
    if spec.dims == 3:
        return _unknown_spacing(outcomes, spec)
    if spec.pixel_size is None and model.pixel_size is None:
        return None
    if spec.pixel_size is None:
        return (
            f"{model.name} does not know the pixel size of its training, so that images are shown "
            "as they are, and --pixel_size goes into results alone; with --diameter say how many "
            "pixels wide objects are"
        )
    silent = _silent(outcomes)
    return silent and (
        f"{silent} does not state the size of its pixels, which are taken for "
        f"{spec.pixel_size:.3g} µm, as in training: give it with --pixel_size, with --overwrite"
    )


def _unknown_spacing(outcomes: Sequence[Outcome], spec: ModelSpec) -> str | None:
    """The same of volumes, where those of training stated how far their voxels lay apart."""
    if spec.spacing is None or not spec.training.get("spacing_stated", False):
        return None
    silent = _silent(outcomes)
    return silent and (
        f"{silent} does not state how far its voxels lie apart, which are taken for "
        f"{in_words(spec.spacing)}, as in training: if that is wrong store it with its spacing "
        "(ImageJ: Image > Properties, then save it as TIFF), give it to predict with --spacing "
        "Z Y X, or resample it to such voxels"
    )


def _silent(outcomes: Sequence[Outcome]) -> str | None:
    """The first file that states no size of pixels or voxels, and how many more; None of none."""
    silent = [o.image.path for o in outcomes if o.found is not None and o.ratios is None]
    more = f" (and {len(silent) - 1} more)" if len(silent) > 1 else ""
    return f"{silent[0]}{more}" if silent else None


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def unlike_training(outcomes: Sequence[Outcome], model: Model) -> str | None:
    """A sentence where objects have other sizes than nearly all that the model was trained on."""
    found = [
        outcome.diameter * (outcome.ratios or AS_IT_IS).planes
        for outcome in outcomes
        if outcome.diameter is not None
    ]
    trained = model.spec.training.get("diameters")
    if not found and any(outcome.found == 0 for outcome in outcomes):
        return (
            "nothing was found in any file predicted now: are its objects of the kind and, with "
            "--diameter, of the size that the model knows?"
        )
    if not found or not trained or model.finds_size:
        return None
    smallest, largest = (float(d) / model.size_ratio for d in trained)
    here = float(np.median(found))
    if smallest <= here <= largest:
        return None
    asked = "" if model.size_ratio == 1 else ", as the diameter was given,"
    resized = any(o.ratios not in (None, AS_IT_IS) for o in outcomes)
    pixels = "pixels of training" if resized else "pixels"
    return (
        f"what was found is {here:.1f} {pixels} across, the model{asked} expects {smallest:.1f} to "
        f"{largest:.1f}: look at the pictures, and if they are wrong say with --diameter how wide "
        "objects are, with --overwrite"
    )


def notes_of(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was noted of images, a line each; of many of one kind the first and their number."""
    kinds: dict[str, list[str]] = {}
    for outcome in outcomes:
        for note in outcome.notes:
            line = f"{outcome.image.path}: {note}"
            kinds.setdefault(kind_of(note), []).append(line)
    for lines in kinds.values():
        yield from lines[:SHOWN]
        if len(lines) > SHOWN:
            yield f"and {len(lines) - SHOWN} more images as these"
