"""The parts that objects lie in: pixels of one id that touch, at a side or at a corner.

Found by the runs of equal pixels in each row, of which there are far fewer than pixels: not by
scipy.ndimage.label, which joins objects that touch and knows nothing of ids. An image that is read
block by block has its parts joined along the seams, and they are those of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]

LABEL, CLASS, Y, X, TOP, LEFT, BOTTOM, RIGHT, AREA = range(9)
"""Columns of a table of parts: id, class, first pixel, box (half open) and pixels."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of the objects of a block of an image, or of a whole one.

    Attributes:
        table: (P, 9) int64, columns as named above, in the order of ids, then of first pixels.
        seam: (S, 4) int64 of row, column, id and part (its row in ``table``) of every pixel of an
            object along the block's border.
    """

    table: Ints
    seam: Ints


def parts_of(
    label_mask: NDArray[np.integer],
    class_map: NDArray[np.integer],
    corner: tuple[int, int] = (0, 0),
) -> Parts:
    """Parts of a label mask (H, W), 0 background.

    Args:
        label_mask: integers, 0 background.
        class_map: (H, W) class index on objects.
        corner: y and x of the first pixel, where this is a block of a larger image.
    """
    row, start, stop, label, part = _runs(label_mask)
    kind = class_map[row, start]
    y, x, end = row + corner[0], start + corner[1], stop + corner[1]
    runs = np.stack([label, kind, y, x, y, x, y + 1, end, stop - start], axis=1)
    table, renamed = _reduced(runs, part)
    return Parts(table, _seam(row, start, stop, label, renamed[part], label_mask.shape, corner))


def part_map(label_mask: NDArray[np.integer]) -> NDArray[np.int32]:
    """(H, W) of the parts of a label mask, numbered from 1 up; 0 background."""
    row, start, stop, _, part = _runs(label_mask)
    numbers = np.zeros(label_mask.size, np.int32)
    length = stop - start
    first = row * label_mask.shape[1] + start
    within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    numbers[np.repeat(first, length) + within] = np.repeat(part + 1, length)
    return numbers.reshape(label_mask.shape)


def joined(blocks: Iterable[Parts]) -> Ints:
    """The table of parts of an image, of the blocks that cover it once."""
    tables, seams, count = [np.zeros((0, 9), np.int64)], [np.zeros((0, 4), np.int64)], 0
    for block in blocks:
        tables.append(block.table)
        seams.append(block.seam + np.array([0, 0, 0, count]))
        count += len(block.table)
    table = np.concatenate(tables)
    part = _connected(count, *_across(np.concatenate(seams)))
    return _reduced(table, part)[0]


def objects_in(table: Ints) -> NDArray[np.int32]:
    """(n, 7) int32 of the objects of a table of parts: id, class, box, pixels of all parts.

    The box is of the largest part, the first of equal ones, and of what does not lie far from it.
    The class is that of the object's first pixel.
    """
    first = first_parts(table)
    if not len(first):
        return np.zeros((0, 7), np.int32)
    near = np.where(is_far(table)[:, None], largest_parts(table), table)
    columns = (
        table[first, : CLASS + 1],
        np.minimum.reduceat(near[:, TOP : LEFT + 1], first),
        np.maximum.reduceat(near[:, BOTTOM : RIGHT + 1], first),
        np.add.reduceat(table[:, AREA:], first),
    )
    return np.concatenate(columns, axis=1).astype(np.int32)


def first_parts(table: Ints) -> Ints:
    """(n,) row of the first part of each object; ids are 1 or more."""
    return np.flatnonzero(np.diff(table[:, LABEL], prepend=0))


def largest_parts(table: Ints) -> Ints:
    """(P, 9) of each part: the row of the largest part of its object, the first of equal ones."""
    first = first_parts(table)
    largest = np.lexsort((-table[:, AREA], table[:, LABEL]))[first]
    return table[np.repeat(largest, np.diff(first, append=len(table)))]


def is_far(table: Ints) -> NDArray[np.bool_]:
    """(P,) whether a part lies farther from its object's largest one than that is long.

    Distances are between boxes, and the length is that of the largest part's box from corner to
    corner: what an occlusion leaves of an object lies nearer as a rule.
    """
    bulk = largest_parts(table)
    down = np.maximum(table[:, TOP] - bulk[:, BOTTOM], bulk[:, TOP] - table[:, BOTTOM])
    across = np.maximum(table[:, LEFT] - bulk[:, RIGHT], bulk[:, LEFT] - table[:, RIGHT])
    length = np.hypot(bulk[:, BOTTOM] - bulk[:, TOP], bulk[:, RIGHT] - bulk[:, LEFT])
    far: NDArray[np.bool_] = np.hypot(down.clip(0), across.clip(0)) >= length
    return far


def _runs(label_mask: NDArray[np.integer]) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Row, first column, column after the last, id and part of each run, by ids, then by place."""
    height, width = label_mask.shape
    lines = np.zeros((height, width + 1), label_mask.dtype)  # no run goes on in the next row
    lines[:, :width] = label_mask
    flat = lines.reshape(-1)
    begins = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    length, label = np.diff(begins, append=len(flat)), flat[begins].astype(np.int64)
    order = np.argsort(label, kind="stable")
    order = order[np.searchsorted(label[order], 1) :]
    row, start = np.divmod(begins[order], width + 1)
    runs = row, start, start + length[order], label[order]
    return *runs, _connected(len(row), *_touching(*runs, height, width))


