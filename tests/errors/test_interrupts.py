"""Processes that are started undisturbed see no Ctrl+C, not even the first of a program."""

import signal
import subprocess
import sys

import pytest

FIRST_OF_A_PROGRAM = """
import multiprocessing, signal
from spatialembed.errors.interrupts import undisturbed
with undisturbed(signal.SIGINT):
    pool = multiprocessing.get_context("spawn").Pool(1)
print(signal.SIGINT in pool.apply(signal.pthread_sigmask, (signal.SIG_BLOCK, [])))
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
pool.terminate()
"""


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="signals cannot be blocked here")
def test_the_first_process_of_a_program_is_undisturbed() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FIRST_OF_A_PROGRAM], check=True, capture_output=True, text=True
    ).stdout
    assert said.split() == ["True", "False"]
