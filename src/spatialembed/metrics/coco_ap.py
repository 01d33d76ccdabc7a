"""COCO's AP of masks, computed by faster-coco-eval (the numbers of pycocotools, sooner)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spatialembed.errors import missing_extra

MAX_FOUND = 100
"""Found objects an image that the official evaluation looks at, the highest scores first."""


def coco_ap(
    results: Sequence[Mapping[str, Any]],
    ground_truth: Mapping[str, Any],
    max_found: int = MAX_FOUND,
) -> dict[str, Any]:
    """Mask AP by COCO's rules; crowd regions are ignored as there.

    Args:
        results: COCO results, rows of ``{"image_id", "category_id", "segmentation": RLE,
            "score"}``. They have no "bbox", from which the library would take the area in place of
            the mask's.
        ground_truth: COCO annotations of run lengths, whose ids are not looked at; "area" may be
            missing. Images and categories have ids that are numbers. It is left unchanged.
        max_found: found objects of an image and class that are scored. Only at 100 is the figure
            COCO's; raise it where images hold more, as in microscopy.

    Returns:
        ``{"classes": {name: F}, "mean": F, "images": count, "max_found": int, "images_cut":
        count}``, the last of images that have more found objects of a class; where F is
        ``{"AP", "AP50", "AP75", "APs", "APm", "APl"}`` in percent: AP averaged over IoU .50 to
        .95, and of true objects below 32², to 96², and above 96² pixels. None where there is no
        such true object; the mean is over the classes that have some.

    Raises:
        UserError: the 'eval' extra is missing.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise missing_extra("COCO AP", "eval") from error
    # From 1 on: an object of id 0 would be 'no match'.
    objects = [{**each, "id": k} for k, each in enumerate(ground_truth["annotations"], 1)]
    truth = COCO({**ground_truth, "annotations": objects})
    _complete_areas(truth)
    found = [dict(row) for row in results]  # to which the library adds
    evaluation = COCOeval_faster(truth, truth.loadRes(found), "segm", print_function=_silent)
    evaluation.params.maxDets = [max_found]
    evaluation.evaluate()
    evaluation.accumulate()
    # (IoU threshold, recall, class, area range); -1 where there is no true object
    precision = np.asarray(evaluation.eval["precision"])[..., 0]
    order = list(evaluation.params.catIds)
    return {
        "classes": {
            each["name"]: _figures(precision[:, :, [order.index(each["id"])]])
            for each in ground_truth["categories"]
        },
        "mean": _figures(precision),
        "images": len(ground_truth["images"]),
        "max_found": max_found,
        "images_cut": _images_cut(results, max_found),
    }


def _silent(*_: object) -> None:
    """Stands in for the library's printing."""


def _figures(precision: np.ndarray[Any, np.dtype[Any]]) -> dict[str, float | None]:
    """``precision`` (T, R, K, 4) with T the IoU .50, .55, ..., .95; areas all, small, ..."""
    parts = {
        "AP": precision[..., 0],
        "AP50": precision[0, ..., 0],
        "AP75": precision[5, ..., 0],
        "APs": precision[..., 1],
        "APm": precision[..., 2],
        "APl": precision[..., 3],
    }
    known = {name: part[part > -1] for name, part in parts.items()}
    return {name: 100 * float(part.mean()) if part.size else None for name, part in known.items()}


def _images_cut(found: Sequence[Mapping[str, Any]], max_found: int) -> int:
    """Images of which some found objects are not looked at."""
    counts = Counter((row["image_id"], row["category_id"]) for row in found)
    return len({image for (image, _), count in counts.items() if count > max_found})


def _complete_areas(truth: Any) -> None:
    """Give objects without "area" the one of their mask: it decides small, medium and large."""
    from faster_coco_eval.core import mask

    for each in truth.anns.values():
        area = each.get("area")
        if isinstance(area, bool) or not isinstance(area, int | float) or not 0 <= area <= 1e10:
            each["area"] = float(mask.area(truth.annToRLE(each)))
