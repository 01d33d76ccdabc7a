"""Label folders and Cityscapes, as training reads them; label folders are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from glob import escape
from pathlib import Path

import numpy as np
from scipy.ndimage import find_objects

from spatialembed.convert.images import copy_image
from spatialembed.convert.picture import OBJECT, Picture, painted, placed
from spatialembed.convert.source import Source
from spatialembed.data.annotations.masks import Rle
from spatialembed.data.data_set import SPLITS, unequal
from spatialembed.data.images.reading import is_stack, read_mask
from spatialembed.data.layouts import cityscapes, label_folder
from spatialembed.data.layouts.splits import split_of
from spatialembed.data.open import refuse, scan_data
from spatialembed.data.targets import Targets
from spatialembed.errors import UserError
from spatialembed.files.sources import classes_in, image_of, require_sources
from spatialembed.formats.coco_results import compressed_rle
from spatialembed.formats.label_images import save_label_tiff

_SILENT = "label TIFFs that do not say of which image they are: taken for those of the same name"


def label_objects(label_mask: np.ndarray) -> list[tuple[int, Rle]]:
    """The id and the pixels of every object of a label mask (H, W)."""
    height, width = label_mask.shape
    ids, inverse = np.unique(label_mask, return_inverse=True)
    numbers = inverse.reshape(height, width) + int(len(ids) > 0 and ids[0] != 0)
    ids = ids[ids != 0]
    found = []
    for number, window in enumerate(find_objects(numbers), 1):
        corner = [side.start for side in window]
        rle = compressed_rle(numbers[window] == number, corner, (height, width))
        found.append((int(ids[number - 1]), rle))
    return found


def recognize(source: Source) -> bool:
    """Whether it is a folder that training reads."""
    return cityscapes.recognize(source.root) or label_folder.recognize(source.root)


def read(source: Source) -> Iterator[Picture]:
    """The pictures of all splits.

    Raises:
        UserError: what training refuses, volumes, or masks of several targets.
    """
    root = source.root
    below = [*root.iterdir(), *(root / "leftImg8bit").glob("*")]
    held = {split_of(each.name) for each in below if each.is_dir()} - {None} or {"train"}
    for split in (split for split in SPLITS if split in held):
        data = scan_data(root, split, holdout=0)
        refuse(data.problems, root)
        if data.dims == 3:
            raise UserError(
                f"{root} holds volumes, and the tools hold images: convert its planes, stored as "
                "images with masks"
            )
        if isinstance(data, Targets):
            raise UserError(
                f"{root} has masks of several targets, each a folder of masks: move those of one "
                "to a data set of their own, and convert that"
            )
        for i, (name, image, truth, _) in enumerate(data.items):
            mask, classes, unknown = data.truth(i)
            if (size := source.size(image, truth)) != mask.shape:
                raise UserError(unequal(image, size, truth, mask.shape))
            rows = label_objects(mask)
            kinds = {int(label): int(kind) for label, kind in _pairs(mask, classes)}
            objects = [(data.class_names[kinds[label]], rle) for label, rle in rows]
            ignored = [(data.class_names[0], rle) for _, rle in label_objects(unknown)]
            yield Picture(image, name, split, size, objects, ignored)


def _pairs(mask: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(N, 2) label and class of every object."""
    on = mask > 0
    return np.unique(np.stack([mask[on], classes[on].astype(np.int32)], axis=1), axis=0)


def read_found(source: Source, found: Path) -> Iterator[Picture]:
    """The images of a folder with the label TIFFs that ``predict`` wrote for them.

    Raises:
        UserError: there is none for any image, or one is of a volume, of another image or size.
    """
    there = [(image, found / f"{source.name(image)}.tif") for image in source.images]
    there = [(image, file) for image, file in there if file.is_file()]
    if not there:
        _refuse_targets(source, found)
        raise UserError(
            f"{found} has no x.tif for an image x of {source.root}; give the folder that predict "
            "wrote for these images"
        )
    require_sources(
        ((file, image) for image, file in there),
        "give the images that were predicted, or predict these into a folder of their own",
    )
    if left := len(source.images) - len(there):
        source.notes.add(f"images without results in {found}: left out", source.root, left)
    for image, file in there:
        if is_stack(file):
            raise UserError(
                f"{file} holds what was found in a volume, and the tools hold images: correct it "
                "in napari, whose plug-in trains on it, too"
            )
        if image_of(file) is None:
            source.notes.add(_SILENT, file)
        mask = read_mask(file)
        if (size := source.size(image, file)) != mask.shape:
            raise UserError(unequal(image, size, file, mask.shape))
        objects = _of_classes(label_objects(mask), file)
        yield Picture(image, source.name(image), source.split(image), size, objects, [])


def _refuse_targets(source: Source, found: Path) -> None:
    """Refuse what predict writes of several targets: of an image x files x_TARGET.tif."""
    names = map(source.name, source.images)
    each = {file: name for name in names for file in found.glob(f"{escape(name)}_*.tif")}
    for file, name in sorted(each.items())[:1]:
        raise UserError(
            f"{found} holds results of several targets, as {file.name}, and a tool takes those of "
            f"one: copy them into a folder of their own, {file.name} as {Path(name).name}.tif"
        )


def _of_classes(rows: list[tuple[int, Rle]], file: Path) -> list[tuple[str, Rle]]:
    """Objects with the classes that a label TIFF says its labels are of."""
    kinds = classes_in(file)
    if kinds is None:
        return [(OBJECT, rle) for _, rle in rows]
    if max((label for label, _ in rows), default=0) > len(kinds):
        raise UserError(
            f"{file} says the classes of {len(kinds)} labels, and holds others: predict it again"
        )
    return [(kinds[label - 1], rle) for label, rle in rows]


def write(out: Path, pictures: Sequence[Picture], source: Source) -> None:
    """SPLIT/images, SPLIT/masks and, where something is ignored, SPLIT/ignore, all of one class."""
    for each in placed(pictures):
        copy_image(each._replace(folder=f"{each.folder}/images"), out)
        size = each.picture.size
        label_map = painted([mask for _, mask in each.picture.objects], size)
        save_label_tiff(out / each.folder / "masks" / f"{each.name}.tif", label_map)
        if each.picture.ignored:
            unknown = painted([mask for _, mask in each.picture.ignored], size) > 0
            unknown &= label_map == 0
            path = out / each.folder / "ignore" / f"{each.name}.tif"
            save_label_tiff(path, unknown.astype(np.uint8))
