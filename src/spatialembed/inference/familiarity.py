"""A sentence where images are of another kind than a model was trained on, and what to do."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialembed.errors import ImageWarning
from spatialembed.files.described import filled
from spatialembed.models.looks import VOTES, Look, Looks
from spatialembed.models.shipped import shipped

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model

TOLERATED = 0.1
"""Share of images that may look unusual, as a few of any kind do."""

TOLD = 3
"""Traits that are named, those that most of the images have."""


def other_kind(looks: Mapping[str, Look], model: Model) -> str | None:
    """A sentence about images, by name, whose looks are not those of the model's kind.

    None where all but a tenth of them look as usual, or the model does not know what that is.
    """
    usual = usual_of(model.spec.training)
    if usual is None:
        return None
    unusual = {name: usual.unusual(look) for name, look in looks.items()}
    odd = {name: traits for name, traits in unusual.items() if len(traits) >= VOTES}
    if len(odd) <= TOLERATED * len(looks):
        return None
    counted = Counter(trait for traits in odd.values() for trait in traits)
    typical = _typical([looks[name] for name in odd])
    told = [_told(trait, typical, usual) for trait, _ in counted.most_common(TOLD)]
    first = next(iter(odd))
    several = f"{len(odd)} of {len(looks)} images, {first} for one, are"
    which = several if len(looks) > 1 else f"{first} is"
    return (
        f"{which} unlike those that {model.name} was trained on ({'; '.join(told)}), so that what "
        f"was found may be wrong: {', or '.join(_remedies(typical, usual, model))}"
    )


def tell_of_parts(looks: Sequence[Look], model: Model, name: str) -> None:
    """Warn of an image of this name if it is of another kind, by the looks of its parts."""
    said = other_kind({"it": _typical(looks)}, model) if looks else None
    if said is not None:
        warnings.warn(ImageWarning(said, name), stacklevel=2)


def usual_of(training: Mapping[str, Any]) -> Looks | None:
    """What is usual, by the notes of a training."""
    held = training.get("looks")
    return None if held is None else filled(Looks, held, "looks")


def _typical(looks: Sequence[Look]) -> Look:
    """Medians, trait by trait."""
    columns = ([v for v in column if v is not None] for column in zip(*looks, strict=True))
    return Look(*(float(np.median(column)) if column else None for column in columns))  # type: ignore[arg-type]  # ground, light and color are never None


def _told(trait: str, typical: Look, usual: Looks) -> str:
    value, (low, high) = getattr(typical, trait), usual.usual(trait) or (0.0, 0.0)
    figures = f"{value:.2f}, in training {low:.2f} to {high:.2f}"
    more = value > high
    return {
        "ground": f"their ground is {'brighter' if more else 'darker'}: {figures}",
        "color": f"they are {'more' if more else 'less'} colorful: {figures}",
        "contrast": f"what was found is {_against_rest(value, more)} than the rest: {figures}",
        "sureness": f"seed scores within objects are low: {figures}",
        "undecided": f"of what may be objects so much is undecided: {figures}",
    }[trait]


def _against_rest(value: float, more: bool) -> str:
    """Of objects, that pixels of theirs are brighter this often, which is more than is usual."""
    how = "brighter" if value > 0.5 else "darker"
    return how if more == (value > 0.5) else f"hardly {how}"


def _remedies(typical: Look, usual: Looks, model: Model) -> Iterator[str]:
    """What to do, the likeliest first."""
    turned = typical._replace(ground=1 - typical.light, light=1 - typical.ground)
    looks_at = typical if not model.invert else turned
    if "ground" in usual.unusual(typical) and "ground" not in usual.unusual(turned):
        dark = "bright" if (usual.contrast or (1.0, 1.0))[1] < 0.5 else "dark"
        yield "leave out --invert" if model.invert else f"add --invert if objects are {dark}"
    if names := list(_knowing(looks_at, model)):
        yield f"take a model that knows such images ({', '.join(names)})"
    yield "give --diameter if objects are of another size than in training"
    yield "train a model on such images (train --init)"


def _knowing(look: Look, model: Model) -> Iterator[str]:
    """Shipped models to which the image by itself, and not what was found in it, is usual."""
    alone = look._replace(contrast=None, undecided=None, sureness=None)
    channels = 1 if model.spec.takes_grey and look.color == 0 else model.spec.in_channels
    for other in shipped():
        usual = usual_of(other.spec.training)
        takes = {other.spec.in_channels, 1} if other.spec.takes_grey else {other.spec.in_channels}
        known = other.name != model.name and channels in takes
        if usual is not None and known and not usual.unusual(alone):
            yield other.name
