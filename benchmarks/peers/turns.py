"""What every worker of ../peers.py shares: it is asked line by line, and answers line by line.

The workers run in environments that lack this project and whatever it depends on, so that this file
takes the standard library alone.
"""

import json
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add what the block takes to a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - start


def serve(load: Callable[[], Callable[..., None]], train: Callable[..., Any] | None = None) -> None:
    """Load a model, then answer each line of JSON on stdin by one on stdout, until stdin ends.

    Args:
        load: gives what works on one image, called with a clock, the path of the image, that of its
            label mask and that of the labels to write.
        train: called instead, with what follows the word "train" on the command line: a folder with
            train and val, one for the labels that it finds of val, and minutes. It says how many
            "steps" it made, whether there are "labels", and what is to be "told".
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    if sys.argv[1:2] == ["train"]:
        assert train is not None
        print(json.dumps(train(*sys.argv[2:])), file=answers, flush=True)
        return
    work = load()
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        clock = Clock()
        start = time.perf_counter()
        for paths in json.loads(line):
            work(clock, *paths)
        whole = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        answer = {"whole": whole, "GB": peak} | clock.seconds
        print(json.dumps(answer), file=answers, flush=True)


def without_operators() -> None:
    """Let torchvision be imported where its compiled part is not for this build of torch.

    Its packages are built for CUDA and do not load beside a CPU build; none of its own operators
    is needed here.
    """
    import torch

    for name in ("nms", "qnms"):
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", signature)
