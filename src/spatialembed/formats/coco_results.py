"""COCO results: an entry an instance, masks as compressed run lengths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from spatialembed.errors import UserError
from spatialembed.files.described import fitting, read_json
from spatialembed.formats.limits import class_ids, image_size
from spatialembed.instances import Instances

PART = {
    **{"height": int, "width": int, "suffix": str},
    **{"categories": dict[str, Any], "rows": list[dict[str, Any]]},
}
"""What is kept of an image until the entries of all are put into one file."""

LARGEST_PART = 2_000_000_000
"""Bytes of that."""


def coco_results(
    instances: Instances, image_id: int, category_ids: Mapping[str, int]
) -> list[dict[str, Any]]:
    """One image's instances as entries of a COCO results file, masks as compressed RLE.

    They have no "bbox": evaluators that see one take the area of an object from it, and score the
    small, medium and large ones by the areas of boxes.

    Args:
        image_id: id of the image in the ground truth.
        category_ids: COCO category id of every class name.

    Returns:
        Dicts with image_id, category_id, score and segmentation, of plain types that ``json``
        writes.

    Raises:
        ValueError: a class without a category id, a volume, or a label map that was changed.
    """
    size = image_size(instances.label_map)
    instances.require_unchanged()
    return [
        {
            "image_id": image_id,
            "category_id": category,
            "score": float(instances.scores[k]),
            "segmentation": compressed_rle(instances.mask(k), instances.boxes[k, :2], size),
        }
        for k, category in enumerate(class_ids(instances, category_ids))
    ]


def compressed_rle(mask: np.ndarray, corner: Any, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed RLE of a mask, as pycocotools writes it: "size" and "counts", text.

    Args:
        mask: (h, w) bool, a window of the image.
        corner: y, x of the window's upper left corner in the image.
        size: height, width of the image.
    """
    (height, width), (y, x) = size, map(int, corner)
    # Only the columns that the mask is in: pycocotools encodes masks of whole images alone, which
    # takes 20 times as long (21 s against 1 s) for 10,000 objects in 2000 x 2000 pixels.
    strip = np.zeros((height, mask.shape[1]), bool)
    strip[y : y + len(mask)] = mask
    edges = np.flatnonzero(np.diff(strip.ravel("F"), prepend=False, append=False)) + x * height
    counts = np.diff(edges, prepend=0, append=height * width).tolist()
    if len(counts) > 1 and not counts[-1]:  # an object in the last pixel: no background follows
        counts.pop()
    coded = coco.frPyObjects({"size": list(size), "counts": counts}, height, width)
    return {"size": list(size), "counts": coded["counts"].decode("ascii")}


def image_part(found: Instances, suffix: str = "") -> dict[str, Any]:
    """What is kept of one image, of :data:`PART`: its entries by class numbers of their own, and
    how its file's name ends."""
    height, width = image_size(found.label_map)
    ids = {kind: index + 1 for index, kind in enumerate(found.class_names)}
    rows = coco_results(found, 0, ids)
    size = {"height": height, "width": width, "suffix": suffix}
    return {**size, "categories": ids, "rows": rows}


def read_part(path: Path) -> dict[str, Any]:
    """What :func:`image_part` gave, of its file.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    remedy = "remove it and run the same command again"
    content = read_json(path, remedy, LARGEST_PART)
    try:
        content = {"suffix": "", **content}  # which earlier versions did not keep
        for name, hint in PART.items():
            fitting(hint, content[name], name, str(path))
        known = set(content["categories"].values())
        needed = {"image_id", "score", "segmentation"}
        if not all(row["category_id"] in known and needed <= row.keys() for row in content["rows"]):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not hold an image's COCO results; {remedy}") from error
    return content
