"""How kernels of Triton are compiled, and how many things one program of them takes.

Of their arguments only constants are annotated: Triton takes annotations for types to compile for.
"""

from __future__ import annotations

from typing import Any

import triton

BLOCK = 1024
"""Pixels, pairs or objects that one program takes at a time."""

ROWS = 32
"""Tiles, or rows of cells, that one program looks at together."""

SIZES = [
    "number", "pixels", "objects", "own", "pairs", "tiles", "images", "channels", "span", "side",
    "cells", "blocks", "places", "first_object", "first_tile", "first_own", "unit",
    "middle", "sx", "sy",
]  # fmt: skip

VIEWS = [
    "width", "far", "fars", "centroid", "means", "variance", "counts", "lead", "last",
    "in_center", "in_width",
]  # fmt: skip
"""Of small tensors beside others in memory."""


def compiled(function: Any) -> Any:
    """A kernel that is compiled once for sizes of all kinds."""
    # They change from batch to batch: one that divides by 16 is no reason to compile again. Nor is
    # where in memory a part of a tensor begins.
    made = triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=VIEWS)
    return made(function)
