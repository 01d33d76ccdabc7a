"""Masks that are turned against their images, or of others, as their outlines and edges tell.

An image that is no square is refused with a transposed mask; all else passes for a mask of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spatialembed.data.data_set import Problem

_Mask = NDArray[Any]

TURNS: dict[str, Callable[[_Mask], _Mask]] = {
    "mirrored left to right": lambda mask: mask[:, ::-1],
    "mirrored top to bottom": lambda mask: mask[::-1],
    "turned by 180 degrees": lambda mask: mask[::-1, ::-1],
    "transposed": lambda mask: mask.T,
    "turned by 90 degrees": np.rot90,
    "turned by 270 degrees": lambda mask: mask[::-1].T,
    "transposed along the other diagonal": lambda mask: mask[::-1, ::-1].T,
}
"""What may have happened, and what would mend it."""

STRONG = 0.75
"""Quantile of an image's steps from pixel to pixel above which one is an edge."""

CLEAR = 0.1
"""Share of the outlines that must lie on edges more than before, on average."""

MOVES = ((1 / 2, 1 / 2), (1 / 3, 1 / 2), (1 / 2, 1 / 3), (1 / 3, 2 / 3))
"""Shares of height and width by which outlines are moved, to where they lie by chance."""

BY_CHANCE = 0.05
"""Share of the outlines that must lie on edges more than by chance, on average. Of seven sets of
nuclei, cells, bacteria and pebbles .22 to .78 do, and with masks of other pictures .03 at most."""

NEARLY_ALL = 0.9
"""Share of the images that must gain by the same turn: one alone may by chance."""

FEWEST, OBJECTS = 3, 50
"""Images, and objects in them, by which a set is judged at least."""


def gains(image: NDArray[Any], label_mask: NDArray[np.integer]) -> NDArray[np.float64] | None:
    """By how much more of the outlines lies on edges after each turn, and by chance, in [-1, 1].

    Args:
        image: (H, W, C) as stored.
        label_mask: (H, W), 0 background.

    Returns:
        One for each of :data:`TURNS`, NaN where it has another size, and for the mean over
        :data:`MOVES`; None without outlines.
    """
    outline, steps = _outline(label_mask), _steps(image)
    if not outline.any():
        return None
    edges = steps > np.quantile(steps, STRONG)
    own = edges[outline].mean()
    turned = [turn(outline) for turn in TURNS.values()]
    gained = [edges[t].mean() - own if t.shape == edges.shape else np.nan for t in turned]
    moves = [[int(side * part) for side, part in zip(edges.shape, by, strict=True)] for by in MOVES]
    moved = [edges[np.roll(outline, by, (0, 1))].mean() - own for by in moves]
    return np.array([*gained, np.mean(moved)])


def turned_warnings(
    found: Mapping[Path, NDArray[np.float64] | None], objects: int
) -> Iterator[Problem]:
    """A warning where masks of a split, by file, fit their images far better turned, or do not.

    Args:
        found: :func:`gains` of each.
        objects: how many there are in all.
    """
    files = [file for file, gain in found.items() if gain is not None]
    if len(files) < FEWEST or objects < OBJECTS:
        return
    *gained, by_chance = np.array([found[file] for file in files], np.float64).T
    each = np.stack(gained, axis=1)
    better = np.count_nonzero(each > 0, axis=0)  # no NaN is
    mean = np.where(better >= NEARLY_ALL * len(each), np.nan_to_num(each).mean(axis=0), -1.0)
    best = int(mean.argmax())
    if mean[best] < CLEAR:
        if -by_chance.mean() < BY_CHANCE:
            message = (
                f"and the other images of its split ({len(files)}): outlines of their masks lie on "
                f"edges no more than by chance, those of {objects} objects; are they masks of "
                "other images, or moved against theirs? Lay some over their images"
            )
            yield Problem(files[0], message, warning=True)
        return
    message = (
        f"and so {better[best]} of {len(each)} images of its split: their masks fit them far "
        f"better {list(TURNS)[best]}, by the edges below the outlines of {objects} objects; were "
        "they saved so? Turn them back"
    )
    yield Problem(files[0], message, warning=True)


def _steps(image: NDArray[Any]) -> NDArray[np.float32]:
    """(H, W) how far a pixel is from the next ones, in an image that is smoothed a little."""
    finite = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    grey = ndimage.uniform_filter(finite.mean(-1), 3)
    found: NDArray[np.float32] = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    found += np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    return found


def _outline(label_mask: NDArray[np.integer]) -> NDArray[np.bool_]:
    below = np.diff(label_mask, axis=0, append=label_mask[-1:]) != 0
    right = np.diff(label_mask, axis=1, append=label_mask[:, -1:]) != 0
    found: NDArray[np.bool_] = below | right
    return found
