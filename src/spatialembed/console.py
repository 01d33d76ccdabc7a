"""What the command line prints: progress with throughput, and figures in columns."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Item = TypeVar("Item")

# Tables that are piped or stored keep their columns; rich would fold them at 80 letters.
console = Console(width=None if sys.stdout.isatty() else 200)
errors = Console(stderr=True)


EVERY = 15.0
"""Seconds between two lines of progress where there is no terminal."""


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


class Track(Protocol):
    """Passes items on and shows how far it is; what long functions take as ``track``."""

    def __call__(
        self, items: Iterable[Item], total: int, doing: str, of: str = "images"
    ) -> Iterator[Item]: ...


def silent(items: Iterable[Item], total: int, doing: str, of: str = "images") -> Iterator[Item]:
    """Passes items on and shows nothing: a library's default."""
    yield from items


def track(items: Iterable[Item], total: int, doing: str, of: str = "images") -> Iterator[Item]:
    """Pass items on while a bar on the terminal shows count, number a second and time left.

    Where there is no terminal a line says so now and then.
    """
    if not errors.is_terminal:
        yield from _tell(items, total, doing, of)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Throughput(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    ) as progress:
        task = progress.add_task(doing, total=total, of=of)
        for item in items:
            yield item
            progress.advance(task)


def warn(warnings: Iterable[object]) -> None:
    """Say what does not keep a command from its work, but may not be meant."""
    for warning in warnings:
        errors.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def _tell(items: Iterable[Item], total: int, doing: str, of: str) -> Iterator[Item]:
    began = spoke = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - spoke > EVERY:
            spoke = now
            speed = done / (now - began)
            left = timedelta(seconds=round((total - done) / speed))
            told = f"{doing}: {done} of {total} {of}, {speed:.3g} {of}/s, {left} left"
            errors.print(told, markup=False, highlight=False, soft_wrap=True)


@lru_cache
def say_when_compiling() -> None:
    """Say so, once, when compiled kernels are not yet there: the first run waits for them."""
    from numba.core import event

    class Listener(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                errors.print("compiling for this processor, which only the first run waits for")
            self.said = True

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Listener())  # type: ignore[no-untyped-call]


class _Throughput(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.3g} {task.fields['of']}/s" if speed else "")
