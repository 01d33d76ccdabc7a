"""Folders in which something is made: gone in the end, or at the next start."""

import signal
import subprocess
import sys

import pytest

from spatialembed.files.writing import scratch_folder

pytest.importorskip("fcntl")

KILLED = """
import os, signal, sys
from pathlib import Path
from spatialembed.files.writing import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "half").mkdir()
    (folder / "half" / "a.tif").write_text("a")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_and_what_one_at_work_has_stays(tmp_path) -> None:
    (tmp_path / "own").mkdir()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    [left] = tmp_path.glob(".spatialembed-scratch-*")
    assert (left / "half" / "a.tif").exists()
    with scratch_folder(tmp_path) as first, scratch_folder(tmp_path) as second:
        assert not left.exists()
        assert first.is_dir()
        assert second.is_dir()
    assert [each.name for each in tmp_path.iterdir()] == ["own"]
