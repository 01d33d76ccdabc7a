"""What single objects say of a model: precision over recall, and which sizes it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spatialembed.instances import Instances
from spatialembed.metrics.matching import BoolArray, IntArray, match

THRESHOLD = 0.5
"""IoU."""
POINTS = 200
"""Points that a curve of precision over recall is thinned to."""


class ObjectRecord:
    """Scores and sizes of the objects of a set of images, gathered one image after the other.

    A found object is right where it is paired with a true one of its class at :data:`THRESHOLD`.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        self._ranked: list[list[npt.NDArray[Any]]] = [[] for _ in class_names]
        self._truth = [0] * len(class_names)
        self._sizes: dict[str, list[IntArray]] = {"true": [], "matched": [], "found": []}

    def add(
        self,
        ranked: Instances,
        found: Instances,
        label_mask: IntArray,
        class_map: IntArray | None = None,
        ignore: BoolArray | None = None,
    ) -> None:
        """Take an image.

        Args:
            ranked: instances down to low scores, for the curve.
            found: instances at the model's thresholds, for the sizes.
            label_mask, class_map, ignore: (H, W) truth as :func:`match` takes it.
        """
        whole = match(ranked.label_map, label_mask, ignore, ranked.classes, class_map)
        for k, rows in enumerate(self._ranked):
            matching = whole.of_class(k)
            hit = np.zeros(matching.n_found, bool)
            hit[matching.pairs(THRESHOLD).found] = True
            counts = hit | ~matching.ignored
            score = ranked.scores[matching.found_labels - 1]
            rows.append(np.stack([score[counts], hit[counts].astype(np.float32)]))
            self._truth[k] += matching.n_true
        whole = match(found.label_map, label_mask, ignore, found.classes, class_map)
        for k in range(len(self.class_names)):
            matching = whole.of_class(k)
            matched = matching.pairs(THRESHOLD).true
            self._sizes["true"].append(matching.true_areas)
            self._sizes["matched"].append(matching.true_areas[matched])
        self._sizes["found"].append(whole.found_areas[~whole.ignored])

    def summary(self) -> dict[str, Any]:
        """Curves and histogram, ready for JSON.

        Returns:
            ``{"threshold": IoU, "precision_recall": {class: {"score", "precision", "recall"}},
            "sizes": {"edges": [B + 1] pixels, "true", "matched", "found": [B]}}``. A point of the
            curve is what a model that keeps scores of at least "score" would have, lists from
            the highest score down; classes without true objects have none.
        """
        curves = {
            name: _curve(np.concatenate(rows, axis=1), truth)
            for name, rows, truth in zip(self.class_names, self._ranked, self._truth, strict=True)
            if truth and rows
        }
        return {
            "threshold": THRESHOLD,
            "precision_recall": curves,
            "sizes": _histogram({k: np.concatenate(v) for k, v in self._sizes.items() if v}),
        }


def _curve(ranked: npt.NDArray[Any], truth: int) -> dict[str, list[float]]:
    score, hit = ranked[:, np.argsort(-ranked[0], kind="stable")]
    right, count = np.cumsum(hit), np.arange(1, len(hit) + 1)
    last = np.flatnonzero(np.append(np.diff(score) != 0, True)) if len(score) else count[:0]
    if len(last) > POINTS:
        last = last[np.linspace(0, len(last) - 1, POINTS).round().astype(int)]
    return {
        "score": score[last].astype(float).tolist(),
        "precision": (right[last] / count[last]).tolist(),
        "recall": (right[last] / truth).tolist(),
    }


def _histogram(sizes: dict[str, npt.NDArray[Any]]) -> dict[str, list[int]]:
    """Counts between powers of two, from the smallest object to the largest."""
    every = np.concatenate([*sizes.values()]) if sizes else np.zeros(0)
    if not len(every):
        return {"edges": [], **{name: [] for name in ("true", "matched", "found")}}
    low, high = int(np.log2(every.min())), int(np.log2(every.max())) + 1
    edges = 2 ** np.arange(low, high + 1)
    counts = {name: np.histogram(values, edges)[0].tolist() for name, values in sizes.items()}
    return {"edges": edges.tolist(), **counts}
