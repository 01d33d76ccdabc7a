"""COCO outlines whose corners are centers of pixels, where COCO's own are corners of pixels.

OpenCV draws so around masks. Such outlines look like any others, but for the area beside them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spatialembed.data.annotations.coco_json import Annotation
from spatialembed.data.annotations.masks import CORNERS


def runs_through_centers(annotation: Annotation) -> bool:
    """Whether the area stated is how many pixels have their center in or on the outline.

    By Pick's theorem an outline with corners on a grid has its area, half of the grid's points on
    it, and one of them in or on it. Those of COCO's own way state about their area alone. Outlines
    of several parts, and of corners between the grid's, say nothing: False.
    """
    polygons = annotation.outline
    if not (_is_number(annotation.area) and isinstance(polygons, list) and len(polygons) == 1):
        return False
    [outline] = polygons
    if not isinstance(outline, list) or not all(map(_is_number, outline)):
        return False
    corners = np.array(outline, dtype=float)
    if len(corners) < 2 * CORNERS or len(corners) % 2 or (corners != corners.round()).any():
        return False
    x, y = corners.reshape(-1, 2).T
    along_x, along_y = np.roll(x, -1) - x, np.roll(y, -1) - y
    inside = abs(float(x @ along_y - y @ along_x)) / 2
    steps = (math.gcd(int(a), int(b)) for a, b in zip(along_x, along_y, strict=True))
    return inside > 0 and abs(inside + sum(steps) / 2 + 1 - annotation.area) < 0.5


def _is_number(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and math.isfinite(value) and abs(value) < 2**31
