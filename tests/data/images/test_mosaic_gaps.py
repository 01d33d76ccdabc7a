"""What tiles leave bare is what painting them leaves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spatialembed.data.images.mosaic_gaps import bare_pixels


@st.composite
def a_tile(draw):
    left, top = draw(st.integers(0, 11)), draw(st.integers(0, 8))
    return left, top, draw(st.integers(left + 1, 12)), draw(st.integers(top + 1, 9))


@given(st.sets(a_tile(), min_size=1, max_size=9), st.integers(-20, 20), st.integers(-20, 20))
def test_what_tiles_leave_bare_is_what_painting_them_leaves(tiles, x, y):
    painted = np.zeros((9, 12), bool)
    for left, top, right, bottom in tiles:
        painted[top:bottom, left:right] = True
    moved = [(left + x, top + y, right + x, bottom + y) for left, top, right, bottom in tiles]
    assert bare_pixels(moved, (x, y, x + 12, y + 9)) == np.count_nonzero(~painted)
