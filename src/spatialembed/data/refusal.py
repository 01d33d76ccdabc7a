"""Refusing a data set for what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    from .sample import Problem


def refuse(problems: Iterable[Problem], path: str | Path) -> None:
    """Raise a UserError of the first problem that is no warning, if there is one.

    Args:
        problems: of a data set.
        path: its folder, which ``check`` lists them of.
    """
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        others = f" (and {len(errors) - 1} more such)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0]}{others}; `spatialembed check {path}` lists every problem")
