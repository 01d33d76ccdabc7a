"""What a process has to do without that was forked from one where a network had run.

Threads do not come along, as by multiprocessing's "fork", the default on Linux up to Python 3.13.
Whatever then waits for one never ends: torch for those of OpenMP, and OpenVINO, which keeps the
threads of a network that was let go for the next one.
"""

from __future__ import annotations

import os
import sys

_forked = False


def _without_threads() -> None:
    global _forked
    _forked = True
    if torch := sys.modules.get("torch"):  # as torch does in processes that load its data
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_without_threads)


def engine_hints() -> dict[str, int]:
    """Settings of OpenVINO by which a network runs, in a forked process, in the thread that calls
    it; none in others.
    """
    return {"NUM_STREAMS": 0, "INFERENCE_NUM_THREADS": 1} if _forked else {}
