"""Panoptic quality: how many objects are found times how well (Kirillov et al., CVPR 2019, eq. 1).

PQ = SQ · RQ, with the segmentation quality SQ the mean IoU of matched objects and the recognition
quality RQ their F1. Arrays in, arrays out: counts of any shape, per threshold, image or set.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def segmentation_quality(tp: Array, iou_sum: Array) -> Array:
    """SQ, the mean IoU of matched objects in [0, 1]; 0 where nothing matches.

    Args:
        tp: number of matched objects.
        iou_sum: sum of their IoU.
    """
    return ratio(iou_sum, tp)


def recognition_quality(tp: Array, fp: Array, fn: Array) -> Array:
    """RQ = TP / (TP + FP/2 + FN/2) in [0, 1], the F1 score; 0 where nothing matches."""
    return ratio(2 * tp, 2 * tp + fp + fn)


def panoptic_quality(tp: Array, fp: Array, fn: Array, iou_sum: Array) -> Array:
    """PQ = sum of IoU / (TP + FP/2 + FN/2) in [0, 1]; 0 where nothing matches."""
    return ratio(2 * iou_sum, 2 * tp + fp + fn)


def ratio(part: Array, whole: Array) -> Array:
    """``part / whole``, and 0 where ``whole`` is 0, which is stardist.matching's convention."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    out: Array = np.zeros(np.broadcast(part, whole).shape)
    np.divide(part, whole, out=out, where=whole > 0)
    return out
