"""Instances as files others read: label images, Cityscapes submissions, COCO results.

Scores are written as ``repr`` gives them, so that ranking by score survives the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from pycocotools import mask as coco

from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write
from spatialembed.instances import Instances


def save_label_tiff(path: str | Path, label_map: np.ndarray) -> None:
    """Write an integer label map (*spatial) as a TIFF of the smallest unsigned type that fits.

    Raises:
        UserError: the file cannot be written.
        ValueError: labels that are not integers, negative, or above 4,294,967,295.
    """
    labels = label_map.astype(_unsigned(label_map))
    with atomic_write(path) as temporary:
        tifffile.imwrite(temporary, labels, photometric="minisblack", compression="zlib")


def save_label_png(path: str | Path, label_map: np.ndarray) -> None:
    """Write an integer label map (H, W) as a 16-bit PNG.

    Raises:
        UserError: more than 65,535 labels, or the file cannot be written.
        ValueError: labels that are not integers or negative, or not an image.
    """
    _image_size(label_map)
    if np.dtype(_unsigned(label_map)).itemsize > 2:
        raise UserError(
            f"{path} cannot hold label {label_map.max()}: a PNG stops at 65535; write a TIFF"
        )
    with atomic_write(path) as temporary:
        Image.fromarray(label_map.astype(np.uint16)).save(temporary, format="PNG")


def write_cityscapes_results(
    folder: str | Path, stem: str, instances: Instances, label_ids: Mapping[str, int]
) -> Path:
    """Write one image's instances in the Cityscapes instance-level submission format.

    ``folder/stem.txt`` has a line "mask labelId score" for each instance; masks are 8-bit PNGs of
    the whole image, 0 or 255, in ``folder/masks``. The text file comes last: where it exists, its
    masks do. Masks of more instances than there are now are removed.

    Args:
        stem: name of the image up to ``_leftImg8bit``, by which the official script finds it.
        label_ids: Cityscapes labelId of every class name.

    Returns:
        The text file.

    Raises:
        UserError: a stem with white space, which the format cannot hold, or a failed write.
        ValueError: a class without a labelId, or a volume.
    """
    _image_size(instances.label_map)
    if len(stem.split()) != 1:
        raise UserError(
            f"Cityscapes results cannot hold the name {stem!r}: rename it without spaces"
        )
    ids = _ids(instances, label_ids)
    folder = Path(folder)
    lines = []
    for k in range(len(instances)):
        mask = np.zeros(instances.label_map.shape, np.uint8)
        mask[instances.window(k)][instances.mask(k)] = 255
        name = f"masks/{stem}_{k}.png"
        with atomic_write(folder / name) as temporary:
            Image.fromarray(mask).save(temporary, format="PNG", compress_level=1)
        lines.append(f"{name} {ids[k]} {float(instances.scores[k])!r}\n")
    with atomic_write(folder / f"{stem}.txt") as temporary:
        temporary.write_text("".join(lines))
    former = (folder / f"masks/{stem}_{k}.png" for k in count(len(instances)))
    for path in takewhile(Path.exists, former):
        path.unlink()
    return folder / f"{stem}.txt"


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
        ValueError: a class without a category id, or a volume.
    """
    height, width = _image_size(instances.label_map)
    ids = _ids(instances, category_ids)
    entries = []
    for k in range(len(instances)):
        y0, x0, _, _ = instances.boxes[k].tolist()
        counts = rle_counts(instances.mask(k), (y0, x0), (height, width))
        entries.append(
            {
                "image_id": image_id,
                "category_id": ids[k],
                "score": float(instances.scores[k]),
                "segmentation": {"size": [height, width], "counts": compress(counts)},
            }
        )
    return entries


def rle_counts(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Run lengths of a mask, column by column, background first: COCO's uncompressed RLE.

    Args:
        mask: (h, w) bool, a window of the image.
        corner: y, x of the window's upper left corner in the image.
        size: height, width of the image.

    Returns:
        (R,) int64 run lengths that sum to the number of pixels of the image.
    """
    height, width = size
    column, row = np.nonzero(mask.T)
    pixel = (column + corner[1]) * height + row + corner[0]
    if len(pixel) == 0:
        return np.array([height * width], np.int64)
    first = np.flatnonzero(np.diff(pixel, prepend=-2) != 1)
    starts, ends = pixel[first], pixel[np.append(first[1:], len(pixel)) - 1] + 1
    edges = np.stack([starts, ends], axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=height * width)
    return counts if counts[-1] else counts[:-1]


def compress(counts: np.ndarray) -> str:
    """COCO's compressed RLE of run lengths (R,), as pycocotools writes it."""
    size = [int(counts.sum()), 1]
    coded = coco.frPyObjects({"size": size, "counts": counts.tolist()}, *size)
    return str(coded["counts"].decode("ascii"))


def _unsigned(label_map: np.ndarray) -> type[np.unsignedinteger[Any]]:
    """The smallest unsigned type that holds every label."""
    if label_map.dtype.kind not in "ui":
        raise ValueError(f"labels are integers, not {label_map.dtype}")
    lowest, highest = (label_map.min(), label_map.max()) if label_map.size else (0, 0)
    if lowest < 0 or highest > np.iinfo(np.uint32).max:
        raise ValueError(f"labels run from {lowest} to {highest}; a file holds 0 to 4294967295")
    types: tuple[type[np.unsignedinteger[Any]], ...] = (np.uint8, np.uint16, np.uint32)
    return next(t for t in types if highest <= np.iinfo(t).max)


def _image_size(label_map: np.ndarray) -> tuple[int, int]:
    if label_map.ndim != 2:
        raise ValueError(f"this format holds images, not {label_map.ndim} axes; write a TIFF")
    return label_map.shape[0], label_map.shape[1]


def _ids(instances: Instances, ids: Mapping[str, int]) -> list[int]:
    """Foreign id of each instance's class."""
    names = [instances.class_names[k] for k in instances.classes]
    missing = sorted(set(names) - set(ids))
    if missing:
        raise ValueError(f"no id was given for class {', '.join(missing)}, only for {sorted(ids)}")
    return [int(ids[name]) for name in names]
