"""How far a command is: count, throughput and time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Protocol, TypeVar

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

from spatialembed.console.output import errors

Item = TypeVar("Item")

EVERY = 15.0
"""Seconds between two lines of progress where there is no terminal."""


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
            errors.print(told, soft_wrap=True)


class _Throughput(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.3g} {task.fields['of']}/s" if speed else "")
