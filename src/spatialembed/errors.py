"""What a user is told when something is wrong, and how files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(ValueError):
    """One sentence that names the file or option at fault and what to do about it.

    The command line prints it alone, without a traceback, and exits with 1.
    """


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place only if the block succeeds.

    The temporary name keeps the suffix, so that writers which look at it still work. On any
    error the temporary file is removed and an existing ``path`` stays as it was.

    Raises:
        UserError: the folder does not exist and cannot be made, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
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


def missing_extra(what: str, extra: str) -> UserError:
    """The error for a library that comes with an extra which is not installed."""
    return UserError(f"{what} needs the '{extra}' extra: pip install 'spatialembed[{extra}]'")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
