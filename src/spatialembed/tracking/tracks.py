"""Tracks: which object of each frame is which, and which came of which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from spatialembed.tracking.objects import Objects


@dataclass(frozen=True, eq=False)
class Tracks:
    """The objects of T frames, each with the id of its track.

    A track ends where its object divides; the two that come of it are tracks of their own.

    Attributes:
        objects: (N) of all frames: frame, label, area, center; see
            :class:`~spatialembed.tracking.objects.Objects`.
        id: (N,) int64 of each object's track, from 1, in the order in which they begin.
        parents: of the id of a track that came of a division, that of the one which divided.
        frames: the T label maps that were linked, (*spatial) integers.
        reach: diameters up to which an object was looked for in the next frame.
    """

    objects: Objects
    id: np.ndarray
    parents: dict[int, int]
    frames: Sequence[np.ndarray]
    reach: float

    def __len__(self) -> int:
        """How many tracks there are."""
        return int(self.id.max(initial=0))

    def label_map(self, frame: int, ids: np.ndarray | None = None) -> np.ndarray:
        """A frame (*spatial) whose labels are ids of tracks, int64; 0 background.

        Args:
            frame: its number, from 0.
            ids: (N,) of the objects, others than those of their tracks.

        Raises:
            IndexError: no such frame.
        """
        if not 0 <= frame < len(self.frames):
            raise IndexError(f"frame {frame} is none of 0 to {len(self.frames) - 1}")
        here = self.objects.frame == frame
        label = np.append(0, self.objects.label[here])
        new = np.append(0, (self.id if ids is None else ids)[here])
        return np.asarray(new[np.searchsorted(label, self.frames[frame].astype(np.int64))])

    def edges(self) -> np.ndarray:
        """(E, 2) int64 rows of objects: one, and what it is, or became, when next seen."""
        order = np.lexsort((self.objects.frame, self.id))
        same = self.id[order][1:] == self.id[order][:-1]
        along = np.stack([order[:-1][same], order[1:][same]], axis=1)
        first = dict(zip(self.id[order[::-1]].tolist(), order[::-1].tolist(), strict=True))
        last = dict(zip(self.id[order].tolist(), order.tolist(), strict=True))
        born = [(last[mother], first[child]) for child, mother in self.parents.items()]
        return np.concatenate([along, np.array(born, np.int64).reshape(-1, 2)])

    def gaps(self) -> int:
        """How often an object is missing in between."""
        first, second = self.edges().T
        return int(np.count_nonzero(self.objects.frame[second] > self.objects.frame[first] + 1))


def tracks_of(
    objects: Objects,
    edges: Iterable[tuple[int, int]],
    frames: Sequence[np.ndarray],
    reach: float,
) -> Tracks:
    """Number tracks along the edges; where an object has two successors, it divides.

    Args:
        objects: of all frames.
        edges: rows of an object and a later one, at most one into an object and two out of it.
        frames, reach: as in :class:`Tracks`.
    """
    before: dict[int, int] = {}
    after = defaultdict(list)
    for first, second in edges:
        before[second] = first
        after[first].append(second)
    ids = np.zeros(len(objects), np.int64)
    parents: dict[int, int] = {}
    count = 0
    for row in range(len(objects)):  # earlier frames come first
        mother = before.get(row)
        if mother is not None and len(after[mother]) == 1:
            ids[row] = ids[mother]
            continue
        count += 1
        ids[row] = count
        if mother is not None:
            parents[count] = int(ids[mother])
    return Tracks(objects, ids, parents, frames, reach)
