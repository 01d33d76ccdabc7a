"""The page's temporary files: in a folder of its own, which goes with it or at the next start."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

PREFIX = "spatialembed-page-"
"""How the folders of all pages are called; each holds a lock as long as its process lives."""


@cache
def keep_together() -> Path:
    """Have this process's temporary files in one folder, and remove those of killed pages.

    Returns:
        The folder, which is removed as the process ends.
    """
    base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    base.mkdir(parents=True, exist_ok=True)
    sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = _lock(folder)
    lock.acquire()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(lock.release)
    tempfile.tempdir = str(folder)  # where uploads lie as they come in
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    return folder


def sweep(base: Path) -> None:
    """Remove what pages left whose processes are no more; never what another user's did."""
    from filelock import Timeout

    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            if folder.is_symlink() or folder.stat().st_uid != _user():
                continue
            with _lock(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # on Windows files have no number


def _lock(folder: Path) -> BaseFileLock:
    from filelock import FileLock

    return FileLock(folder / ".lock", timeout=0)
