"""What the masks of a split look like, together: one sentence a cause, with the files it is in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spatialembed.data.checks.mask_signs import Sign, Signs
from spatialembed.data.data_set import Problem
from spatialembed.data.index import SPECK, specks

PREVALENT = 0.2
"""Share of the masks with objects that must hint at something for it to be said."""

MANY_SHARED, MANY_STRAY = 0.02, 0.01
"""Shares of the objects from which parts far away are no single slips."""

MARK, FEWEST_MARKS = 4, 10
"""Pixels that marks of positions have at most, and how many a split has at least."""

NAMED = 3
"""Files that a sentence names."""

Seen = tuple[Path, Signs, np.ndarray]
"""A mask's file, its signs, and the areas of its objects."""


def mask_warnings(seen: Iterable[Seen], elsewhere: Iterable[Seen] = ()) -> list[Problem]:
    """Warnings about the masks of a split, each of one cause.

    Args:
        seen: these masks.
        elsewhere: those of the set's other splits, which say what ids are there.
    """
    seen = [mask for mask in seen if mask[1].objects]
    several = sum(s.objects > 1 and not s.clear | s.hints for _, s, _ in (*seen, *elsewhere))
    found: dict[Sign, list[Path]] = {}
    for sign in Sign:
        clear = [file for file, signs, _ in seen if sign in signs.clear]
        like = [file for file, signs, _ in seen if sign in signs.clear | signs.hints]
        found[sign] = like if len(like) >= PREVALENT * len(seen) else clear
        if sign is Sign.BINARY and several > len(like) - len(clear):
            found[sign] = clear  # where ids number objects, one that lies alone may have any
    problems = [_problem(sign.value, files) for sign, files in found.items() if files]
    areas = [size for *_, area in seen for size in area.tolist()]
    if len(areas) >= FEWEST_MARKS and max(areas) <= MARK:
        sentence = (
            f"has no object of more than {MARK} pixels: does it mark where objects are? Give all "
            "pixels of each its id"
        )
        problems.append(_problem(sentence, [file for file, *_ in seen]))
    # Masks of which more is said have parts far away for that reason.
    named = {file for files in found.values() for file in files}
    others = [(file, signs) for file, signs, _ in seen if file not in named]
    objects = sum(signs.objects for _, signs in others)
    shared = {file: signs.shared for file, signs in others if signs.shared}
    stray = {file: signs.stray for file, signs in others if signs.stray}
    for sign, held, many in (Sign.SHARED, shared, MANY_SHARED), (Sign.STRAY, stray, MANY_STRAY):
        if held and (count := sum(held.values())) >= many * objects:
            sentence = f"{sign.value} ({count} of {objects} objects)"
            problems.append(_problem(sentence, list(held)))
    return problems


def speck_warnings(seen: Iterable[Seen]) -> list[Problem]:
    """A warning where stray pixels with ids of their own are many among the objects of a split."""
    seen = list(seen)
    areas = [area for _, _, area in seen]
    found = specks(np.concatenate([np.zeros(0, np.int64), *areas]))
    starts = np.cumsum([0, *map(len, areas)])
    files = [
        file for (file, *_), a, b in zip(seen, starts, starts[1:], strict=False) if found[a:b].any()
    ]
    if not files:
        return []
    sentence = (
        f"has objects of at most {SPECK} pixels beside far larger ones: stray pixels with ids of "
        f"their own? Training gives them no crops and no say in the zoom; remove them "
        f"({np.count_nonzero(found)} of {len(found)} objects)"
    )
    return [_problem(sentence, files)]


def _problem(sentence: str, files: list[Path]) -> Problem:
    """A warning about the first file that counts and names the others."""
    if len(files) > 1:
        names = ", ".join(file.name for file in files[1 : 1 + NAMED])
        more = ", ..." if len(files) > 1 + NAMED else ""
        are = "is 1" if len(files) == 2 else f"are {len(files) - 1}"
        sentence += f"; so {are} more: {names}{more}"
    return Problem(files[0], sentence, warning=True)
