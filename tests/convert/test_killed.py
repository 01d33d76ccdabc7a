"""A conversion that is killed leaves nothing that the next one does not remove."""

import signal
import subprocess
import sys

import pytest
from test_ultralytics import put

from spatialembed.convert.run import convert

pytest.importorskip("fcntl")

KILLED = """
import os, signal, sys
from spatialembed.convert import run
run.label_folders.write = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
run.convert(sys.argv[1], sys.argv[2])
"""


def test_the_next_conversion_removes_what_is_left(tmp_path) -> None:
    root = put(tmp_path / "in", "images/train", "labels/train", "names: [cell]\n")
    out = tmp_path / "made" / "out"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(root), str(out)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [each.is_dir() for each in out.parent.iterdir()] == [True]
    assert not out.exists()
    convert(root, out)
    assert [each.name for each in out.parent.iterdir()] == ["out"]
