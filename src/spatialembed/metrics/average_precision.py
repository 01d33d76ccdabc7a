"""Average precision as microscopy reports it, AP = TP / (TP + FP + FN) at each IoU threshold, and
panoptic quality, how many objects are found times how well (Kirillov et al., CVPR 2019, eq. 1).

Two conventions are in print and differ by several points, so both are always given: the mean over
images (EmbedSeg, Cellpose) and the counts pooled over the set (StarDist's default). An image with
neither true nor found objects scores 0, as in stardist.matching.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from spatialembed.errors import UserError
from spatialembed.metrics.matching import BoolArray, FloatArray, IntArray, Matching, match

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""IoU thresholds of the published tables."""

MEASURES = ("ap", "precision", "recall", "f1", "pq", "sq", "rq")


class Found(Protocol):
    """What is scored: an ``Instances``, or anything with its label map and classes."""

    @property
    def label_map(self) -> IntArray: ...
    @property
    def classes(self) -> IntArray: ...


Scored = tuple[Found | IntArray, IntArray, IntArray | None, BoolArray | None, str]
"""Found instances or a label map of class 0; label mask; class map; ignore; name of the image."""


@dataclass(frozen=True)
class Scores:
    """Counts at each threshold (last axis), for an image, a set, or stacked images.

    Attributes:
        tp, fp, fn: (..., T) matched pairs, found objects left over, true objects left over.
        iou_sum: (..., T) sum of the IoU of the matched pairs.
    """

    tp: IntArray
    fp: IntArray
    fn: IntArray
    iou_sum: FloatArray

    def __post_init__(self) -> None:
        if not self.tp.shape == self.fp.shape == self.fn.shape == self.iou_sum.shape:
            raise ValueError("tp, fp, fn and iou_sum must have one shape")

    @classmethod
    def of(cls, matching: Matching, thresholds: Sequence[float] = THRESHOLDS) -> Scores:
        """Scores of one image, arrays of shape (T,)."""
        rows = []
        for threshold in thresholds:
            _, found, iou = matching.pairs(threshold)
            spared = np.count_nonzero(matching.ignored) - np.count_nonzero(matching.ignored[found])
            over = matching.n_found - len(found) - spared
            whole = float(iou.sum(dtype=np.float64))
            rows.append((len(found), over, matching.n_true - len(found), whole))
        tp, fp, fn, iou_sum = np.array(rows, float).reshape(-1, 4).T
        return cls(tp.astype(np.int64), fp.astype(np.int64), fn.astype(np.int64), iou_sum)

    @classmethod
    def stack(cls, scores: Sequence[Scores]) -> Scores:
        """Scores of N images along a new first axis."""
        return cls(**{name: np.stack([vars(s)[name] for s in scores]) for name in vars(scores[0])})

    def pooled(self) -> Scores:
        """Counts summed over the first axis."""
        return Scores(**{name: count.sum(0) for name, count in vars(self).items()})

    @property
    def ap(self) -> FloatArray:
        """TP / (TP + FP + FN) in [0, 1] (Kaggle's DSB 2018; "accuracy" in stardist.matching)."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> FloatArray:
        """TP / (TP + FP)."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> FloatArray:
        """TP / (TP + FN)."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> FloatArray:
        """2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def pq(self) -> FloatArray:
        """Panoptic quality, SQ times RQ: sum of IoU / (TP + FP/2 + FN/2)."""
        return _ratio(2 * self.iou_sum, 2 * self.tp + self.fp + self.fn)

    @property
    def sq(self) -> FloatArray:
        """Segmentation quality, the mean IoU of matched objects."""
        return _ratio(self.iou_sum, self.tp)

    @property
    def rq(self) -> FloatArray:
        """Recognition quality, another name of F1."""
        return self.f1


def _ratio(part: FloatArray | IntArray, whole: IntArray) -> FloatArray:
    """``part / whole``, and 0 where ``whole`` is 0, which is stardist.matching's convention."""
    out: FloatArray = np.zeros(np.broadcast(part, whole).shape)
    return np.divide(part, whole, out=out, where=whole > 0)


