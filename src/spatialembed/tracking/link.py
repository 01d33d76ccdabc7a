"""Linking: the assignment of objects to those of later frames that costs least, by laptrack.

Two steps, after Jaqaman et al., Nature Methods 5 (2008): objects of each frame and the next, then
ends and beginnings of what came of it, over gaps and at divisions.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from spatialembed.data.checks.mask_signs import Sign
from spatialembed.data.images.spacing import one_an_axis
from spatialembed.errors import UserError, missing_extra
from spatialembed.files.described import fitting, in_python
from spatialembed.instances import Instances
from spatialembed.tracking.costs import FURTHEST, Pairs, near, reach_of_motion
from spatialembed.tracking.frames import Frames
from spatialembed.tracking.objects import Objects, class_map_in, joined, measured, no_label_map
from spatialembed.tracking.tracks import Tracks, tracks_of

DAUGHTER = 0.8
"""Share of its mother's area that a daughter has at most."""

COLORS = 4
"""Pixels along the last axis up to which three axes are of an image in color, not of a volume."""

Costs = dict[tuple[int, int], float]
"""Of rows of two objects, the earlier first."""


def track(
    frames: Sequence[np.ndarray] | Sequence[Instances],
    max_distance: float | None = None,
    max_gap: int = 1,
    divisions: bool = True,
    spacing: Sequence[float] | None = None,
) -> Tracks:
    """Link the objects of frames over time.

    Frames are asked for one after another and not kept, so that any sequence will do which reads
    them when it is asked.

    Args:
        frames: label maps (H, W) or (Z, H, W) of one shape, integers, 0 background; labels need
            not agree from frame to frame. Or a list of what a model's ``predict`` gave.
        max_distance: how far an object gets from frame to frame at most, in mean diameters of what
            it is before and after; by default measured:
            :func:`~spatialembed.tracking.costs.reach_of_motion`. What overlaps by a tenth may be
            one object in any case.
        max_gap: frames in which an object may be missing, and is still the same.
        divisions: whether an object may become two.
        spacing: how far pixels lie apart along each axis, in any unit; 1 by default.

    Raises:
        UserError: no sequence, fewer than two frames, frames of several shapes or without integers,
            a value out of range, or laptrack is missing.
    """
    frames = _label_maps(frames)
    max_gap = fitting(int, in_python(max_gap), "max_gap", "track")
    divisions = fitting(bool, in_python(divisions), "divisions", "track")  # "no" would be true
    _require(frames, max_distance, max_gap)
    dims = frames[0].ndim
    steps = (1.0,) * dims if spacing is None else one_an_axis(spacing, dims)
    objects, pairs = _candidates(frames, max_gap + 1, max(FURTHEST, max_distance or 0), steps)
    reach = max_distance or reach_of_motion([p for (t, u), p in pairs.items() if u == t + 1])
    starts = [0, *accumulate(map(len, objects))]
    table = joined(objects)
    links: Costs = {}
    for (t, u), found in pairs.items():
        links |= _costs(found.likely(reach), starts[t], starts[u])
    edges = _assigned(table, starts, links, max_gap, divisions) if links else []
    return tracks_of(table, _without_false_divisions(edges, table, links), frames, reach)


def _label_maps(frames: Any) -> Sequence[np.ndarray]:
    """The frames, those of lists without what else a model found."""
    if isinstance(frames, str | Path):
        raise UserError(f"frames are label maps, not the name of a folder: read {frames} first")
    if isinstance(frames, Mapping) or not (
        hasattr(frames, "__len__") and hasattr(frames, "__getitem__")
    ):
        raise UserError(f"frames are a list of label maps, not {type(frames).__name__}")
    if not isinstance(frames, list | tuple):
        lazy: Sequence[np.ndarray] = frames  # which may read them when asked
        return lazy
    return [one.label_map if isinstance(one, Instances) else one for one in frames]


def _require(frames: Sequence[np.ndarray], max_distance: float | None, max_gap: int) -> None:
    if max_distance is not None and not 0 < max_distance < math.inf:
        raise UserError(f"max_distance is a number of diameters above 0, not {max_distance}")
    if max_gap < 0:
        raise UserError(f"max_gap is a number of frames from 0 up, not {max_gap}")
    if len(frames) < 2:
        raise UserError(f"tracks need two frames or more, not {len(frames)}")
    _require_array(0, frames[0])
    if frames[0].ndim not in (2, 3):
        raise UserError(f"a frame is (H, W) or (Z, H, W), not of {frames[0].ndim} axes")
    if frames[0].ndim == 3 and frames[0].shape[2] <= COLORS < min(frames[0].shape[:2]):
        raise UserError(
            f"frames of {' x '.join(map(str, frames[0].shape))} look like images in color; a frame "
            "is a label map, (H, W) or (Z, H, W): of an image give what the model predicts"
        )


