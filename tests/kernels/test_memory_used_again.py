"""Memory of kernels: one piece a thread, as large as its calls ask for."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from spatialembed.kernels.scratch import scratch


def test_a_thread_has_its_own_memory_call_after_call():
    first, second = scratch((2, 3), (4,))
    first[:], second[:] = 1, 2
    again = scratch((5,))[0]
    assert np.shares_memory(again, first)
    with ThreadPoolExecutor(1) as other:
        assert not np.shares_memory(other.submit(scratch, (5,)).result()[0], first)


def test_arrays_lie_beside_each_other_and_a_large_call_is_not_kept_for_small_ones():
    large, other = scratch((1000,), (10, 50))
    assert not np.shares_memory(large, other)
    assert other.shape == (10, 50)
    [small] = scratch((3,))
    assert not np.shares_memory(small, large)
    assert [part.size for part in scratch((0, 4), (0,))] == [0, 0]
