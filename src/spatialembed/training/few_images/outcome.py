"""What a careful run leaves, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from spatialembed.console.output import console
from spatialembed.models.checkpoint import MODEL_FILE, save_model
from spatialembed.models.spec import ModelSpec
from spatialembed.training.few_images.choice import Choice
from spatialembed.training.few_images.evidence import Tally, ap, gain
from spatialembed.training.few_images.mixture import Weights
from spatialembed.training.few_images.start_size import LOOKED_AT, finding_as, finds_the_given
from spatialembed.training.few_images.tuning import Tuning
from spatialembed.training.run import Best


def keep(tuning: Tuning, why: str, base: Sequence[Tally] = (), best: Sequence[Tally] = ()) -> None:
    """Leave the start as the run's model, and say why.

    Args:
        tuning: the run's.
        why: a sentence for a person.
        base: what the start found in the images that judge.
        best: what the best of all mixtures found.
    """
    notes: dict[str, Any] = {"share": 0.0, "steps": 0}
    if base:
        notes |= _figures(base, base)
        why += f" (AP {ap(base):.3f} with it as it was, {ap(best):.3f} with the best mixture)"
    spec = tuning.spec
    own = tuning.described.pixel_size if spec.object_diameter else None
    own = own or spec.pixel_size  # of files that state none it is taken to be the start's
    known = {k: v for k, v in tuning.described.training.items() if k == "spacing_stated"}
    training = {**spec.training, **known, "few_images": notes}
    # Micrometres are those of the images that it was judged on, as they are.
    _save(tuning, tuning.start, replace(spec, pixel_size=own, training=training))
    console.print(f"Kept the model as it was: {why}", soft_wrap=True)


def leave(
    tuning: Tuning,
    weights: Weights,
    choice: Choice,
    steps: int,
    base: Sequence[Tally],
    found: Sequence[Tally],
) -> None:
    """Leave the mixture that was chosen as the run's model, and say how good it is.

    Args:
        tuning: the run's.
        weights: of the mixture.
        choice: how far it is from the start, and what it is clustered with.
        steps: of its trainings together, through both stages.
        base: what the start found in the images that judge.
        found: what such mixtures found that had not learned from them.
    """
    start, described, setting = tuning.spec, tuning.described, choice.setting
    notes = {"share": choice.share, "stages": choice.stages, "steps": steps}
    notes |= _figures(base, found)
    sizes = [described.training["diameters"], start.training.get("diameters", ())]
    training = {
        **described.training,
        "diameters": [min(s[0] for s in sizes if s), max(s[1] for s in sizes if s)],
        "symmetries": start.training.get("symmetries", described.training["symmetries"]),
        "holdout": 0.0,
        "few_images": notes,
    }
    spec = replace(
        start,
        **vars(setting),
        object_diameter=described.object_diameter,
        pixel_size=described.pixel_size,
        licence=described.licence,
        trained_on=", then ".join(filter(None, (start.trained_on, described.trained_on))),
        training=training,
    )
    _save(tuning, weights, spec)
    kept = f"{choice.share:.0%} of the way from the start" if choice.share < 1 else "all of it"
    console.print(
        f"On {tuning.things} that were held back AP rose from {notes['start_ap']:.3f} to "
        f"{notes['ap']:.3f} (± {notes['error']:.3f}; {notes['objects']} objects); kept {kept}, "
        f"seed threshold {setting.seed_threshold:g}",
        soft_wrap=True,
    )


def _figures(base: Sequence[Tally], found: Sequence[Tally]) -> dict[str, Any]:
    return {
        "images": len(base),
        "objects": sum(tally.hit.shape[1] for tally in base),
        "start_ap": round(ap(base), 4),
        "ap": round(ap(found), 4),
        "error": round(gain(found, base)[1], 4),
    }


def _save(tuning: Tuning, weights: Weights, spec: ModelSpec) -> None:
    spec = _as_it_is_used(tuning, weights, spec)
    save_model(tuning.config.out / MODEL_FILE, Best(spec, weights).network(), spec)


def _as_it_is_used(tuning: Tuning, weights: Weights, spec: ModelSpec) -> ModelSpec:
    """The model, finding sizes itself as its start does, where both are right in these images.

    So that it is no worse than the start on images whose objects are of other sizes. What was
    learned has seen these images; how it will do in others, the start tells.
    """
    finder = finding_as(tuning.by_itself, spec)
    if finder is None:
        return spec
    train = tuning.material.train
    samples = [train[i] for i in range(min(len(train), LOOKED_AT))]
    for kind, own in ((tuning.by_itself, tuning.start), (finder, weights)):
        if not finds_the_given(tuning.used_so(kind).model(own), samples):
            return spec
    console.print("it finds out the size of objects in each image, as before: here it is right")
    return finder
