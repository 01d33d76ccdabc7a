"""Images that are neighbouring tiles of one picture: where one ends, the other goes on.

Of two facing borders it counts how far they rise and fall together, pixel by pixel, and at how many
places. One bright object that happens to meet another says little; and where the step from one
border to the other is larger than the steps within the images, nothing goes on. How often chance
does as well is seen in the same images with borders shifted and reversed, where nothing can go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatialembed.data.checks.borders import BOTTOM, LEFT, RIGHT, TOP, Border, Borders

LEAST = 0.9
"""Score of a pair from which on it may adjoin, chosen on tiles of nuclei and of tissue."""

ALIKE = 0.2
"""Correlation of slopes below which a pair is not looked at."""

LARGEST_STEP = 2.0
"""Mean square from border to border, over that within the images, that two neighbours have."""

BY_CHANCE = 0.1
"""Share of the pairs that are named which may be such by chance, as shifted borders have it."""

SHIFTS = 8
"""Places, evenly spread, that borders are shifted to, as they are and reversed."""

BLOCK, PAIRS = 1024, 16384
"""Borders that are compared with all others at a time, and pairs that are looked at closely."""


class _Lines(NamedTuple):
    """Borders of one side and length, of n images."""

    value: NDArray[np.float64]
    """(n, L)"""
    slope: NDArray[np.float32]
    """(n, L - 1) from pixel to pixel, of mean 0 and length 1; 0 where there is none."""
    step: NDArray[np.float64]
    """(n,)"""


class _Pairs(NamedTuple):
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    score: NDArray[np.float64]


def adjoining(images: Sequence[Borders]) -> NDArray[np.int64]:
    """(P, 2) numbers of images that adjoin, the left or upper one first.

    Pairs are each other's best among all images; they are named from the score on from which on
    shifted borders would give at most :data:`BY_CHANCE` as many.
    """
    found, chance = list[_Pairs](), list[NDArray[np.float64]]()
    for one, other in ((RIGHT, LEFT), (BOTTOM, TOP)):
        first, second = ([borders[side] for borders in images] for side in (one, other))
        for numbers in _of_one_length(first):
            lines = _lines([first[i] for i in numbers]), _lines([second[i] for i in numbers])
            pairs = _best(*lines)
            found.append(_Pairs(numbers[pairs.one], numbers[pairs.other], pairs.score))
            chance += (_best(lines[0], elsewhere).score for elsewhere in _elsewhere(lines[1]))
    every = _joined(found)
    kept = every.score >= _threshold(every.score, np.concatenate([[], *chance]))
    return np.stack([every.one[kept], every.other[kept]], axis=1)


def _joined(pairs: Sequence[_Pairs]) -> _Pairs:
    none = _Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return _Pairs(*map(np.concatenate, zip(none, *pairs, strict=True)))


def _of_one_length(borders: Sequence[Border]) -> Iterator[NDArray[np.int64]]:
    """Numbers of the images whose borders may face each other, two or more."""
    by_length: Mapping[int, list[int]] = defaultdict(list)
    for number, border in enumerate(borders):
        by_length[border.length].append(number)
    yield from (np.array(numbers) for numbers in by_length.values() if len(numbers) > 1)


def _lines(borders: Sequence[Border]) -> _Lines:
    value = np.stack([border.line for border in borders]).astype(np.float64)
    return _Lines(value, _slope(value), np.array([border.step for border in borders]))


def _slope(value: NDArray[np.float64]) -> NDArray[np.float32]:
    slope: NDArray[np.float64] = np.diff(value, axis=1)
    slope -= slope.mean(1, keepdims=True)
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    np.divide(slope, length, out=slope, where=length > 0)
    return slope.astype(np.float32)


def _elsewhere(lines: _Lines) -> Iterator[_Lines]:
    """Borders that no image goes on with: shifted, reversed, or both."""
    for reverse, shift in product((1, -1), range(SHIFTS)):
        if (reverse, shift) != (1, 0):
            pixels = shift * lines.value.shape[1] // SHIFTS
            value = np.roll(lines.value[:, ::reverse], pixels, axis=1)
            yield _Lines(value, _slope(value), lines.step)


def _best(one: _Lines, other: _Lines) -> _Pairs:
    """Pairs that may adjoin, each of which is the best for both."""
    blocks = range(0, len(one.step), BLOCK)
    found = [p for i in blocks for p in _candidates(one, other, slice(i, i + BLOCK))]
    pairs = _joined(found)
    of_one, of_other = np.zeros(len(one.step)), np.zeros(len(one.step))
    np.maximum.at(of_one, pairs.one, pairs.score)
    np.maximum.at(of_other, pairs.other, pairs.score)
    mutual = (pairs.score == of_one[pairs.one]) & (pairs.score == of_other[pairs.other])
    return _Pairs(pairs.one[mutual], pairs.other[mutual], pairs.score[mutual])


def _candidates(one: _Lines, other: _Lines, rows: slice) -> Iterator[_Pairs]:
    """Pairs of some borders with any others whose score is high enough and whose step is small."""
    alike = one.slope[rows] @ other.slope.T
    np.fill_diagonal(alike[:, rows], 0)  # an image does not adjoin itself
    places = np.flatnonzero(alike >= ALIKE)
    for start in range(0, len(places), PAIRS):
        first, second = np.divmod(places[start : start + PAIRS], len(other.step))
        score = _score(one.slope[rows][first], other.slope[second], alike[first, second])
        first += rows.start
        step = np.square(one.value[first] - other.value[second]).mean(1)
        within = (one.step[first] + other.step[second]) / 2
        kept = (score >= LEAST) & (step <= LARGEST_STEP * within)
        yield _Pairs(first[kept], second[kept], score[kept])


def _score(
    one: NDArray[np.float32], other: NDArray[np.float32], alike: NDArray[np.float32]
) -> NDArray[np.float64]:
    """(P,) of pairs of slopes (P, L) with these correlations.

    It is their correlation times its size in units of what chance would give: correlation over the
    root of the sum of its squared terms, which is 1 where one place makes all of it.
    """
    spread = np.sqrt(np.square(one * other).sum(1, dtype=np.float64))
    score: NDArray[np.float64] = np.square(alike, dtype=np.float64) / spread
    return score


def _threshold(score: NDArray[np.float64], chance: NDArray[np.float64]) -> float:
    """Least score at which few enough pairs are by chance; infinite where there is none."""
    falling, rising = np.sort(score)[::-1], np.sort(chance)
    trials = 2 * SHIFTS - 1
    expected = (1 + len(rising) - np.searchsorted(rising, falling)) / trials
    fits = np.flatnonzero(expected <= BY_CHANCE * np.arange(1, len(falling) + 1))
    return float(falling[fits[-1]]) if len(fits) else np.inf
