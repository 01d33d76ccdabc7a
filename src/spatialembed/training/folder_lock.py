"""A run folder is one run's at a time, and a run that is killed leaves it free."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spatialembed.errors import UserError
from spatialembed.files.writing import sweep

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # asked for below

LOCK = ".lock"
"""The file that a run holds, in its folder."""


@contextmanager
def one_run(out: Path) -> Iterator[None]:
    """Keep a run folder, made if need be, from other runs; remove what killed writes left in it.

    The lock is the process's own, by lockf: loader workers, which outlive one that is killed for a
    moment, would keep one by flock (filelock's kind). A folder made for nothing is removed again.

    Raises:
        UserError: another run is at work there.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        handle = _lock(out / LOCK)
        try:
            sweep(out)
            yield
        finally:
            (out / LOCK).unlink(missing_ok=True)
            os.close(handle)
    finally:
        for folder in made:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def _lock(path: Path) -> int:
    """The open file that holds the lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            os.close(handle)
            raise UserError(
                f"another training is at work in {path.parent}; wait until it ends, or choose "
                "another --out"
            ) from error
        except OSError:
            pass  # a file system without locks
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # the run that had it ended in between
