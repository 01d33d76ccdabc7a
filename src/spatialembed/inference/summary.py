"""What is said of predicted images: how many, and what to know before results are believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialembed.data.images.reading import further_images
from spatialembed.errors import UserError, kind_of
from spatialembed.inference.familiarity import other_kind

if TYPE_CHECKING:
    from spatialembed.inference.folder import Outcome
    from spatialembed.inference.predictor import Model

SHOWN = 10
"""Lines of one kind that are said of images."""


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
    """What plausible results may hide, a line each."""
    looks = {str(o.image.path): o.look for o in outcomes if o.look is not None}
    # Of another kind, sizes tell nothing.
    unlike = other_kind(looks, model) or unlike_training(outcomes, model)
    told = [*notes_of(outcomes), unlike, left_out(outcomes)]
    return [line for line in told if line]


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
    if not found or not trained or model.finds_size:
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
