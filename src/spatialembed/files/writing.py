"""How files are written: whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from spatialembed.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # asked for below

_PART = ".spatialembed-part-"
"""How names of temporary files begin."""

_SCRATCH = ".spatialembed-scratch-"
"""How names of folders begin in which something is made."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place only if the block succeeds.

    The temporary name keeps the suffix, so that writers which look at it still work. On any
    error the temporary file is removed and an existing ``path`` stays as it was. What a process
    that was killed left is removed by the next that writes into the folder; see :func:`sweep`.

    Raises:
        UserError: the folder does not exist and cannot be made, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(path.parent)
        handle, temporary = _reserve(path)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"could not write {path}: {reason}; free space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
            os.close(handle)


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write plain values as JSON, whole or not at all; for people to read with an ``indent``."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent), encoding="utf-8")


def write_csv(path: str | Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a table as CSV, whole or not at all; the first row names the columns."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@contextmanager
def new_folder(out: Path, source: Path) -> Iterator[Path]:
    """Give a folder that becomes ``out`` only if the block succeeds.

    Its parent is for the block's own use, and goes at the end.

    Args:
        out: which must not be there yet.
        source: what is read, in which ``out`` must not lie.

    Raises:
        UserError: ``out`` is there, within ``source`` or cannot be made, or the disk is full.
    """
    if os.path.lexists(out):
        raise UserError(f"{out} exists already; remove it or choose another folder")
    if out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{out} is within {source}, which is read; choose a folder beside it")
    within = next((each for each in out.parents if os.path.lexists(each)), out.parent)
    if not within.is_dir():
        raise UserError(f"{out} cannot be made, as {within} is no folder; choose another place")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(out.parent) as scratch:
            made = scratch / out.name
            made.mkdir()
            yield made
            os.rename(made, out)
    except OSError as error:
        where = error.filename or out
        raise UserError(
            f"{where}: {error.strerror or error}; free space or choose another folder"
        ) from error


def sweep(folder: str | Path) -> None:
    """Remove the temporary files in a folder, and below it, whose writers are no more.

    A writer holds a lock on its file, which ends with it, on whichever machine that was; where
    the file system has no locks nothing is removed.
    """
    for place, _, names in os.walk(folder):
        _remove_parts(Path(place), names)


@lru_cache(maxsize=1000)
def _sweep_once(folder: Path) -> None:
    with suppress(OSError):
        _remove_parts(folder, os.listdir(folder))


def _remove_parts(folder: Path, names: list[str]) -> None:
    for name in names:
        if re.fullmatch(re.escape(_PART) + r"[a-z0-9_]{8}(\.[^.]*)?", name):
            with suppress(OSError):
                _remove_part(folder / name)


def _remove_part(path: Path) -> None:
    if fcntl is None:
        return
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(handle)


def _reserve(path: Path) -> tuple[int, Path]:
    """A new temporary file beside ``path``, and the open file that holds its lock."""
    while True:
        handle, name = tempfile.mkstemp(prefix=_PART, suffix=path.suffix, dir=path.parent)
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # swept before the lock was taken


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A folder within ``parent`` in which something is made; it goes after the block.

    What processes that were killed left of such is removed, as :func:`sweep` does with files.

    Raises:
        OSError: it cannot be made.
    """
    for left in parent.glob(f"{_SCRATCH}*"):
        with suppress(OSError):
            if fcntl is not None:
                os.close(_locked(left))
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent))
    handle = None
    try:
        with suppress(OSError):  # a file system without locks
            handle = None if fcntl is None else _locked(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _locked(folder: Path) -> int:
    """An open folder with its lock; raises an OSError where another process has that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def missing_folders(folder: str | Path) -> list[Path]:
    """Of a folder and those that it lies in those that are not there, the innermost first."""
    return [each for each in (Path(folder), *Path(folder).parents) if not each.exists()]


def require_writable(folder: str | Path, option: str = "--out") -> None:
    """Refuse a folder that results could not be written to, before they are made.

    Args:
        folder: which need not be there yet; nothing is left in it.
        option: that names it.

    Raises:
        UserError: it, or a folder above it, is a file or cannot be written to.
    """
    there = Path(folder)
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({there}: {error.strerror}); choose another {option}"
        ) from error


@cache
def _umask() -> int:
    # Asked once: to ask is to change it, which files that other threads make would see.
    mask = os.umask(0)
    os.umask(mask)
    return mask
