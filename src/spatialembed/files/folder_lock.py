"""A folder is one run's at a time, or that of several which agree; one that is killed leaves it
free.

Locks are the process's own, by lockf: loader workers, which outlive a run that is killed for a
moment, would keep one by flock (filelock's kind). Where a file system has none nothing is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spatialembed.errors import UserError
from spatialembed.files.writing import missing_folders, sweep

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # asked for below

LOCK = ".lock"
"""The file that a run alone holds, in its folder."""

SHARED = ".predict.lock"
"""That which several hold."""

_TURN, _WORK = 0, 1
"""Bytes of it: one run alone has the first while it begins or ends, all have the second."""


@contextmanager
def one_run(out: Path) -> Iterator[None]:
    """Keep a run folder, made if need be, from other runs; remove what killed writes left in it.

    A folder made for nothing is removed again.

    Raises:
        UserError: another run is at work there.
    """
    made = missing_folders(out)
    try:
        with alone(out / LOCK, f"another training is at work in {out}"):
            sweep(out)
            yield
    finally:
        _remove(made)


@contextmanager
def alone(lock: Path, refusal: str) -> Iterator[None]:
    """Hold a file, in a folder that is made if need be; it goes after the block.

    Raises:
        UserError: another process does, as ``refusal`` has it, or it cannot be made.
    """
    with _told(lock.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _taken(lock, wait=False)
    if handle is None:
        raise UserError(f"{refusal}; wait until it ends, or choose another --out")
    try:
        yield
    finally:
        _close(handle, lock)


@contextmanager
def shared(out: Path, begin: Callable[[bool], None], end: Callable[[], None]) -> Iterator[None]:
    """Share a folder, made if need be, with other runs; one made for nothing is removed again.

    Args:
        out: the folder.
        begin: called before the block, while no other run begins or ends, with whether none is at
            work.
        end: called after the block, or where ``begin`` raises, in the same way where none is.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    made = missing_folders(out)
    with _told(out):
        out.mkdir(parents=True, exist_ok=True)
        handle = _taken(out / SHARED, wait=True)
    assert handle is not None  # it was waited for
    try:
        begin(_locked(handle, _WORK))
        _locked(handle, _WORK, share=True)
        _unlock(handle, _TURN)
        yield
    finally:
        _locked(handle, _TURN, wait=True)
        if _locked(handle, _WORK):
            end()
            _close(handle, out / SHARED)
        else:
            os.close(handle)
        _remove(made)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What goes wrong with a folder as one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"could not write {folder}: {error.strerror}; choose another folder"
        ) from error


def _taken(path: Path, wait: bool) -> int | None:
    """The open file whose first byte is this process's alone; None where it is another's."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _locked(handle, _TURN, wait=wait):
            os.close(handle)
            return None
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # the run that had it ended in between


def _locked(handle: int, byte: int, share: bool = False, wait: bool = False) -> bool:
    """Lock a byte; False where another process has it."""
    if fcntl is None:
        return True
    how = fcntl.LOCK_SH if share else fcntl.LOCK_EX
    try:
        fcntl.lockf(handle, how if wait else how | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _unlock(handle: int, byte: int) -> None:
    if fcntl is not None:
        with suppress(OSError):
            fcntl.lockf(handle, fcntl.LOCK_UN, 1, byte)


def _close(handle: int, path: Path) -> None:
    """Close a lock's file, which goes."""
    with suppress(PermissionError):  # Windows keeps what is open
        path.unlink(missing_ok=True)
    os.close(handle)


def _remove(folders: list[Path]) -> None:
    """Remove folders that hold nothing, the innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
