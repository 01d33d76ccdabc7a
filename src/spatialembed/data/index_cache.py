"""The object index on disk: what is known of each image, valid while its files are the same."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialembed.data.data_set import DataSet, FileDataSet
from spatialembed.errors import UserError
from spatialembed.files.writing import atomic_write

_FORMAT = 4
"""Goes up when what is stored of an image changes."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the objects of M images.

    Attributes:
        signature: (M,) uint64, of the files that each image was read from.
        table: (N, 8) int32, of every object its image, id, class, y0, x0, y1, x1 without
            parts far away, and area, in the order of images, then of ids. Of volumes (N, 10), with
            z0 and z1.
        image_shape: (M, 3) int32, height, width and channels; of volumes (M, 4), depth first.
    """

    signature: np.ndarray
    table: np.ndarray
    image_shape: np.ndarray

    def __post_init__(self) -> None:
        images, dims = len(self.signature), self.image_shape.shape[-1] - 1
        wanted = (
            (self.signature, (images,), np.uint64),
            (self.table, (len(self.table), 4 + 2 * dims), np.int32),
            (self.image_shape, (images, 1 + dims), np.int32),
        )
        for array, shape, dtype in wanted:
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(f"{array.dtype} {array.shape} instead of {dtype} {shape}")
        image = self.table[:, 0]
        if len(image) and not (0 <= image[0] <= image[-1] < images and (np.diff(image) >= 0).all()):
            raise ValueError("images out of order")

    def where(self, signature: np.ndarray) -> np.ndarray:
        """(len(signature),) number of each image here, -1 of those that are not."""
        order = np.argsort(self.signature)
        place = np.searchsorted(self.signature, signature, sorter=order)
        number = order[np.minimum(place, len(order) - 1)]
        return np.where(self.signature[number] == signature, number, -1)

    def of(self, signature: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For the images of ``signature``: table, shapes, and (M,) bool of those unknown."""
        if not len(self.signature):
            images = len(signature)
            sizes = np.zeros((images, self.image_shape.shape[1]), np.int32)
            return self.table, sizes, np.ones(images, bool)
        here = self.where(signature)
        unknown = here < 0
        number = np.full(len(self.signature), -1, np.int32)
        number[here[~unknown]] = np.flatnonzero(~unknown)
        table = self.table.copy()
        table[:, 0] = number[table[:, 0]]
        return table[table[:, 0] >= 0], self.image_shape[here], unknown


def nothing(dims: int) -> Known:
    """What is known at first of images of so many spatial axes."""
    empty = (np.zeros((0, columns), np.int32) for columns in (4 + 2 * dims, 1 + dims))
    return Known(np.zeros(0, np.uint64), *empty)


def places(dataset: DataSet, whole: bool) -> list[Path]:
    """Files that the index of ``dataset`` may be kept in, the best first; none without a folder.

    Each set of classes has its own, and so have each way to read the truth, and images that
    were all decoded.
    """
    if not isinstance(dataset, FileDataSet):
        return []
    settings = [
        _FORMAT, whole, type(dataset).__name__, dataset.reading, *dataset.class_names
    ]  # fmt: skip
    name = f".spatialembed-{dataset.split}-{_short(json.dumps(settings))}.npz"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return [
        dataset.root / name,
        caches / "spatialembed" / f"{_short(str(dataset.root.resolve()))}{name}",
    ]


def signatures(dataset: DataSet) -> np.ndarray:
    """(M,) uint64 of every image: of the paths, sizes and times of change of its files.

    Paths count from the data set's folder on, which may be moved. Of a folder of zarr, every file
    in it counts.

    Raises:
        UserError: a file that is not there.
    """
    root = ""
    files: Iterator[list[str]] = (
        [str(file) for file in dataset.files(i)] for i in range(len(dataset))
    )
    if isinstance(dataset, FileDataSet):
        root, files = str(dataset.root), dataset.items.files()
    named = zip(dataset.names, files, strict=True)
    found = (_signature(root, name, files) for name, files in named)
    return np.frombuffer(b"".join(found), np.uint64)


def known_index(files: Sequence[Path], signature: np.ndarray, dims: int) -> Known:
    """What one of ``files`` holds: the first that is of these very images, or else the first."""
    loaded = [known for file in files if (known := _load(file)) is not None]
    found = [known for known in loaded if known.image_shape.shape[1] == 1 + dims]
    same = (known for known in found if np.array_equal(known.signature, signature))
    return next(same, next(iter(found), nothing(dims)))


def save_index(files: Iterable[Path], known: Known) -> None:
    """Write to the first of ``files`` that can be written, if there is one."""
    for file in files:
        with suppress(UserError):
            with atomic_write(file) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **vars(known))
            return


def _load(file: Path) -> Known | None:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return Known(**stored)
    except Exception:  # whatever is wrong with it: what it was made from is still there
        return None


def _signature(root: str, name: str, files: Iterable[str]) -> bytes:
    digest = hashlib.blake2b(os.fsencode(name), digest_size=8)
    for file in files:
        path = os.path.join(root, file)
        try:
            digest.update(f"\n{file}\n{_state(path)}".encode(errors="surrogateescape"))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); restore it") from error
    return digest.digest()


def _state(path: str) -> str:
    """Size and time of change; of a folder those of all that it holds, in one number."""
    state = os.stat(path)
    if not stat.S_ISDIR(state.st_mode):
        return f"{state.st_size} {state.st_mtime_ns}"
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(os.listdir(path)):
        line = f"{name}\n{_state(os.path.join(path, name))}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
