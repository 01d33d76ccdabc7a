"""Runs that are begun at once into one folder of results."""

import signal
import time
from multiprocessing import get_context

import pytest

from spatialembed.errors import UserError
from spatialembed.files.folder_lock import SHARED
from spatialembed.formats.at_work import at_work
from spatialembed.formats.results_folder import Results

MINE = {"model": "nuclei", "seed_threshold": 0.9, "min_size": 5}


def _work(out, settings) -> None:
    with at_work(Results(out), settings, False, ["a"]):
        (out / "held").touch()
        signal.pause()


def working(out, settings):
    """A process that is at work in a folder until it is killed."""
    process = get_context("forkserver").Process(target=_work, args=(out, settings))
    process.start()
    while not (out / "held").exists():
        time.sleep(0.01)
    (out / "held").unlink()
    return process


def test_runs_of_other_settings_wait_and_those_of_the_same_share_the_folder(tmp_path) -> None:
    out = tmp_path / "new" / "found"
    first = working(out, MINE)
    second = working(out, MINE)
    for other in ({"min_size": 6}, {"model": "cells"}):
        for overwrite in (False, True):
            with (
                pytest.raises(
                    UserError, match=r"another run with m.* \(now .* is at work in .*nd;"
                ),
                at_work(Results(out), MINE | other, overwrite, ["a"]),
            ):
                raise AssertionError
    with at_work(Results(out), MINE, False, ["a"]):
        pass
    assert (out / "settings.json").is_file()  # others are at work still
    for process in (first, second):
        process.kill()
        process.join()
    with at_work(Results(out), MINE | {"min_size": 6}, False, ["a"]):
        assert "6" in (out / "settings.json").read_text()
        assert (out / SHARED).is_file()
    assert list(out.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"could not write .*file.found"),
        at_work(Results(tmp_path / "file" / "found"), MINE, False, []),
    ):
        raise AssertionError
