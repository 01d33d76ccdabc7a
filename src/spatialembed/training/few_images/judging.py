"""What a model finds in images with truth, for evidence.py to go by."""

from __future__ import annotations

from collections.abc import Sequence

from spatialembed.data.sample import Sample
from spatialembed.inference.predictor import Model
from spatialembed.training.few_images.evidence import Tally
from spatialembed.training.validation import Setting, matchings

Found = dict[Setting, list[Tally]]
"""Of each setting what is found with it, a tally an image."""


def found_by(
    model: Model,
    samples: Sequence[Sample],
    seeds: Sequence[float] = (),
    others: Sequence[tuple[float, int]] = (),
) -> Found:
    """What a model finds with each setting.

    Args:
        model: network and settings.
        samples: images with their truth.
        seeds: seed thresholds, increasing; the model's own if there is none.
        others: (foreground threshold, minimum size) pairs, likewise.
    """
    spec = model.spec
    seeds = seeds or [spec.seed_threshold]
    others = others or [(spec.foreground_threshold, spec.min_size)]
    found: Found = {}
    for sample in samples:
        output = model.raw(sample.image, sample.name)
        for other in others:
            each = matchings(model, sample, output, seeds, *other)
            for seed, matching in zip(seeds, each, strict=True):
                tally = Tally.of(matching, len(spec.class_names))
                found.setdefault(Setting(seed, *other), []).append(tally)
    return found


def joined(parts: Sequence[Found]) -> Found:
    """What was found in the images of several parts, one part after the other."""
    return {setting: [t for part in parts for t in part[setting]] for setting in parts[0]}
