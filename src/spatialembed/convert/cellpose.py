"""Cellpose: x_seg.npy beside x.png, as its window saves it; written as x_cp_masks.tif.

Of an image without x_seg.npy x_cp_masks is read, as only images that are opened get one. The file
is a pickle, whose array of masks is taken and of which nothing is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from spatialembed.convert.images import copy_image
from spatialembed.convert.label_folders import label_objects
from spatialembed.convert.numpy_pickle import read_pickled
from spatialembed.convert.picture import OBJECT, Picture, class_names, overlap, painted, placed
from spatialembed.convert.source import Source
from spatialembed.data.data_set import unequal
from spatialembed.data.images.reading import read_mask
from spatialembed.errors import UserError
from spatialembed.formats.label_images import save_label_tiff

ENDING = "_seg.npy"
WRITTEN = "_cp_masks"
REMEDY = "save it anew in Cellpose's window (Ctrl+S)"


def recognize(source: Source) -> bool:
    """Whether there are files of Cellpose's window."""
    return bool(source.ending(ENDING))


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all x_seg.npy, and of x_cp_masks where there is none.

    Raises:
        UserError: the file or its image cannot be read, is missing, of another size or a stack.
    """
    segs = source.ending(ENDING)
    for file in segs:
        yield _picture(source, file, file.name[: -len(ENDING)], _masks(file))
    opened = {file.with_name(file.name[: -len(ENDING)]) for file in segs}
    for file in source.images:
        if file.stem.endswith(WRITTEN):
            name = file.stem.removesuffix(WRITTEN)
            if file.with_name(name) in opened:
                source.notes.add(f"masks beside a x{ENDING}, which is read: left out", file)
            else:
                yield _picture(source, file, name, read_mask(file))


def _masks(file: Path) -> np.ndarray:
    held = read_pickled(file, REMEDY)
    masks = held.get("masks") if isinstance(held, dict) else None
    if (
        not isinstance(masks, np.ndarray)
        or masks.dtype.kind not in "ui"
        or masks.min(initial=0) < 0
    ):
        raise UserError(f"{file} has no masks; {REMEDY}")
    masks = masks[0] if masks.ndim == 3 and len(masks) == 1 else masks
    if masks.ndim != 2:
        raise UserError(
            f"{file} has masks of {masks.ndim} axes, and images alone are converted: save its "
            "planes as images"
        )
    return masks


def _picture(source: Source, file: Path, name: str, masks: np.ndarray) -> Picture:
    image = source.beside(file, name)
    if image is None:
        raise UserError(f"{file} has no image; put {name}.png (or .tif) beside it")
    if (size := source.size(image, file)) != masks.shape:
        raise UserError(unequal(image, size, file, masks.shape))
    objects = [(OBJECT, mask) for _, mask in label_objects(masks)]
    return Picture(image, source.name(image), source.split(file), size, objects, [])


def write(out: Path, pictures: Sequence[Picture], source: Source) -> str:
    """x_cp_masks.tif beside x; Cellpose has one class, no overlap and no ignored regions.

    Returns:
        What to do with it.
    """
    if len(names := class_names(pictures)) > 1:
        source.notes.add("classes, of which Cellpose has one: joined", names[0], len(names))
    for each in placed(pictures, splits=False):
        copy_image(each, out)
        masks = [mask for _, mask in each.picture.objects]
        label_map = painted(masks, each.picture.size)
        path = (out / each.file).with_name(f"{each.name}_cp_masks.tif")
        save_label_tiff(path, label_map)
        if overlap(each.picture):
            source.notes.add("images with objects that overlap: the smaller is seen", each.file)
        if each.picture.ignored:
            source.notes.add("images with ignored regions, which Cellpose has not", each.file)
    return "in Cellpose's window open an image, then File > Load masks"
