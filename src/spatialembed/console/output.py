"""Where lines go: figures to the standard output, what is wrong to the other one."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console

# Tables that are piped or stored keep their columns; rich would fold them at 80 letters.
# Names of files and classes are printed as they are: in rich's own markup "[a]" would be a style,
# and ":a:" a picture.
console = Console(
    width=None if sys.stdout.isatty() else 200, markup=False, highlight=False, emoji=False
)
errors = Console(stderr=True, markup=False, highlight=False, emoji=False)


@contextmanager
def others_silent() -> Iterator[None]:
    """Nothing that other libraries log or warn of comes before our own sentence.

    Our own warnings are left as they are; ``python -W`` shows the others nevertheless.
    """
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=r"(?!spatialembed\b)")
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)


def warn(warnings: Iterable[object]) -> None:
    """Say what does not keep a command from its work, but may not be meant."""
    for warning in warnings:
        errors.print(f"warning: {warning}", soft_wrap=True)
