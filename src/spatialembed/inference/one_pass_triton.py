"""The pass of one_pass.py as a kernel of Triton."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024
"""Numbers that one program takes."""

RUN = 8
"""Numbers beside each other whose channels follow each other too, where that divides theirs: one
division finds them."""


def finish(y: Tensor, bias: Tensor, summand: Tensor | None) -> None:
    """As :func:`spatialembed.inference.one_pass.finish`, of (B, C, H, W) that lie channels last.

    Fewer than 2**30 numbers of one type, on the current device.
    """
    size, channels = y.numel(), len(bias)
    run = 1 if channels % RUN else RUN
    _finish[(triton.cdiv(size, BLOCK),)](
        y, bias, y if summand is None else summand, size, channels,
        SUMS=summand is not None, RUNS=BLOCK // run, RUN=run,
    )  # fmt: skip


@triton.jit(do_not_specialize=["channels"])
def _finish(  # type: ignore[no-untyped-def]
    y, bias, summand, size, channels, SUMS: tl.constexpr, RUNS: tl.constexpr, RUN: tl.constexpr
):
    first = tl.program_id(0) * (RUNS * RUN) + tl.arange(0, RUNS) * RUN
    further = tl.arange(0, RUN)[None, :]
    at = first[:, None] + further
    inside = at < size
    value = tl.load(y + at, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(bias + ((first % channels)[:, None] + further)).to(tl.float32)
    if SUMS:
        value += tl.load(summand + at, mask=inside, other=0.0).to(tl.float32)
    value = tl.where(value < 0, 0.0, value)  # and NaN remains NaN, as torch has it
    tl.store(y + at, value.to(y.dtype.element_ty), mask=inside)
