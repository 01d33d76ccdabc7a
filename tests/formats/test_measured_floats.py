import numpy as np
import pytest

from spatialembed.formats.measurements import measurements
from spatialembed.formats.volume_measurements import volume_measurements
from spatialembed.instances import Instances


@pytest.mark.parametrize("shape", [(16, 16), (4, 8, 8)])
def test_means_of_short_floats_are_exact(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 50_000, np.float16)
    image.flat[::4] += 32  # their mean, 50,008, is no number of float16
    found = Instances.from_label_map(np.ones(shape, np.int32))
    made = (
        [row["mean_0"] for row in measurements(found, image)]
        if len(shape) == 2
        else volume_measurements(found, image)["mean_0"].tolist()
    )
    assert made == [image.astype(np.float64).mean()]
