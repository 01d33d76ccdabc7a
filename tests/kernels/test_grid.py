"""The grid over the embeddings: all that is in reach of a center lies in the runs it gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.kernels.binning import bin_entries
from spatialembed.kernels.grid import MOST_CELLS, make_grid
from spatialembed.kernels.reach import Margin, runs_in_reach


@pytest.mark.parametrize("most", [-1, 1, 7, 5000, 2**40])
@pytest.mark.parametrize("extent", [0.0, 1.0, 1e6])
def test_a_grid_covers_its_extent_with_no_more_cells_than_allowed(most, extent):
    lowest, edge = np.array([-3.0, 5.0]), np.array([0.01, 0.02])
    grid = make_grid(lowest, np.array([extent, 2 * extent]), edge, most)
    assert grid.counts.prod() <= min(max(most, 1), MOST_CELLS)
    assert (grid.counts / grid.density > np.array([extent, 2 * extent])).all()
    if extent == 1 and most == 2**40:
        np.testing.assert_allclose(1 / grid.density, edge)  # as fine as was asked for


@given(st.integers(1, 200), st.integers(1, 3), st.integers(1, 4000), st.integers(0, 9999))
@settings(max_examples=60, deadline=None)
def test_runs_hold_all_in_reach_once_and_by_cells(entries, dims, most, seed):
    rng = np.random.default_rng(seed)
    position = rng.normal(0, rng.uniform(0.01, 2), (dims, entries)).astype(np.float32)
    lowest = position.min(1).astype(np.float64)
    extent = (position.max(1) - lowest) * (1 + 1e-9)
    grid = make_grid(lowest, extent, np.full(dims, 0.1), most)
    pixel = np.arange(entries, dtype=np.int32)
    cells = bin_entries(position, np.zeros(entries, np.int32), pixel, grid, 1)
    np.testing.assert_array_equal(cells.position[:, cells.slot], position)
    width = np.exp(rng.normal(2, 2, dims)).astype(np.float32)
    center = rng.normal(0, 1, dims).astype(np.float32)
    margin = Margin(center, width, np.float32(rng.uniform(0.1, 5)))
    block, runs = np.empty((3, dims), np.int64), np.empty((grid.counts[1:].prod(), 2), np.int32)
    found = runs[: runs_in_reach(margin, cells.start, grid, block, runs)]
    slots = [slot for first, last in found for slot in range(first, last)]
    assert len(slots) == len(set(slots))
    distance = (width[:, None] * (cells.position - center[:, None]) ** 2).sum(0)
    assert set(np.flatnonzero(distance < margin.cutoff)) <= set(slots)


def test_a_center_that_is_no_number_reaches_nothing():
    grid = make_grid(np.zeros(2), np.ones(2), np.full(2, 0.1), 100)
    block, runs = np.empty((3, 2), np.int64), np.empty((10, 2), np.int32)
    margin = Margin(np.array([np.nan, 0], np.float32), np.ones(2, np.float32), np.float32(1))
    assert runs_in_reach(margin, np.zeros(101, np.int64), grid, block, runs) == 0
