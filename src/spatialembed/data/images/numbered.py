"""Files whose names differ in one number: planes of a stack, frames of a sequence."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from spatialembed.errors import UserError

_NUMBER = re.compile("([0-9]+)")


def in_order(folder: Path, names: Sequence[str], whole: str, parts: str, such: str) -> list[str]:
    """Names of files in the order of the one number in which they differ, 9 before 10.

    Args:
        folder: that they are in.
        names: of the files.
        whole: what they are together, such as "folder of planes".
        parts: what they are, such as "planes".
        such: a name without its suffix that would do for the first of them.

    Raises:
        UserError: names without such a number, or numbers that have gaps or repeat.
    """
    numbers = numbers_of(folder, names, whole, parts, such)
    order = sorted(range(len(names)), key=lambda i: numbers[i])
    for i, k in pairwise(order):
        if numbers[k] != numbers[i] + 1:
            what = "have one number" if numbers[k] == numbers[i] else "leave a gap between them"
            raise UserError(
                f"{folder} is no {whole}: {names[i]} and {names[k]} {what}; number the {parts} "
                "without gaps"
            )
    return [names[i] for i in order]


def numbers_of(folder: Path, names: Sequence[str], whole: str, parts: str, such: str) -> list[int]:
    """The number of each, as of :func:`in_order`.

    Raises:
        UserError: names without such a number.
    """
    split = [_NUMBER.split(os.path.splitext(name)[0]) for name in names]  # texts at even places
    texts = {tuple(part[::2]) for part in split}
    found = [[int(number) for number in part[1::2]] for part in split]
    if len(texts) > 1 or not found[0]:
        following = such[:-1] + "2"
        raise UserError(
            f"{folder} is no {whole}: their names ({names[0]}, {names[-1]}) differ in more than a "
            f"number, or have none; name them such as {such}.tif, {following}.tif"
        )
    differ = [i for i in range(len(found[0])) if len({numbers[i] for numbers in found}) > 1]
    if len(differ) > 1:
        raise UserError(
            f"{folder} is no {whole}: their names ({names[0]}, {names[-1]}) differ in "
            f"{len(differ)} numbers; keep the {parts} of one sample in a folder"
        )
    return [numbers[differ[0] if differ else 0] for numbers in found]
