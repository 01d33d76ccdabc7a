"""What a run's data looks like in a few bytes an image, to tell whether a resumed one has the same.

Nothing of it depends on where files lie or when they were written, so that a copy is the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spatialembed.data.data_set import FileDataSet
from spatialembed.data.index import ObjectIndex
from spatialembed.errors import UserError

BLOCK = 4096
"""Bytes that are read at the start, in the middle and at the end of a file: all of a large data set
would be read for hours."""

NAMED = 3
"""Images of a kind that a refusal names."""

BETWEEN = "\0"
"""Stands between names; no name of a file has it."""


def fingerprint(data: FileDataSet, index: ObjectIndex) -> dict[str, Any]:
    """Names and a number an image: of its objects, and of length and parts of its files.

    Raises:
        UserError: a file that cannot be read.
    """
    digests = np.zeros(len(data), np.int64)
    for number, objects in enumerate(_objects(index, len(data))):
        digest = blake2b(np.ascontiguousarray(objects).tobytes(), digest_size=8)
        for file in data.files(number):
            # A json holds the truth of all images, of which the objects were looked at.
            for part in _parts(file) if file.suffix != ".json" else ():
                digest.update(part)
        digests[number] = np.frombuffer(digest.digest(), np.int64)[0]
    return {"names": BETWEEN.join(data.names), "digests": torch.from_numpy(digests)}


def require_same(data: FileDataSet, role: str, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse data whose :func:`fingerprint` is not that which a run was started with.

    Raises:
        UserError: names the images that were added, removed and changed.
    """
    before, here = _by_name(then), _by_name(now)
    differing = {
        "added": [name for name in here if name not in before],
        "removed": [name for name in before if name not in here],
        "changed": [name for name in here if here[name] != before.get(name, here[name])],
    }
    if any(differing.values()):
        told = ", ".join(_counted(kind, names) for kind, names in differing.items() if names)
        raise UserError(
            f"the {role} images of {data.root} are not those that the run was started with: "
            f"{told}; restore them, or start another run with --init"
        )


def _counted(kind: str, names: list[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    return f"{len(names)} {kind} ({', '.join(names[:NAMED])}{more})"


def _by_name(found: dict[str, Any]) -> dict[str, int]:
    return dict(zip(found["names"].split(BETWEEN), found["digests"].tolist(), strict=True))


def _objects(index: ObjectIndex, images: int) -> Iterator[np.ndarray]:
    """Of each image its objects, (n, 7) int32: id, class, box and area."""
    columns = (index.label, index.class_index, *index.box.T, index.area)
    table = np.stack(columns, axis=1)
    bounds = np.searchsorted(index.image, np.arange(images + 1))
    yield from (table[first:last] for first, last in pairwise(bounds))


def _parts(path: Path) -> Iterator[bytes]:
    """A file's length and some of it; of a folder, the names and lengths of all that it holds."""
    try:
        if path.is_dir():
            for place, folders, names in os.walk(path):
                folders.sort()
                for name in sorted(names):
                    inside = os.path.join(place, name)
                    length = os.path.getsize(inside)
                    yield f"{os.path.relpath(inside, path)}\n{length}\n".encode(
                        errors="surrogateescape"
                    )
            return
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            yield str(length).encode()
            for start in (0, (length - BLOCK) // 2, length - BLOCK):
                file.seek(max(0, start))
                yield file.read(BLOCK)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); restore it") from error