def score_images(
    pairs: Iterable[Scored],
    class_names: Sequence[str] = ("object",),
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, Any]:
    """Scores of a set of images, ready for JSON; all figures in [0, 1].

    ``pairs`` is read once, so it may predict as it goes. With one class, the mean is over all
    images, empty ones scoring 0, which equals stardist.matching. With several, a class's mean is
    over the images where it is, in truth or found: most images lack most classes.

    Returns:
        ``{"thresholds": [T], "classes": {name: C}, "mean": {...}, "images": [I]}`` where C is
        ``{"mean_over_images": M, "pooled": M, "standard_error": [T] of the first M's AP, "seg":
        float mean over all true objects (see :attr:`Matching.seg`), "objects": int, "found": int,
        "images": int averaged over}``; M is ``{"ap": [T], "ap_mean": float, "precision", "recall",
        "f1", "pq", "sq", "rq": [T] each}``; "mean" holds the two M averaged over the classes that
        have objects; I is ``{"name", "ap50" (at the
        first threshold), "ap" (mean over thresholds), "n_true", "n_found"}`` over all classes, in
        the order given.

    Raises:
        UserError: no image, or arrays that do not fit each other; names the image.
    """
    thresholds = tuple(float(t) for t in thresholds)
    if not thresholds or not all(0 < t <= 1 for t in thresholds):
        raise UserError(f"IoU thresholds lie above 0 and up to 1, not {list(thresholds)}")
    by_class: list[list[Scores]] = [[] for _ in class_names]
    seg: list[list[FloatArray]] = [[] for _ in class_names]
    images = []
    for pair in pairs:
        matching = _match(pair, len(class_names))
        of_classes = [matching.of_class(k) for k in range(len(class_names))]
        scores = [Scores.of(one, thresholds) for one in of_classes]
        for k, one in enumerate(of_classes):
            by_class[k].append(scores[k])
            seg[k].append(one.seg)
        ap = Scores.stack(scores).pooled().ap
        counts = {"n_true": matching.n_true, "n_found": matching.n_found}
        images.append({"name": pair[-1], "ap50": float(ap[0]), "ap": float(ap.mean()), **counts})
    if not images:
        raise UserError("there is no image to score; give at least one with its truth")
    classes = {
        name: _class_scores(Scores.stack(by_class[k]), skip_empty=len(class_names) > 1)
        | {"seg": _mean(np.concatenate(seg[k]))}
        for k, name in enumerate(class_names)
    }
    return {
        "thresholds": list(thresholds),
        "classes": classes,
        "mean": {
            way: _mean_over_classes([c[way] for c in classes.values() if c["objects"]], thresholds)
            for way in ("mean_over_images", "pooled")
        },
        "images": images,
    }


def worst_first(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """The "images" of :func:`score_images`, lowest AP first; correctly empty ones come last."""
    return sorted(
        scores["images"],
        key=lambda image: (not image["n_true"] and not image["n_found"], image["ap"]),
    )


def _match(pair: Scored, n_classes: int) -> Matching:
    found, *truth, name = pair
    try:
        arrays: list[Any] = [None if one is None else np.asarray(one) for one in truth]
        label_mask, class_map, ignore = arrays
        label_map, classes = np.asarray(getattr(found, "label_map", found)), None
        if hasattr(found, "classes"):
            classes = np.asarray(found.classes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"cannot score {name}: it is no array ({error})") from error
    try:
        matching = match(label_map, label_mask, ignore, classes, class_map)
    except UserError as error:
        raise UserError(f"cannot score {name}: {error}") from error
    for what, indices in (
        ("the truth", matching.true_classes),
        ("what was found", matching.found_classes),
    ):
        if len(indices) and not 0 <= indices.min() <= indices.max() < n_classes:
            raise UserError(
                f"cannot score {name}: {what} has classes {indices.min()} to {indices.max()} but "
                f"{n_classes} are named; name them all"
            )
    return matching


def _class_scores(scores: Scores, skip_empty: bool) -> dict[str, Any]:
    """``scores`` is stacked, (N, T)."""
    objects, found = (scores.tp + scores.fn)[:, 0], (scores.tp + scores.fp)[:, 0]
    pooled = scores.pooled()
    here = (objects + found > 0) | (not skip_empty)
    n = int(here.sum())
    zero = np.zeros(scores.tp.shape[1])
    error = scores.ap[here].std(0, ddof=1) / np.sqrt(n) if n > 1 else zero
    return {
        "mean_over_images": _measures(
            {m: getattr(scores, m)[here].mean(0) if n else zero for m in MEASURES}
        ),
        "pooled": _measures({m: getattr(pooled, m) for m in MEASURES}),
        "standard_error": error.tolist(),
        "objects": int(objects.sum()),
        "found": int(found.sum()),
        "images": n,
    }


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _measures(values: dict[str, FloatArray]) -> dict[str, Any]:
    lists = {name: [float(v) for v in value] for name, value in values.items()}
    return {"ap": lists.pop("ap"), "ap_mean": float(values["ap"].mean()), **lists}


def _mean_over_classes(
    measures: list[dict[str, Any]], thresholds: Sequence[float]
) -> dict[str, Any]:
    return _measures(
        {
            m: np.mean([c[m] for c in measures], axis=0) if measures else np.zeros(len(thresholds))
            for m in MEASURES
        }
    )
