"""Test-time augmentation: the mean of what a network says of an image turned and mirrored.

Lalit et al. (MedIA 2022) report it as their largest lever. Only symmetries that a model was
trained with are used: a street upside down tells it nothing.

Means of embeddings and bandwidths are taken as they are. Seed maps are peaks that views set a
pixel apart, so that their mean is flatter than each, and where objects are small and dense some
would no longer reach the seed threshold: what views differ by is given back to it in part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.embedding import sigmoid, turn

Symmetry = tuple[int, bool]
"""Quarter turns counter-clockwise, then whether left and right change places."""

SYMMETRIES: dict[int, tuple[Symmetry, ...]] = {
    1: ((0, False),),
    2: ((0, False), (0, True)),
    4: tuple((quarters, False) for quarters in range(4)),
    8: tuple((quarters, mirror) for mirror in (False, True) for quarters in range(4)),
}

GIVEN_BACK = 0.5
"""Of the standard deviation of the views' seed logits. Chosen on validation and training images
(benchmarks/symmetries.py): at 0 dense objects are lost, at 1 background becomes objects."""


def averaged(
    raw: Callable[[NDArray[Any], Symmetry], NDArray[np.float32]],
    pixels: NDArray[Any],
    n_sigma: int,
    count: int,
) -> NDArray[np.float32]:
    """Mean raw output over 1 (none), 2 (mirrored), 4 (turned) or 8 (both) symmetries of an image.

    To seed logits comes :data:`GIVEN_BACK` of the views' standard deviation, times the mean's seed
    score: background stays what it is.

    ``raw`` gives the network's (2 + n_sigma + K, H, W) output of (H, W, C) pixels that were turned.
    """
    total: Any = 0.0
    seeds = []
    for quarters, mirror in SYMMETRIES[count]:
        seen = np.rot90(pixels, quarters)
        output = raw(np.ascontiguousarray(seen[:, ::-1] if mirror else seen), (quarters, mirror))
        # Undone in one go: a turn before a mirror is undone by the same mirror before its turn
        # back, which is the mirror after the turn itself.
        back = turn(output, n_sigma, quarters if mirror else -quarters, mirror)
        total = total + back
        seeds.append(back[2 + n_sigma :])
    mean = np.asarray(total / count, np.float32)
    if count > 1:
        seed = mean[2 + n_sigma :]
        seed += GIVEN_BACK * np.std(seeds, axis=0) * sigmoid(seed)
    return mean
