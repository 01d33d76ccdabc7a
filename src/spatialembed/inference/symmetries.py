"""Test-time augmentation: the mean of what a network says of an image turned and mirrored.

Lalit et al. (MedIA 2022) report it as their largest lever. Only symmetries that a model was
trained with are used: a street upside down tells it nothing.

Means of embeddings and bandwidths are taken as they are. Seed maps are peaks that views set a
pixel apart, so that their mean is flatter than each, and where objects are small and dense some
would no longer reach the seed threshold: what views differ by is given back to it in part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.embedding import Array, concatenated, of_targets, sigmoid, turn
from spatialembed.inference.network import CardNetwork
from spatialembed.inference.resizing import sampled
from spatialembed.inference.zoom import Enlarged

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
    raw: Callable[[NDArray[Any], Symmetry], Array],
    pixels: NDArray[Any],
    n_sigma: int,
    count: int,
    targets: int = 1,
) -> Array:
    """Mean raw output over 1 (none), 2 (mirrored), 4 (turned) or 8 (both) symmetries of an image.

    ``raw`` gives the network's (D + n_sigma + K, *S) output of (*S, C) pixels that were turned; of
    a volume in its planes.
    """

    if count == 1:
        return raw(pixels, (0, False))

    def view(how: Symmetry) -> Array:
        seen = np.rot90(pixels, how[0], (-3, -2))
        return raw(np.ascontiguousarray(seen[..., ::-1, :] if how[1] else seen), how)

    return mean_view(((how, view(how)) for how in SYMMETRIES[count]), n_sigma, targets)


def averaged_together(
    network: CardNetwork,
    image: Array,
    at: Callable[[Symmetry], Enlarged],
    n_sigma: int,
    count: int,
    targets: int = 1,
) -> Array:
    """The same of views that are computed together, on a card.

    Args:
        network: which is given all upright views at once, then all that lie on their side.
        image: (C, h, w) as the network sees it, on the card.
        at: where the pixels of a turned image lie in what the network sees of it.
        n_sigma, count, targets: as in :func:`averaged`.
    """
    views: dict[Symmetry, Array] = {}
    for lying in (0, 1):
        hows = [how for how in SYMMETRIES[count] if how[0] % 2 == lying]
        seen = [_turned(image, *how) for how in hows]
        views |= zip(hows, network.many(seen) if seen else (), strict=True)
    each = ((how, sampled(views[how], at(how))) for how in SYMMETRIES[count])
    return mean_view(each, n_sigma, targets)


def _turned(image: Array, quarters: int, mirror: bool) -> Array:
    turned = image.rot90(quarters, (1, 2))
    return turned.flip(2) if mirror else turned


def mean_view(views: Iterable[tuple[Symmetry, Array]], n_sigma: int, targets: int = 1) -> Array:
    """Mean of the raw outputs of turned images, turned back: (D + n_sigma + K, *S) float32.

    Of several ``targets`` that of each, one after the other.

    To seed logits comes :data:`GIVEN_BACK` of the views' standard deviation, times the mean's seed
    score: background stays what it is.
    """
    if targets > 1:
        held = [(how, of_targets(output, targets)) for how, output in views]
        means = [mean_view(((h, own[k]) for h, own in held), n_sigma) for k in range(targets)]
        return concatenated(means)
    total: Any = 0.0
    seeds = []
    for (quarters, mirror), output in views:
        # Undone in one go: a turn before a mirror is undone by the same mirror before its turn
        # back, which is the mirror after the turn itself.
        output = output if isinstance(output, np.ndarray) else output.float()
        back = turn(output, n_sigma, quarters if mirror else -quarters, mirror)
        total = total + back
        seeds.append(back[back.ndim - 1 + n_sigma :])
    mean = total / len(seeds)
    if isinstance(mean, np.ndarray):
        mean = np.asarray(mean, np.float32)
    if len(seeds) > 1:
        seed = mean[mean.ndim - 1 + n_sigma :]
        seed += GIVEN_BACK * _deviation(seeds) * sigmoid(seed)
    return mean


def _deviation(seeds: list[Array]) -> Array:
    if isinstance(seeds[0], np.ndarray):
        return np.std(seeds, axis=0)
    import torch

    return torch.stack(seeds).std(0, correction=0)
