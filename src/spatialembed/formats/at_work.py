"""Runs at work in one folder of results: several may be, with the same settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from spatialembed.errors import UserError
from spatialembed.files.folder_lock import shared
from spatialembed.files.names import SETTINGS_FILE
from spatialembed.formats.results_folder import Results
from spatialembed.formats.settings_file import settings_in


@contextmanager
def at_work(
    results: Results,
    settings: dict[str, Any],
    overwrite: bool,
    names: Collection[str],
    others: Collection[Path] = (),
) -> Iterator[None]:
    """Agree on settings with what is in the folder, and keep runs of other ones from it meanwhile.

    What is there of no result is taken away again, where none came of the block and none was there.

    Args:
        results: their folder, which is made if need be.
        settings, overwrite, names: as :meth:`Results.agree` takes them.
        others: files beside the settings that go where there is no result.

    Raises:
        UserError: as :meth:`Results.agree`, or the folder cannot be written to.
    """
    agree = partial(results.agree, settings, overwrite, names)
    with shared(results.out, agree, partial(_clear, results, others)):
        yield


def _clear(results: Results, others: Collection[Path]) -> None:
    if next(results.label_tiffs(), None) is None:
        with suppress(OSError, UserError):
            settings_in(results.out, {})  # another program's stays
            for file in (results.out / SETTINGS_FILE, *others):
                file.unlink(missing_ok=True)
