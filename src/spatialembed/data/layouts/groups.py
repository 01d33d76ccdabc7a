"""Groups of images that belong together: those of a picture, a patient, a well, a dish.

Images of one group resemble each other more than others do, so that validation on some of them
flatters a model that was trained on the rest. They are named by a table or by the images' names.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path

from spatialembed.data.data_set import Problem
from spatialembed.data.layouts.cityscapes import IMAGE_ENDING
from spatialembed.data.layouts.coco_files import sample_name
from spatialembed.data.layouts.splits import ranked, split_of
from spatialembed.errors import UserError
from spatialembed.files.names import composed, stem

IMAGE_COLUMNS = ("image", "name", "file", "filename", "file_name")
"""Headers, in lower case, of the column of images; the first column where there is none."""

GROUP_COLUMNS = ("group", "picture", "patient", "well", "dish", "slide", "plate")
"""Headers, in lower case, of the column of groups; the second column where there is none."""


def grouped(names: Sequence[str], groups: str | Path) -> tuple[dict[str, str], list[Problem]]:
    """The group of every image, and a warning about lines that are of no image.

    Args:
        names: of the training images, as the data set has them.
        groups: a csv, told by its suffix, or a pattern: a regular expression that is searched for
            in every name, and whose first parentheses name the group. A csv has a header and
            names an image a row, with or without suffix or folder; a column "split" may say that
            rows are of other splits.

    Raises:
        UserError: no such table or pattern, or an image that it names no group of.
    """
    groups = str(groups)
    is_table = groups.lower().endswith(".csv")
    found, told = _by_table(names, Path(groups)) if is_table else (_by_pattern(names, groups), [])
    if lacking := [name for name in names if name not in found]:
        more = f" and of {len(lacking) - 1} more training images" if len(lacking) > 1 else ""
        remedy = "add a row for each" if is_table else "every name must match the pattern"
        raise UserError(f"{groups} names no group of the image {lacking[0]}{more}; {remedy}")
    return {name: found[name] for name in names}, told


def held_groups(groups: Mapping[str, str], holdout: float) -> set[str]:
    """Names of the groups that are held out, of the group of every image.

    Groups are ranked as :func:`~spatialembed.data.layouts.splits.split_names` ranks images, and
    each is taken that brings the share of images nearer to ``holdout``; the smallest where none
    does. They are never all.

    Raises:
        UserError: there is one group only.
    """
    counts = Counter(groups.values())
    if len(counts) < 2:
        raise UserError(
            f"all training images are of one group, {next(iter(counts), 'none')!r}: none can be "
            "held out as a whole; name at least two"
        )
    order, held = ranked(counts), 0
    aim, chosen = holdout * len(groups), []
    for group in order:
        if abs(held + counts[group] - aim) < abs(held - aim):
            chosen.append(group)
            held += counts[group]
    if not chosen:
        chosen = [min(order, key=lambda group: counts[group])]
    return set(chosen[: len(order) - 1])


def _by_pattern(names: Sequence[str], pattern: str) -> dict[str, str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"'{pattern}' is neither a .csv nor a regular expression ({error}); give one of both"
        ) from error
    if not compiled.groups:
        raise UserError(
            f"'{pattern}' has no parentheses to say which part of an image's name is its group "
            "(as '^(.*)_' has); a table of groups is a .csv"
        )
    found = ((name, compiled.search(name)) for name in names)
    return {name: match[1] for name, match in found if match and match[1]}


def _by_table(names: Sequence[str], path: Path) -> tuple[dict[str, str], list[Problem]]:
    known, found, strangers = set(names), dict[str, str](), list[str]()
    for line, image, group in _rows(path):
        name = next((name for name in _names_meant(image) if name in known), None)
        if line == 1:
            if name is not None and image.lower() not in IMAGE_COLUMNS:
                raise UserError(f"{path} begins with an image; put a header above: image,group")
        elif name is None:
            strangers.append(image)
        elif not group:
            raise UserError(f"{path} names no group in line {line}, of the image {image}; add it")
        elif found.setdefault(name, group) != group:
            raise UserError(
                f"{path} names two groups of the image {image}, {found[name]} and {group} (line "
                f"{line}); keep one"
            )
    if not strangers:
        return found, []
    message = f"names {len(strangers)} images that are no training images, as {strangers[0]}"
    return found, [Problem(path, message, warning=True)]


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, image and group of each row, the header included, without those of other splits."""
    lines = _lines(path)
    columns = [cell.lower() for cell in next(lines, (0, []))[1]]
    if len(columns) < 2:
        raise UserError(f"{path} has fewer than two columns; it needs a header as image,group")
    image, group = _column(columns, IMAGE_COLUMNS, 0), _column(columns, GROUP_COLUMNS, 1)
    if image == group:
        raise UserError(f"{path} does not say which column is the group: name it group")
    split = columns.index("split") if "split" in columns else None
    for line, cells in _lines(path):
        if len(cells) < len(columns):
            raise UserError(
                f"{path} has fewer columns in line {line} than in its header; complete it"
            )
        if line == 1 or split is None or split_of(cells[split]) in (None, "train"):
            yield line, cells[image], cells[group]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line of a csv that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        reader = csv.reader(StringIO(text), delimiter=max(",;\t", key=header.count))
        yield from ((reader.line_num, [cell.strip() for cell in row]) for row in reader if row)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a csv") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no csv in UTF-8 ({error}); save it as one") from error


def _column(columns: Sequence[str], known: Sequence[str], default: int) -> int:
    return next((columns.index(name) for name in known if name in columns), default)


def _names_meant(image: str) -> Iterator[str]:
    """Names that an image may have in a data set, of what a table calls it."""
    yield composed(image)
    yield sample_name(image)
    yield stem(image.replace("\\", "/").rpartition("/")[2], IMAGE_ENDING, "_img")
