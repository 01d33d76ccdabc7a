"""How the benchmark of a card times: by its own clock, beside what the card can do at most."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from measure import seconds, show

MOST_RUNS = 15
"""Calls of one work that are timed at most. On a CPU, which is there for the benchmark's own test,
it is one, and none before it."""


@dataclass(frozen=True)
class Bench:
    """What the sections of the benchmark share.

    Args:
        device: that is measured, a card or the CPU.
        small: sizes that a CPU is done with in seconds.
        out: folder of the results.
        scratch: folder for files that are made on the way.
        stop: ``time.monotonic()`` by which all must be done.
        dsb2018: folder of the data to train on.
        minutes: of that training.
    """

    device: torch.device
    small: bool
    out: Path
    scratch: Path
    stop: float
    dsb2018: Path | None = None
    minutes: float = 3.0

    def pick(self, full: Any, small: Any) -> Any:
        """The size for a card, or the small one."""
        return small if self.small else full


class Figure(NamedTuple):
    """What one case of a section gave."""

    value: float
    unit: str = "s"
    beside: str = ""

    def __str__(self) -> str:
        return show(self.value) if self.unit == "s" else f"{self.value:.3g} {self.unit}".strip()


Case = tuple[str, Callable[[], Figure]]
"""What is measured, and the measurement."""

Section = Callable[[Bench], Iterator[Case]]


def once(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds of one call: between two events of the card, or by the wall of a CPU."""
    if device.type != "cuda":
        return seconds(work)
    torch.cuda.synchronize()
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    work()
    last.record()
    torch.cuda.synchronize()
    return float(first.elapsed_time(last)) / 1e3


def median_seconds(
    device: torch.device, work: Callable[[], object], warm: int = 3, budget: float = 0.7
) -> float:
    """Median seconds of several calls, of as many as ``budget`` seconds allow.

    Args:
        device: the work is done on.
        work: what is timed; what it enqueues on a card is waited for.
        warm: calls before the first that counts; 0 where one call alone takes long.
        budget: seconds after which no further call starts.
    """
    if device.type != "cuda":
        return once(device, work)
    for _ in range(warm):
        work()
    times: list[float] = []
    stop = time.monotonic() + budget
    while len(times) < MOST_RUNS and (not times or time.monotonic() < stop):
        times.append(once(device, work))
    return median(times)


@lru_cache
def copy_rate(device: torch.device) -> float:
    """Bytes a second that a large array is read and written at."""
    source = torch.zeros(2**28 if device.type == "cuda" else 2**20, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / median_seconds(device, lambda: target.copy_(source))


@lru_cache
def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large product of matrices.

    In float32 on a card it is TF32's, which its convolutions use unless told not to.
    """
    side = 8192 if device.type == "cuda" else 256
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        return 2 * side**3 / median_seconds(device, lambda: a @ b)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def transfer_rates(device: torch.device) -> tuple[float, float]:
    """Bytes a second to the card and back, of pinned memory."""
    host = torch.zeros(2**24, pin_memory=device.type == "cuda")
    there = torch.zeros_like(host, device=device)
    up = median_seconds(device, lambda: there.copy_(host, non_blocking=True))
    down = median_seconds(device, lambda: host.copy_(there, non_blocking=True))
    return host.nbytes / up, host.nbytes / down


def limits(bench: Bench) -> Iterator[Case]:
    """What the machine can do."""
    device = bench.device
    yield "copy on the card, read + written", lambda: _rate(copy_rate(device) / 1e9, "GB/s")
    for name, dtype in {"bf16": torch.bfloat16, "float32 (TF32)": torch.float32}.items():
        yield (
            f"product of matrices, {name}",
            lambda dtype=dtype: _rate(product_rate(device, dtype) / 1e12, "TFLOP/s"),
        )
    yield "to the card, pinned", lambda: _rate(transfer_rates(device)[0] / 1e9, "GB/s")
    yield "from the card, pinned", lambda: _rate(transfer_rates(device)[1] / 1e9, "GB/s")


def _rate(value: float, unit: str) -> Figure:
    return Figure(value, unit)
