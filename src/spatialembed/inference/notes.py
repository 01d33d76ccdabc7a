"""What predicted images have in common that is to be known before their results are believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from spatialembed.errors import kind_of

if TYPE_CHECKING:
    from spatialembed.inference.folder import Outcome

SHOWN = 10
"""Lines of one kind that are said of images."""


def notes_of(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was noted of images, a line each; of many of one kind the first and their number."""
    kinds: dict[str, list[str]] = {}
    for outcome in outcomes:
        for note in outcome.notes:
            line = f"{outcome.image.path}: {note}"
            kinds.setdefault(kind_of(note), []).append(line)
    for lines in kinds.values():
        yield from lines[:SHOWN]
        if len(lines) > SHOWN:
            yield f"and {len(lines) - SHOWN} more images as these"
