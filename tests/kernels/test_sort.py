"""The compiled sort against numpy's."""

import numpy as np
import pytest

from spatialembed.kernels.sort import largest_first


@pytest.mark.parametrize("n", [0, 1, 2, 500, 50_000])
@pytest.mark.parametrize("spread", ["many powers", "a hair's breadth", "a few values", "none"])
def test_largest_first_is_a_stable_sort_of_the_positive(n, spread):
    rng = np.random.default_rng(n)
    values = {
        "many powers": 10 ** rng.uniform(-30, 0.3, n),
        "a hair's breadth": 1 + rng.integers(0, 9, n) * 2.0**-23,
        "a few values": rng.choice([0, 1e-38, 1e-6, 0.5, 0.5000001, 2], n),
        "none": np.zeros(n),
    }[spread].astype(np.float32)
    if spread == "a hair's breadth":
        values[:1] = 1e-9  # so that a bucket of the sort holds all the others
    keys = largest_first(values, np.empty(3 * n, np.uint64))
    positive = np.flatnonzero(values)
    expected = positive[np.argsort(-values[positive], kind="stable")]
    np.testing.assert_array_equal(keys & np.uint64(2**32 - 1), expected)
