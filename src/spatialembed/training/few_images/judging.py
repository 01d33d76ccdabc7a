"""What a model finds in images with truth, for evidence.py to go by."""

from __future__ import annotations

from collections.abc import Sequence

from spatialembed.data.sample import Sample
from spatialembed.inference.predictor import Model
from spatialembed.training.few_images.evidence import Tally
from spatialembed.training.few_images.folds import Fold
from spatialembed.training.few_images.mixture import Weights, mixed
from spatialembed.training.few_images.tuning import Tuning
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


def judged(
    tuning: Tuning,
    folds: Sequence[Fold],
    trained: Sequence[Weights],
    share: float = 1.0,
    seeds: Sequence[float] = (),
    others: Sequence[tuple[float, int]] = (),
) -> Found:
    """What mixtures find in the images that they did not learn from, all folds' one by one.

    Args:
        tuning: the start.
        folds: what was learned from, and what judges.
        trained: weights from each fold.
        share: of these in the mixture.
        seeds: seed thresholds, increasing; all that are tried if none is given.
        others: (foreground threshold, minimum size) pairs; the start's own likewise.
    """
    parts = [
        found_by(
            tuning.model(mixed(tuning.start, w, share)), f.judged, seeds or tuning.seeds, others
        )
        for f, w in zip(folds, trained, strict=True)
    ]
    return {setting: [t for part in parts for t in part[setting]] for setting in parts[0]}
