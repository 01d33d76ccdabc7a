"""A volume on one sheet: three cuts through it, and the whole of it seen along z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.pictures.colors import RGB, to_rgb
from spatialembed.pictures.overlays import (
    first_along_z,
    judge,
    judged,
    parted,
    verdict_key,
)
from spatialembed.pictures.panels import PAPER, Tile, panel
from spatialembed.pictures.planes import (
    Plane,
    across,
    fullest,
    proportions,
    stretched,
    volume_rgb,
)

WIDE = 640
"""Pixels across that a cut is enlarged to about."""

LEAST = 480
"""Pixels across that titles need."""

LINE = 2
"""Pixels of an outline."""

MARK = (240, 240, 240)


def cuts(
    image: NDArray[Any],
    label_map: NDArray[Any],
    label_mask: NDArray[Any],
    spacing: Sequence[float] | None = None,
) -> RGB:
    """Found against truth in the fullest plane of a volume, across it along x and along y, and in
    all of it seen along z; all at one scale and in true proportions.

    Marks at the edges of a cut show where the others go through it. Seen along z, of what was hit,
    of what was missed and of what was found beside, that is outlined which is met first.

    Args:
        image: (Z, H, W, C).
        label_map: (Z, H, W) integer, found objects.
        label_mask: (Z, H, W) integer, the truth.
        spacing: micrometres between voxels along (z, y, x), or their proportions; None for cubes.
    """
    labels = label_mask if label_mask.any() else label_map
    planes = [fullest(labels, axis) for axis in range(3)]
    verdict, rgb, ratios = judge(label_map, label_mask), volume_rgb(image), proportions(spacing)
    deep, high, broad = (n * ratio for n, ratio in zip(label_map.shape, ratios, strict=True))
    wide = max(deep / 2, high, broad)  # of a deep volume less, or its cuts would be long
    enlarged = [ratio * max(1, round(WIDE / wide)) for ratio in ratios]

    def drawn(plane: Plane) -> RGB:
        how = across(enlarged, plane.axis)
        seen, found, true = (stretched(plane.of(e), how) for e in (rgb, label_map, label_mask))
        compared = judged(seen, *parted(found, true, verdict), LINE)
        return _marked(compared, plane, planes, enlarged)

    whole = map(first_along_z, parted(label_map, label_mask, verdict))
    hit, missed, extra = (stretched(each, across(enlarged, 0)) for each in whole)
    seen = stretched(to_rgb(image.max(0)), across(enlarged, 0))
    along = judged(seen, hit, missed, extra, LINE, fill=0)
    z, y, x = planes
    tiles = [
        Tile(f"plane {z} (0 to {len(image) - 1})", drawn(z), verdict_key(verdict)),
        Tile("all planes, brightest along z", along),
        Tile(f"cut at {y}: z down, x to the right", drawn(y)),
        Tile(f"cut at {x}: z down, y to the right", drawn(x)),
    ]
    width = max(LEAST, *(tile.rgb.shape[1] for tile in tiles))
    return panel([t._replace(rgb=_padded(t.rgb, width)) for t in tiles], 2, min(width, 2 * WIDE))


def _marked(rgb: RGB, plane: Plane, planes: Sequence[Plane], enlarged: Sequence[float]) -> RGB:
    """A picture of a plane with marks at its edges where the others cut it."""
    marked = rgb.copy()
    others = [other for other in planes if other.axis != plane.axis]
    for axis, other in enumerate(others):
        lines = np.moveaxis(marked, axis, 0)  # a view
        middle = min(int((other.at + 0.5) * enlarged[other.axis]), len(lines) - 1)
        length = max(4, lines.shape[1] // 40)
        lines[max(0, middle - 1) : middle + 1, :length] = MARK
        lines[max(0, middle - 1) : middle + 1, -length:] = MARK
    return marked


def _padded(rgb: RGB, width: int) -> RGB:
    """A picture with paper at its right, so that all have one scale."""
    sheet = np.full((len(rgb), width, 3), PAPER, np.uint8)
    sheet[:, : rgb.shape[1]] = rgb
    return sheet
