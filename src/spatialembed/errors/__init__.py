"""What a user is told when something is wrong."""

from __future__ import annotations

import re
from numbers import Real


class UserError(ValueError):
    """One sentence that names the file or option at fault and what to do about it.

    The command line prints it alone, without a traceback, and exits with 1.
    """


def kind_of(note: str) -> str:
    """A note without its figures."""
    return re.sub(r"[\d.e+-]+", "", note)


class ImageWarning(UserWarning):
    """What to know of an image before its result is believed.

    Attributes:
        note: what is to be said.
        name: of the image.
    """

    def __init__(self, note: str, name: str) -> None:
        super().__init__(f"{name}: {note}")
        self.note = note
        self.name = name

    def __reduce__(self) -> tuple[type[ImageWarning], tuple[str, str]]:
        return ImageWarning, (self.note, self.name)


def require_number(value: object, what: str, whole: bool = False) -> None:
    """Refuse what is no number, as text, before it is compared with one.

    Raises:
        UserError: it is none of NumPy's or Python's, or has a fraction where it must be ``whole``.
    """
    fits = isinstance(value, Real) and not isinstance(value, bool)
    if not fits or (whole and isinstance(value, Real) and not float(value).is_integer()):
        kind = "whole number" if whole else "number"
        raise UserError(f"{what} is a {kind}, not {str(value)[:60]!r}")


def missing_extra(what: str, extra: str) -> UserError:
    """The error for a library that comes with an extra which is not installed."""
    return UserError(f"{what} needs the '{extra}' extra: pip install 'spatialembed[{extra}]'")