def _touching(
    row: Ints, start: Ints, stop: Ints, label: Ints, height: int, width: int
) -> tuple[Ints, Ints]:
    """Pairs of runs of one id that touch: those of the row below lie side by side."""
    rank = np.cumsum(np.diff(label, prepend=0) != 0)
    line = (rank * (height + 1) + row) * (width + 2)  # grows from run to run, as do its columns
    below = line + width + 2
    low = np.searchsorted(line + stop, below + start, "left")
    count = np.searchsorted(line + start, below + stop, "right") - low
    upper = np.repeat(np.arange(len(row)), count)
    step = np.arange(len(upper)) - np.repeat(np.cumsum(count) - count, count)
    return upper, low[upper] + step


def _seam(
    row: Ints,
    start: Ints,
    stop: Ints,
    label: Ints,
    part: Ints,
    shape: tuple[int, ...],
    corner: tuple[int, int],
) -> Ints:
    """See :class:`Parts`."""
    height, width = shape
    outer = (row == 0) | (row == height - 1)
    run = np.repeat(np.flatnonzero(outer), (stop - start)[outer])
    step = np.arange(len(run)) - np.searchsorted(run, run)
    left, right = np.flatnonzero(~outer & (start == 0)), np.flatnonzero(~outer & (stop == width))
    column = np.concatenate([start[run] + step, start[left], stop[right] - 1])
    run = np.concatenate([run, left, right])
    return np.stack([row[run] + corner[0], column + corner[1], label[run], part[run]], axis=1)


def _across(seam: Ints) -> tuple[Ints, Ints]:
    """Pairs of parts that touch across the border of two blocks."""
    if not len(seam):
        return seam[:, 0], seam[:, 0]
    wide = int(seam[:, 1].max()) + 3
    place = seam[:, 0] * wide + seam[:, 1]
    order = np.argsort(place)
    place, label, part = place[order], seam[order, 2], seam[order, 3]
    pairs = []
    for step in (1, wide - 1, wide, wide + 1):
        at = np.minimum(np.searchsorted(place, place + step), len(place) - 1)
        touch = (place[at] == place + step) & (label[at] == label)
        pairs.append(np.stack([part[touch], part[at[touch]]]))
    first, second = np.concatenate(pairs, axis=1)
    return first, second


def _connected(count: int, first: Ints, second: Ints) -> Ints:
    """The number of the group that each of ``count`` things belongs to by pairs that touch."""
    if not count:
        return np.zeros(0, np.int64)
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), (count, count))
    group: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return group


def _reduced(rows: Ints, group: Ints) -> tuple[Ints, Ints]:
    """One row a group, in the order of ids, then of first pixels; and each group's row."""
    order = np.lexsort((rows[:, X], rows[:, Y], group))
    rows = rows[order]
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    if not len(first):
        return rows, first
    table = np.concatenate(
        [
            rows[first, : X + 1],
            np.minimum.reduceat(rows[:, TOP : LEFT + 1], first),
            np.maximum.reduceat(rows[:, BOTTOM : RIGHT + 1], first),
            np.add.reduceat(rows[:, AREA:], first),
        ],
        axis=1,
    )
    place = np.lexsort((table[:, X], table[:, Y], table[:, LABEL]))
    renamed = np.empty(len(place), np.int64)
    renamed[place] = np.arange(len(place))
    return table[place], renamed
