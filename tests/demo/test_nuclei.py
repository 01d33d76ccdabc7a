import numpy as np
import pytest

import spatialembed as se
from spatialembed.demo.nuclei import draw_nuclei
from spatialembed.errors import UserError


def test_the_same_seed_draws_the_same_and_objects_are_as_large_as_asked() -> None:
    image, mask = draw_nuclei(seed=2, side=96, count=20)
    again, _ = draw_nuclei(seed=2, side=96, count=20)
    assert image.dtype == mask.dtype == np.uint16
    assert np.array_equal(image, again)
    _, large = draw_nuclei(seed=2, side=192, count=20, size=2)
    small, doubled = (np.bincount(m.ravel())[1:].mean() for m in (mask, large))
    assert 3 < doubled / small < 5  # by area
    assert image[mask > 0].mean() > 5 * image[mask == 0].mean()


def test_nuclei_lie_apart_unless_they_may_overlap() -> None:
    y, x = np.indices((96, 96))
    _, apart = draw_nuclei(seed=2, side=96, count=60)
    _, crowded = draw_nuclei(seed=2, side=96, count=60, overlap=0.5)
    assert crowded.max() > apart.max()
    for k in range(1, apart.max() + 1):  # whole ellipses: as heavy as their bounding boxes say
        height, width = np.ptp(y[apart == k]) + 1, np.ptp(x[apart == k]) + 1
        assert (apart == k).sum() > 0.5 * height * width


def test_the_shipped_model_finds_them() -> None:
    image, mask = draw_nuclei(side=160, count=30)
    found = se.load("nuclei").predict(image)
    assert len(found) == mask.max()


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"count": -1}, {"size": 0}, {"size": float("nan")}, {"overlap": 2}]
)
def test_values_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(UserError, match=r"negative|do not fit|a share"):
        draw_nuclei(**wrong)
