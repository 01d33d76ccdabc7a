"""Ctrl+C and SIGTERM end a command the same way, with the processes that it has started."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from types import FrameType, TracebackType
from typing import Any, NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl+C does."""


@contextmanager
def terminations() -> Iterator[None]:
    """Let SIGTERM raise :class:`Terminated` in the main thread, which is the one signals reach."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def postponed(tell: Callable[[], None]) -> Iterator[list[type[KeyboardInterrupt]]]:
    """Let Ctrl+C and SIGTERM wait, so that what is under way is not left half done.

    Args:
        tell: called when one waits; a second is not postponed.

    Yields:
        What is to be raised, as soon as it is not empty.
    """
    waiting: list[type[KeyboardInterrupt]] = []
    before: dict[signal.Signals, Any] = {}

    def wait(number: int, frame: FrameType | None) -> None:
        if waiting:
            before[signal.Signals(number)](number, frame)
        waiting.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        tell()

    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(each)):  # else it ends the process, or is ignored
                before[each] = signal.signal(each, wait)
    try:
        yield waiting
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def interrupt_in(error: BaseException | None) -> KeyboardInterrupt | None:
    """The interrupt that an error is or came of: compiled code turns it into errors of its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def undisturbed(*signals: signal.Signals) -> Iterator[None]:
    """Processes that are started here never see these signals: who started them ends them.

    Ctrl+C and SIGTERM are sent to all processes of a terminal or a batch job at once, and what
    each would say then hides the one sentence.
    """
    if not hasattr(signal, "sigwaitinfo"):  # Windows and macOS
        yield
        return
    # Multiprocessing starts its tracker with its first process, and lets the signals through then.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def obey_parent() -> None:
    """In a process that is started undisturbed: end with the one that started it, and at its word.

    That is a SIGTERM of its own, as :mod:`multiprocessing` sends it; one of anyone else is not.
    """
    sys.excepthook = _unless_parted
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_at_word, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _end_at_word() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(1)


def _unless_parted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What hands crops over, in a thread, has nothing to say of a parent that was interrupted."""
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, trace)


def _terminate(*_: object) -> NoReturn:
    raise Terminated