def _candidates(
    frames: Sequence[np.ndarray], window: int, reach: float, steps: Sequence[float]
) -> tuple[list[Objects], dict[tuple[int, int], Pairs]]:
    """The objects of each frame, and what may be one of all two frames up to ``window`` apart."""
    objects: list[Objects] = []
    pairs: dict[tuple[int, int], Pairs] = {}
    before: deque[np.ndarray] = deque(maxlen=window)  # of these frames
    shape, places = frames[0].shape, _places(frames)
    for u in range(len(frames)):
        label_map = _labels(u, frames[u], shape)
        if wrong := no_label_map(label_map, steps):
            raise UserError(f"{places[u]} {wrong}; of an image give what `predict` finds in it")
        objects.append(measured(u, label_map, steps))
        for t, earlier in enumerate(before, u - len(before)):
            pairs[t, u] = near(objects[t], objects[u], (earlier, label_map), reach)
        before.append(label_map)
    if (first := class_map_in(objects)) is not None:
        raise UserError(f"{places[first]} is no map of instances: it {Sign.BINARY.value}")
    return objects, pairs


def _places(frames: Sequence[np.ndarray]) -> Sequence[str]:
    """What each frame is called: by its file, if any."""
    if isinstance(frames, Frames):
        return frames.places
    return [f"frame {t}" for t in range(len(frames))]


def _require_array(number: int, frame: object) -> None:
    if isinstance(frame, np.ma.MaskedArray):
        raise UserError(f"frame {number} is a masked array; give frame.filled(0)")
    if not isinstance(frame, np.ndarray):
        raise UserError(
            f"frame {number} is a {type(frame).__name__}; frames are label maps, NumPy arrays of "
            "integers, or what a model's predict gave"
        )


def _labels(number: int, label_map: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A frame, of another type than uint64, which NumPy compares with int64 as floats."""
    _require_array(number, label_map)
    if label_map.dtype.kind not in "ui" or label_map.shape != shape:
        raise UserError(
            f"frame {number} is {label_map.dtype} of shape {label_map.shape}; frames are integers, "
            f"all of the shape of the first, {shape}"
        )
    if label_map.size and label_map.min() < 0:
        raise UserError(f"frame {number} has negative labels; 0 is background, objects are above")
    if label_map.dtype != np.uint64:
        return label_map
    if label_map.max(initial=0) > np.iinfo(np.int64).max:
        raise UserError(f"frame {number} has labels of 2^63 and more; number its objects anew")
    return label_map.astype(np.int64)


def _costs(pairs: Pairs, first: int, second: int) -> Costs:
    """What pairs cost, by rows in the table of all frames, where those of these two start."""
    rows = zip((pairs.first + first).tolist(), (pairs.second + second).tolist(), strict=True)
    return dict(zip(rows, pairs.cost.tolist(), strict=True))


def _assigned(
    table: Objects,
    starts: Sequence[int],
    links: Costs,
    max_gap: int,
    divisions: bool,
) -> list[tuple[int, int]]:
    """Rows of objects that laptrack links.

    Each link costs less than to end a track and begin another.
    """
    try:
        from laptrack import LapTrack
    except ImportError as error:
        raise missing_extra("tracking", "track") from error
    dear = max(links.values()) + 1  # than any link, so that what can be linked is
    ends: dict[str, Any] = {
        f"{part}_{end}_cost": dear for part in ("track", "segment") for end in ("start", "end")
    }
    tracker = LapTrack(
        metric=_metric(links),
        cutoff=dear,
        gap_closing_metric=_metric(links),
        gap_closing_cutoff=dear if max_gap else False,
        gap_closing_max_frame_count=max_gap + 1,
        splitting_metric=_metric({(b, a): cost for (a, b), cost in _halves(links, table).items()}),
        splitting_cutoff=dear if divisions else False,
        no_splitting_cost=dear,
        no_merging_cost=dear,
        **ends,
    )
    rows = [np.arange(*part, dtype=float)[:, None] for part in pairwise(starts)]
    graph = tracker.predict(rows)
    return [(starts[t] + int(i), starts[u] + int(k)) for (t, i), (u, k) in graph.edges()]


def _metric(costs: Costs) -> Callable[[Any, Any], float]:
    """What laptrack asks for, of the row of each of two objects."""
    return lambda one, other: costs.get((one[0], other[0]), math.inf)


def _halves(links: Costs, table: Objects) -> Costs:
    """Links of an object with one of the next frame that is small enough for a daughter."""
    area, frame = table.area.tolist(), table.frame.tolist()
    return {
        (a, b): cost
        for (a, b), cost in links.items()
        if area[b] < DAUGHTER * area[a] and frame[b] == frame[a] + 1
    }


def _without_false_divisions(
    edges: Sequence[tuple[int, int]], table: Objects, links: Costs
) -> list[tuple[int, int]]:
    """Edges, but of two out of one object only the cheaper, where they are no division.

    laptrack looks at one daughter at a time: the other may be as large as the mother, or be seen
    only after a gap.
    """
    after = defaultdict(list)
    for first, second in edges:
        after[first].append(second)
    halves = _halves({edge: links[edge] for edge in edges}, table)
    kept = []
    for first, seconds in after.items():
        if len(seconds) > 1 and not all((first, second) in halves for second in seconds):
            seconds = [min(seconds, key=lambda second: (table.frame[second], links[first, second]))]
        kept += [(first, second) for second in seconds]
    return kept
