"""What a user is told when something is wrong, and how files are written whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def missing_extra(what: str, extra: str) -> UserError:
    """The error for a library that comes with an extra which is not installed."""
    return UserError(f"{what} needs the '{extra}' extra: pip install 'spatialembed[{extra}]'")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
