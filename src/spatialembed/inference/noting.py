"""What is said of an image while it is worked on, kept with its outcome instead of printed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spatialembed.errors import ImageWarning
from spatialembed.inference.card_memory import image_within_memory


@contextmanager
def noting(name: str) -> Iterator[list[str]]:
    """What there is to know of an image of that name, instead of warnings of it.

    Raises:
        UserError: it does not fit in a GPU's memory.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught, image_within_memory(name):
        warnings.simplefilter("always", ImageWarning)
        yield notes
    for warning in caught:
        if isinstance(warning.message, ImageWarning):
            notes.append(warning.message.note)
        else:
            of: Any = (warning.message, warning.category, warning.filename, warning.lineno)
            warnings.warn_explicit(*of)
