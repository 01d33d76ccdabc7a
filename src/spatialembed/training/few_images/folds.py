"""Few images in two parts, of which one is learned from while the other judges.

Where there are several images each part has some of them. A single one is cut in halves: all
pixels are seen in both, but the truth of each is known in one of them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from spatialembed.data.sample import Sample

LEAST = 0.25
"""Share of all objects that a part of the images has at least; else each image is cut."""


@dataclass(frozen=True)
class Samples:
    """A data set of samples in memory."""

    samples: tuple[Sample, ...]
    class_names: tuple[str, ...]
    split: str = "train"

    @property
    def names(self) -> list[str]:
        return [sample.name for sample in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Sample:
        return self.samples[i]

    def files(self, i: int) -> tuple[Path, ...]:
        return (Path(self.samples[i].name),)


@dataclass(frozen=True)
class Fold:
    """What is learned from, and what judges; no pixel has its truth in both."""

    learned: tuple[Sample, ...]
    judged: tuple[Sample, ...]

    def thinned(self, count: int) -> Fold:
        """The fold with so many of the images that judge, evenly spaced; all if they are fewer."""
        n = len(self.judged)
        chosen = np.linspace(0, n - 1, min(count, n)).round().astype(int)
        return replace(self, judged=tuple(self.judged[i] for i in chosen))


def folds_of(samples: Sequence[Sample]) -> list[Fold]:
    """Two folds, in which the parts change their places; none where there is one object.

    Images without an object are dealt out like the others where there are several with one, and
    are else learned from in both folds.
    """
    counts = [_objects(sample) for sample in samples]
    if sum(counts) < 2:
        return []
    order = sorted(range(len(samples)), key=lambda i: (-counts[i], i))
    # Dealt like cards to and fro: the first to one part, the next two to the other, and so on.
    parts = [[i for place, i in enumerate(order) if (place + 1) // 2 % 2 == p] for p in (0, 1)]
    if min(sum(counts[i] for i in part) for part in parts) >= LEAST * sum(counts):
        one, other = ([samples[i] for i in sorted(part)] for part in parts)
        return [Fold(tuple(one), tuple(other)), Fold(tuple(other), tuple(one))]
    empty = [sample for sample, n in zip(samples, counts, strict=True) if not n]
    first, second = zip(
        *(halves(s) for s, n in zip(samples, counts, strict=True) if n), strict=True
    )
    return [Fold((*first, *empty), second), Fold((*second, *empty), first)]


def _objects(sample: Sample) -> int:
    return len(np.unique(sample.label_mask[sample.label_mask > 0]))


def halves(sample: Sample) -> tuple[Sample, Sample]:
    """An image twice, each with the truth of one half; the other half is to be ignored there.

    It is cut across its longer side, of a volume that of its planes, so that half of the objects
    lie to each side. An object on the cut belongs whole to the side of its center.
    """
    label_mask = sample.label_mask
    axis = label_mask.ndim - 2 + int(np.argmax(label_mask.shape[-2:]))
    ids = np.unique(label_mask[label_mask > 0])
    centers = np.array(ndimage.center_of_mass(label_mask > 0, label_mask, ids))[:, axis]
    order = np.argsort(centers, kind="stable")
    middle = len(ids) // 2
    cut = centers[order[[middle - 1, middle]]].mean() if len(ids) > 1 else centers.mean()
    place: np.ndarray = np.indices(label_mask.shape, sparse=True)[axis]
    second = np.broadcast_to(place > cut, label_mask.shape)
    second = np.where(label_mask > 0, np.isin(label_mask, ids[order[middle:]]), second)
    return known(sample, ~second), known(sample, second)


def known(sample: Sample, where: np.ndarray) -> Sample:
    """The same image with its truth where bool ``where`` says; elsewhere it is ignored."""
    return replace(
        sample,
        label_mask=np.where(where, sample.label_mask, np.int32(0)),
        class_map=np.where(where, sample.class_map, np.int16(-1)),
        ignore=sample.ignore | ~where,
    )
