"""Instances that the tests of formats write."""

import numpy as np
import pytest

from spatialembed.instances import Instances


@pytest.fixture
def three() -> Instances:
    label_map = np.zeros((20, 30), np.int32)
    label_map[2:9, 3:12] = 1
    label_map[4, 5] = 0
    label_map[15:20, 0:4] = 2
    label_map[0, 29] = 3
    scores = np.float32([0.95, 0.9, 0.90000004]) - np.float32([0, 0, 1e-7])
    return Instances.from_label_map(label_map, np.sort(scores)[::-1], [0, 1, 0], ["car", "bus"])
