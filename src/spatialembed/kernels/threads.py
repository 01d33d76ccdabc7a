"""Threads of the compiled kernels: as many as torch has, which keeps its own number of them; and
how many there may be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numba

from spatialembed.kernels.compiling import config

# OpenVINO brings TBB along, which numba would take as soon as that is loaded: a second pool beside
# torch's threads, of OpenMP, a complaint wherever workers that draw crops are forked, and at times
# a process that never ends, as numba waits for threads that are gone.
if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    config.THREADING_LAYER_PRIORITY = sorted(config.THREADING_LAYER_PRIORITY, key="tbb".__eq__)


@contextmanager
def as_many_as_torch() -> Iterator[int]:
    """Let compiled kernels run on torch's number of threads, and give it.

    Both may share one pool of OpenMP threads. A kernel that starts it would change the number
    that torch goes on with, and with it the order of torch's sums.
    """
    import torch

    wanted, before = torch.get_num_threads(), numba.get_num_threads()
    try:
        yield use_threads(wanted)
    finally:
        numba.set_num_threads(before)
        torch.set_num_threads(wanted)


def use_threads(wanted: int) -> int:
    """Let compiled kernels run on that many threads, or as many as there are; how many that is."""
    threads: int = min(wanted, config.NUMBA_NUM_THREADS)
    numba.set_num_threads(threads)
    return threads


def cores() -> int:
    """Of the machine, that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
