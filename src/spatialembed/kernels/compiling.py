"""Compiling of kernels, and where what was compiled is kept: a folder for each state of sources.

numba compares a kernel's own file to tell whether what it kept is still right. But kernels call
those of other files, which are compiled into them, and would stay as they were after an edit or a
pull of these. So the folder is named by all files beside this one: other sources, another folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numba

config: Any = numba.config

Function = TypeVar("Function", bound=Callable[..., Any])

KEPT = 4
"""Folders of former sources that stay: branches that are worked on in turns."""


def kernel(**options: Any) -> Callable[[Function], Function]:
    """Compile a function when it is first called, as ``numba.njit(**options)``, and keep that.

    Every kernel must be made by this decorator, in a file of this folder.
    """

    def decorate(function: Function) -> Function:
        folder, before = cache_folder(), config.CACHE_DIR
        config.CACHE_DIR = folder  # looked at once, here
        try:
            # What is called and not inlined would be a kernel's own copy where it is loaded, and
            # another, of other rounding, in the process that compiled both.
            inlined = not options.get("parallel")
            # Without Python's lock: another thread may read the next image meanwhile. Parallel ones
            # keep it: their pool of threads need not bear two of them at once.
            jit = numba.njit(cache=bool(folder), forceinline=inlined, nogil=inlined, **options)
            compiled: Function = jit(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return decorate


@lru_cache(maxsize=1)
def cache_folder() -> str:
    """Where kernels of these sources are kept; empty where nothing can be written.

    In ``NUMBA_CACHE_DIR`` if that is set, else beside the package, else in the user's cache.
    """
    kernels = Path(__file__).parent
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    places = [kernels / "__pycache__", Path(user) / "spatialembed"]
    if config.CACHE_DIR:
        places = [Path(config.CACHE_DIR)]
    mine = f"kernels-{sha256(str(kernels).encode()).hexdigest()[:8]}-"
    for place in places:
        folder = place / f"{mine}{_digest(kernels)[:16]}"
        with suppress(OSError):
            is_new = not folder.is_dir()
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            os.utime(folder)
            if is_new:
                _forget(place.glob(f"{mine}*"))
            return str(folder)
    return ""


def _digest(kernels: Path) -> str:
    whole = sha256()
    for path in sorted(kernels.glob("*.py")):
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _forget(folders: Iterable[Path]) -> None:
    """Delete all but the latest."""
    ages = []
    for folder in folders:
        with suppress(OSError):  # another process deletes it
            ages.append((folder.stat().st_mtime, str(folder)))
    for _, former in sorted(ages)[: -KEPT - 1]:
        shutil.rmtree(former, ignore_errors=True)


@lru_cache
def say_when_compiling() -> None:
    """Say so, once, when compiled kernels are not yet there: the first run waits for them."""
    from numba.core import event

    from spatialembed.console.output import errors

    class Listener(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                errors.print("compiling for this processor, which only the first run waits for")
            self.said = True

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Listener())
