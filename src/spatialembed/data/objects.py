"""Every object of a data set in one table, so that crops are drawn around objects without reading.

Made by reading all label masks once, and kept in a file that is valid while those are the same.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ..errors import UserError, atomic_write
from .sample import DataSet, FileDataSet, Truth


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
        fingerprint: of the names, sizes and times of the files it was made from.

    Raises:
        UserError: arrays that do not fit together.
    """

    image: np.ndarray
    label: np.ndarray
    class_index: np.ndarray
    box: np.ndarray
    area: np.ndarray
    image_size: np.ndarray
    fingerprint: str = ""

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
    """The index of a data set, from the file ``cache`` if that was made of the same files.

    Otherwise it is built and, with ``cache``, saved there.

    Raises:
        UserError: no object anywhere, a file that cannot be read, or ``cache`` not written.
    """
    found = None if cache is None else load_object_index(cache, dataset)
    if found is None:
        found = build_object_index(dataset)
        if cache is not None:
            save_object_index(cache, found)
    return found


def build_object_index(dataset: DataSet) -> ObjectIndex:
    """Read every label mask of ``dataset`` once.

    Raises:
        UserError: no object anywhere, or a file that cannot be read.
    """
    tables, sizes = [], []
    for number in range(len(dataset)):
        truth = _truth(dataset, number)
        table = objects_of(truth.label_mask, truth.class_map)
        image = np.full((len(table), 1), number, np.int32)
        tables.append(np.concatenate([image, table], axis=1))
        sizes.append(truth.label_mask.shape)
    table = np.concatenate(tables) if tables else np.zeros((0, 8), np.int32)
    if not len(table):
        where = dataset.files(0)[-1].parent if len(dataset) else "the data set"
        raise UserError(
            f"no object of {', '.join(dataset.class_names)} in any of the {len(dataset)} "
            f"{dataset.split} images (masks in {where}); label some, or choose other classes"
        )
    columns = np.ascontiguousarray(table.T)
    image, label, class_index, area = columns[0], columns[1], columns[2], columns[7]
    image_size = np.array(sizes, np.int32)
    return ObjectIndex(
        image, label, class_index, table[:, 3:7], area, image_size, fingerprint(dataset)
    )


def objects_of(label_mask: np.ndarray, class_map: np.ndarray) -> np.ndarray:
    """Objects of one image: (n, 7) int32 of id, class, y0, x0, y1, x1 (half open) and area.

    Args:
        label_mask: (H, W) integer, 0 background.
        class_map: (H, W) class index on objects; an object's is that of its first pixel.
    """
    pixels = np.flatnonzero(label_mask)
    if not len(pixels):
        return np.zeros((0, 7), np.int32)
    labels = label_mask.reshape(-1)[pixels]
    order = np.argsort(labels, kind="stable")
    pixels, labels = pixels[order], labels[order]
    first = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    y, x = np.divmod(pixels, label_mask.shape[1])
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


def fingerprint(dataset: DataSet) -> str:
    """SHA-256 of the classes and of every file's path, size and time of change."""
    digest = hashlib.sha256(json.dumps([dataset.split, *dataset.class_names]).encode())
    for number in range(len(dataset)):
        for file in dataset.files(number):
            try:
                state = file.stat()
            except OSError as error:
                raise UserError(f"{file} cannot be read ({error.strerror}); restore it") from error
            digest.update(f"{file.absolute()}\n{state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def save_object_index(path: str | Path, index: ObjectIndex) -> None:
    """Write ``index`` as npz.

    Raises:
        UserError: the file cannot be written.
    """
    arrays = {field.name: getattr(index, field.name) for field in fields(index)}
    with atomic_write(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_object_index(path: str | Path, dataset: DataSet) -> ObjectIndex | None:
    """The index saved at ``path`` if it was made of ``dataset``'s files as they are, else None."""
    try:
        with np.load(Path(path), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        index = ObjectIndex(**{**arrays, "fingerprint": str(arrays["fingerprint"])})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return index if index.fingerprint == fingerprint(dataset) else None


def _truth(dataset: DataSet, number: int) -> Truth:
    if isinstance(dataset, FileDataSet):
        return dataset.truth(number)
    sample = dataset[number]
    return Truth(sample.label_mask, sample.class_map, sample.ignore)
