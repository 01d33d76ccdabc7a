"""Objects that two tiles claim: found pixel by pixel, and settled for the whole image at once.

Where what two tiles see overlaps, they find the same objects, and each object belongs to one of
them. Where they do not agree (an object near a border that both keep, or that either cut
otherwise), the rule of clustering decides as it would have in one image: best score first, and
what is mostly taken already is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spatialembed.large.mosaic import Mosaic
from spatialembed.large.segment import Objects, read_arrays, read_objects, write_arrays

KEY = 2**32
"""An object's key: its tile times this, plus its number there."""


class Claims(NamedTuple):
    """Pixels that objects of the tiles around claim in a tile's core, and its own where they do."""

    place: np.ndarray
    """(M,) int64 flat place in the core, never decreasing."""
    key: np.ndarray
    """(M,) int64 of the object."""
    score: np.ndarray
    """(M,) float32 of the object."""
    kind: np.ndarray
    """(M,) int32 class of the object."""


@dataclass(frozen=True)
class Compare:
    """The work of counting the pixels of a core that two objects claim."""

    mosaic: Mosaic
    folder: Path

    def __call__(self, tile: int) -> dict[str, Any]:
        """Write the pairs of keys and their common pixels; nothing where there are none."""
        pairs, counts = common_pixels(claims(self.mosaic, self.folder, tile))
        if len(pairs):
            write_arrays(pairs_of(self.folder, tile), {"pairs": pairs, "counts": counts})
        return {"pairs": len(pairs)}


def pairs_of(folder: Path, tile: int) -> Path:
    """Where the pairs of a tile's core are, if there are any."""
    return folder / "pairs" / f"{tile}.npz"


def claims(mosaic: Mosaic, folder: Path, tile: int) -> Claims:
    """What is claimed of a tile's core from outside, and by its own objects at the same places."""
    core = mosaic.core_of(tile)
    own = read_objects(folder, tile)
    parts = []
    for other in mosaic.neighbours(tile):
        objects = read_objects(folder, other)
        parts.append(_claims(other, objects, *objects.outer_in(core)))
    if (
        not parts
        or not (contested := np.unique(np.concatenate([part.place for part in parts]))).size
    ):
        return _claims(tile, own, np.zeros(0, np.int64), np.zeros(0, np.int64))
    number = own.core(core).ravel()[contested] - 1
    taken = number >= 0
    parts.append(_claims(tile, own, contested[taken], number[taken]))
    found = Claims(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = found.place.argsort(kind="stable")
    return Claims(*(column[order] for column in found))


def _claims(tile: int, objects: Objects, place: np.ndarray, number: np.ndarray) -> Claims:
    """What objects of one tile, by their numbers there, claim."""
    key = tile * KEY + number.astype(np.int64)
    return Claims(place, key, objects.score[number], objects.kind[number])


def common_pixels(claimed: Claims) -> tuple[np.ndarray, np.ndarray]:
    """(P, 2) pairs of keys, the lower one first, that claim common pixels, and how many."""
    place, key = claimed.place, claimed.key
    found = [np.zeros((0, 2), np.int64)]
    apart = 1
    while (same := np.flatnonzero(place[apart:] == place[:-apart])).size:
        both = np.stack([key[same], key[same + apart]], 1)
        found.append(np.sort(both, 1))
        apart += 1
    return np.unique(np.concatenate(found), axis=0, return_counts=True)


def settle(folder: Path, compared: Iterator[int]) -> np.ndarray:
    """Sorted keys of the objects that are dropped, by the pairs of the tiles that were compared.

    A pixel that an object shares with two better ones counts twice against it.

    Example:
        Two tiles of 4×4 pixels each see two columns of the other's. The object on their border is
        found by both, by the second one with less of it and a lower score, and is dropped there.

        >>> from tempfile import TemporaryDirectory
        >>> from spatialembed.instances import Instances
        >>> from spatialembed.large.segment import file_of, taken
        >>> mosaic = Mosaic(shape=(4, 8), core=(4, 4), overlap=(2, 2))
        >>> seen = [np.array([[0, 0, 0, 0, 0, 0],
        ...                   [0, 0, 1, 1, 1, 0],
        ...                   [0, 0, 1, 1, 1, 0],
        ...                   [0, 0, 0, 0, 0, 0]]),  # columns 0 to 5
        ...         np.array([[0, 0, 0, 0, 0, 0],
        ...                   [0, 1, 1, 0, 0, 0],
        ...                   [0, 1, 1, 0, 2, 2],
        ...                   [0, 0, 0, 0, 2, 2]])]  # columns 2 to 7
        >>> scores = [0.9], [0.8, 0.7]
        >>> with TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     for tile in range(len(mosaic)):
        ...         found = Instances.from_label_map(seen[tile], np.array(scores[tile]))
        ...         objects = taken(found, mosaic.seen_by(tile), mosaic.core_of(tile))
        ...         write_arrays(file_of(folder, tile), objects._asdict())
        ...     pairs = [tile for tile in range(2) if Compare(mosaic, folder)(tile)["pairs"]]
        ...     dropped = settle(folder, iter(pairs))
        >>> [divmod(int(key), KEY) for key in dropped]  # tile, and number of the object there
        [(1, 0)]
    """
    shared: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for tile in compared:
        held = read_arrays(pairs_of(folder, tile))
        for (one, two), count in zip(held["pairs"].tolist(), held["counts"].tolist(), strict=True):
            shared[one].append((two, count))
            shared[two].append((one, count))
    rank, area = {}, {}
    by_tile = defaultdict(list)
    for key in shared:
        by_tile[key // KEY].append(key)
    for tile, keys in by_tile.items():
        objects = read_objects(folder, tile)
        for key in keys:
            number = key % KEY
            rank[key] = (-float(objects.score[number]), int(objects.kind[number]), key)
            area[key] = int(objects.area[number])
    kept: set[int] = set()
    for key in sorted(shared, key=rank.__getitem__):
        taken = sum(count for other, count in shared[key] if other in kept)
        if 2 * taken < area[key]:
            kept.add(key)
    return np.array(sorted(shared.keys() - kept), np.int64)
