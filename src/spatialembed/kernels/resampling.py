"""Images and maps at another size, compiled: each line a mean of a few, in one pass."""

from __future__ import annotations

import numpy as np

from spatialembed.kernels.compiling import kernel


@kernel()
def resample(
    maps: np.ndarray,
    row: np.ndarray,
    row_weight: np.ndarray,
    column: np.ndarray,
    column_weight: np.ndarray,
    result: np.ndarray,
    top: int,
    left: int,
) -> None:
    """Write means of pixels of maps (C, h, w) into a part of (C, H, W), both float32.

    Along columns first, then along rows, each sum in the type of its weights.

    Args:
        maps: what is resampled.
        row, row_weight: (N, K) rows that each row of the part is a mean of, consecutive but for
            the border, never decreasing, and their weights.
        column, column_weight: (M, L) the same of its columns.
        result: whose rows from ``top`` and columns from ``left`` on are written.
        top, left: of the part.
    """
    width, taps = len(column), row.shape[1]
    column, column_weight = np.ascontiguousarray(column.T), np.ascontiguousarray(column_weight.T)
    lines, total = np.empty((taps, width), np.float32), np.empty(width, row_weight.dtype)
    for c in range(len(maps)):
        held = np.full(taps, -1, np.int32)  # the row that each of the lines comes of
        for y in range(len(row)):
            total[:] = 0
            for k in range(taps):
                r, weight = row[y, k], row_weight[y, k]
                if weight != 0:
                    line = lines[r % taps]
                    if held[r % taps] != r:
                        held[r % taps] = r
                        _along(maps[c, r], column, column_weight, line)
                    for x in range(width):
                        total[x] += line[x] * weight
            out = result[c, top + y, left : left + width]
            for x in range(width):
                out[x] = total[x]


@kernel()
def _along(given: np.ndarray, column: np.ndarray, weight: np.ndarray, line: np.ndarray) -> None:
    """One row of pixels resampled."""
    if len(column) == 2:
        for x in range(len(line)):
            line[x] = given[column[0, x]] * weight[0, x] + given[column[1, x]] * weight[1, x]
        return
    for x in range(len(line)):
        total = weight[0, x] * 0
        for k in range(len(column)):
            total += given[column[k, x]] * weight[k, x]
        line[x] = total
