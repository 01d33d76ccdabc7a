"""Files appear whole or not at all, and what a killed write left is removed."""

import os
from contextlib import suppress

from spatialembed.files.writing import atomic_write, sweep


def left_behind(folder):
    """A temporary file as a process that was killed leaves it: with nobody's lock."""
    path = folder / ".spatialembed-part-abcd1234.pt"
    path.write_text("half")
    return path


def test_what_a_killed_write_left_is_swept_and_nothing_else(tmp_path) -> None:
    inside = tmp_path / "pictures"
    inside.mkdir()
    gone = [left_behind(tmp_path), left_behind(inside)]
    others = [tmp_path / name for name in (".config-abcd1234.pt", "x.pt", ".spatialembed-val.npz")]
    for path in others:
        path.write_text("precious")
    with atomic_write(tmp_path / "y.pt") as living:
        left_behind(tmp_path)
        sweep(tmp_path)
        assert living.exists()
        living.write_text("whole")
    assert (tmp_path / "y.pt").read_text() == "whole"
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in others)


def test_the_next_write_into_a_folder_sweeps_it(tmp_path) -> None:
    path = left_behind(tmp_path)
    with atomic_write(tmp_path / "x.txt") as temporary:
        temporary.write_text("whole")
    assert not path.exists()
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path) -> None:
    (tmp_path / "x.txt").write_text("before")
    with suppress(ZeroDivisionError), atomic_write(tmp_path / "x.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "x.txt").read_text() == "before"
    assert os.listdir(tmp_path) == ["x.txt"]
