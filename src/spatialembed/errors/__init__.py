"""What a user is told when something is wrong."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any


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


def require_number(value: Any, what: str, whole: bool = False) -> float:
    """A number as Python has it; what is none, as text, is refused before it is compared with one.

    An array or tensor without axes is the number in it.

    Raises:
        UserError: it is none of NumPy's or Python's, or has a fraction where it must be ``whole``.
    """
    plain: Any = value.item() if getattr(value, "ndim", None) == 0 else value
    is_number = isinstance(plain, Real) and not isinstance(plain, bool)
    if is_number and (not whole or float(plain).is_integer()):
        return int(plain) if whole else float(plain)
    raise UserError(f"{what} is a {'whole ' * whole}number, not {str(value)[:60]!r}")


def missing_extra(what: str, extra: str) -> UserError:
    """The error for a library that comes with an extra which is not installed."""
    return UserError(f"{what} needs the '{extra}' extra: pip install 'spatialembed[{extra}]'")
