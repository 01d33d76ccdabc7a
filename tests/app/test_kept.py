"""What open pages hold: bounded, and gone with them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spatialembed.app.kept import Kept
from spatialembed.app.study import Study
from spatialembed.app.temporary import PREFIX, sweep


def image(size: int = 100) -> Study:
    return Study("a", np.zeros((size, 1, 1), np.uint8), np.zeros((5, size, 1), np.float32), None)


def test_the_one_not_looked_at_for_longest_goes_first() -> None:
    kept = Kept(most=2 * 21 * 100)
    first, second = kept.put(image()), kept.put(image())
    assert kept.get(first) is not None
    third = kept.put(image())
    assert [kept.get(token) is None for token in (first, second, third)] == [False, True, False]
    huge = kept.put(image(10_000))
    assert kept.get(huge) is not None
    assert kept.get(first) is kept.get(third) is None


def test_what_nobody_looks_at_goes_and_what_is_dropped_too() -> None:
    kept = Kept(idle=0.05)
    token = kept.put(image())
    for _ in range(200):
        if not kept._studies:
            break
        time.sleep(0.05)
    assert kept.get(token) is None
    token = kept.put(image())
    kept.drop(token)
    kept.drop(None)
    assert kept.get(token) is None


PAGE = """
import sys, tempfile
from spatialembed.app.temporary import keep_together
folder = keep_together()
tempfile.NamedTemporaryFile(delete=False).write(b"image")
print(folder, flush=True)
sys.stdin.read()
"""


def page(base: Path) -> tuple[subprocess.Popen[str], Path]:
    environment = {**os.environ, "TMPDIR": str(base)}
    environment.pop("GRADIO_TEMP_DIR", None)
    process = subprocess.Popen(
        [sys.executable, "-c", PAGE],
        env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_files_of_a_killed_page_go_at_the_next_start_and_those_of_others_stay(tmp_path) -> None:
    (tmp_path / "others").mkdir()
    (tmp_path / f"{PREFIX}file").write_text("")
    running, its = page(tmp_path)
    killed, left = page(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(list(left.iterdir())) == 2  # a lock and an upload
    sweep(tmp_path)
    assert not left.exists()
    assert its.is_dir()
    running.communicate("")
    assert not its.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"others", f"{PREFIX}file"}
