"""Every object of a data set in one table, so that crops are drawn around objects without reading.

Made by reading all label masks once, large ones block by block; index_cache.py keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from .index_cache import Known, known_index, places, save_index, signatures
from .sample import DataSet, FileDataSet, Problem
from .windowed import blocks


@dataclass(frozen=True, eq=False)
class ObjectIndex:
    """N objects of M images, in the order of images, then of ids.

    Attributes:
        image: (N,) int32, number of the image in the data set.
        label: (N,) int32, id in the image's label mask.
        class_index: (N,) int32, index into the data set's ``class_names``.
        box: (N, 4) int32, y0 x0 y1 x1 in pixels, half open.
        area: (N,) int32, pixels.
        image_size: (M, 2) int32, height and width of every image of the data set.

    Raises:
        UserError: arrays that do not fit together.
    """

    image: np.ndarray
    label: np.ndarray
    class_index: np.ndarray
    box: np.ndarray
    area: np.ndarray
    image_size: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.image)
        shapes = {"image": (n,), "label": (n,), "class_index": (n,), "box": (n, 4), "area": (n,)}
        shapes["image_size"] = (len(self.image_size), 2)
        for name, shape in shapes.items():
            array: np.ndarray = getattr(self, name)
            if array.shape != shape or array.dtype != np.int32:
                raise UserError(
                    f"an object index needs {name} of shape {shape} and type int32, not "
                    f"{array.shape} and {array.dtype}"
                )
        if n and not 0 <= self.image.min() <= self.image.max() < len(self.image_size):
            raise UserError("an object index names an image that the data set does not have")

    def __len__(self) -> int:
        return len(self.image)

    @property
    def diameter(self) -> np.ndarray:
        """(N,) float64 pixels: diameter of the disc of each object's area."""
        return np.sqrt(self.area * (4 / np.pi))


def object_index(dataset: DataSet, cache: str | Path | None = None) -> ObjectIndex:
    """The index of a data set, of which only files are read that changed since it was last made.

    Args:
        dataset: one split.
        cache: file that the index is kept in. None: a hidden file in the data set's folder, or
            where that cannot be written one in the user's cache folder, or none.

    Raises:
        UserError: no object anywhere, a file that cannot be read, or ``cache`` not written.
    """
    files = [Path(cache)] if cache is not None else places(dataset)
    if not files:
        return build_object_index(dataset)
    signature = signatures(dataset)
    known = known_index(files, signature)
    if known is not None and known.is_all_of(signature):
        return _from_table(known.table, known.image_size)
    index = _index(dataset, known, signature)
    save_index(files, Known(signature, _table(index), index.image_size), cache is not None)
    return index


def build_object_index(dataset: DataSet) -> ObjectIndex:
    """Read every label mask of ``dataset`` once.

    Raises:
        UserError: no object anywhere, or a file that cannot be read.
    """
    return _index(dataset, None, np.zeros(len(dataset), np.uint64))


def objects_of(
    label_mask: np.ndarray, class_map: np.ndarray, corner: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Objects of one image: (n, 7) int32 of id, class, y0, x0, y1, x1 (half open) and area.

    Args:
        label_mask: (H, W) integer, 0 background.
        class_map: (H, W) class index on objects; an object's is that of its first pixel.
        corner: y and x of the first pixel, where this is a part of a larger image.
    """
    pixels = np.flatnonzero(label_mask)
    if not len(pixels):
        return np.zeros((0, 7), np.int32)
    labels = label_mask.reshape(-1)[pixels]
    order = np.argsort(labels, kind="stable")
    pixels, labels = pixels[order], labels[order]
    first = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    y, x = np.divmod(pixels, label_mask.shape[1])
    y += corner[0]
    x += corner[1]
    columns = (
        labels[first],
        class_map.reshape(-1)[pixels[first]],
        np.minimum.reduceat(y, first),
        np.minimum.reduceat(x, first),
        np.maximum.reduceat(y, first) + 1,
        np.maximum.reduceat(x, first) + 1,
        np.diff(first, append=len(pixels)),
    )
    return np.stack([column.astype(np.int32) for column in columns], axis=1)


def united(tables: Iterable[np.ndarray]) -> np.ndarray:
    """One table of the parts of an image, as :func:`objects_of` gives it of the whole.

    Args:
        tables: in the order of the parts, boxes in pixels of the whole image.
    """
    table = np.concatenate([np.zeros((0, 7), np.int32), *tables])
    table = table[np.argsort(table[:, 0], kind="stable")]
    if not len(table):
        return table
    first = np.flatnonzero(np.diff(table[:, 0], prepend=0))  # ids are 1 or more
    return np.concatenate(
        [
            table[first, :2],
            np.minimum.reduceat(table[:, 2:4], first),
            np.maximum.reduceat(table[:, 4:6], first),
            np.add.reduceat(table[:, 6:], first, dtype=np.int32),
        ],
        axis=1,
    )


def image_objects(dataset: DataSet, number: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Objects of one image, as :func:`objects_of` gives them, and its height and width.

    A large image is read block by block.
    """
    if not isinstance(dataset, FileDataSet):
        sample = dataset[number]
        return objects_of(sample.label_mask, sample.class_map), sample.label_mask.shape
    large = dataset.large(number)
    if large is None:
        truth = dataset.truth(number)
        return objects_of(truth.label_mask, truth.class_map), truth.label_mask.shape
    tables = []
    for rows, columns in blocks(large.mask):
        truth = large.truth(rows, columns)
        corner = (rows.start, columns.start)
        tables.append(objects_of(truth.label_mask, truth.class_map, corner))
    return united(tables), large.image.shape


def _index(dataset: DataSet, known: Known | None, signature: np.ndarray) -> ObjectIndex:
    """The index of a data set: what is known of its files, the others read."""
    count = len(dataset)
    image_size = np.zeros((count, 2), np.int32)
    fresh = np.ones(count, bool)
    table = np.zeros((0, 8), np.int32)
    if known is not None:
        table, image_size, fresh = known.of(signature)
    rows = bytearray()  # tables of a million images as arrays of their own would be large
    for number in np.flatnonzero(fresh).tolist():
        found, image_size[number] = image_objects(dataset, number)
        rows += np.insert(found, 0, number, axis=1).tobytes()
    table = np.concatenate([table, np.frombuffer(rows, np.int32).reshape(-1, 8)])
    table = table[np.argsort(table[:, 0], kind="stable")]
    if not len(table):
        where = dataset.files(0)[-1].parent if count else "the data set"
        raise UserError(
            f"no object of {', '.join(dataset.class_names)} in any of the {count} "
            f"{dataset.split} images (masks in {where}); label some, or choose other classes"
            + "".join(f"; {problem}" for problem in _warnings(dataset)[:2])
        )
    return _from_table(table, image_size)


def _warnings(dataset: DataSet) -> Sequence[Problem]:
    """What may be why there is no object, as where all annotations are set aside."""
    return dataset.problems if isinstance(dataset, FileDataSet) else ()


def _from_table(table: np.ndarray, image_size: np.ndarray) -> ObjectIndex:
    """The index of an (N, 8) table of image, label, class, box and area of all objects."""
    image, label, class_index, *_, area = np.ascontiguousarray(table.T)
    box = np.ascontiguousarray(table[:, 3:7])
    return ObjectIndex(image, label, class_index, box, area, image_size)


def _table(index: ObjectIndex) -> np.ndarray:
    columns = (index.image, index.label, index.class_index, *index.box.T, index.area)
    return np.stack(columns, axis=1)
