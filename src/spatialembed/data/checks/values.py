"""What a check says of the images' values: pixels that are no number, and ranges that mislead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from spatialembed.data.data_set import Problem
from spatialembed.files.pixel_values import Values


def value_problems(values: Mapping[Path, Values]) -> Iterator[Problem]:
    """Warnings about the images of one split, whose values are given by file."""
    for file, found in values.items():
        if found.not_finite:
            share = found.not_finite / found.pixels
            message = (
                f"has {found.not_finite} pixels ({share:.2%} of all) that are NaN or infinite, "
                "which become 0; replace them"
            )
            yield Problem(file, message, warning=True)
    kinds = defaultdict(list)
    for file, found in values.items():
        kinds[str(found.dtype), found.white].append(file)
    usual = max(kinds, key=lambda kind: len(kinds[kind]), default=None)
    for kind, files in kinds.items():
        found = values[files[0]]
        of = f" ({len(files)} such images)" if len(files) > 1 else ""
        if kind != usual and usual is not None:
            message = (
                f"is {found.words}, most images are {usual[0]} up to {usual[1]:g}{of}; with "
                "--normalization range convert it to theirs, percentile goes by each image's own"
            )
            yield Problem(files[0], message, warning=True)
        elif not found.fills_type:
            yield Problem(files[0], _guessed(found) + of, warning=True)


def _guessed(values: Values) -> str:
    white = "it is taken as it is" if values.is_standardised else f"{values.white:g} becomes 1"
    return (
        f"is {values.words}, which does not fill its type: with --normalization range {white}, "
        "percentile goes by each image's own values"
    )
