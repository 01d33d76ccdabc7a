"""Generated cells and their nuclei."""

import numpy as np
import pytest

from spatialembed.data.open import open_data
from spatialembed.demo.cells import draw_cells, make_cells
from spatialembed.errors import UserError
from spatialembed.formats.target_results import holders
from spatialembed.instances import Instances


def test_nuclei_lie_in_cells_of_which_some_have_none_or_two() -> None:
    counts = np.zeros(4, int)
    for seed in range(6):
        image, cells, nuclei = draw_cells(seed, side=192)
        assert image.dtype == cells.dtype == nuclei.dtype == np.uint16
        assert (cells[nuclei > 0] > 0).all()
        held = holders(*map(Instances.from_label_map, (nuclei.astype(int), cells.astype(int))))
        assert held.all()
        counts += np.bincount(np.bincount(held, minlength=cells.max() + 1)[1:], minlength=4)
        assert image[nuclei > 0].mean() > 1.5 * image[(cells > 0) & (nuclei == 0)].mean()
    assert counts[:3].all()
    assert not counts[3]
    assert counts[1] > counts[0] + counts[2]


def test_a_seed_draws_the_same(tmp_path) -> None:
    for one, other in zip(draw_cells(3, 96), draw_cells(3, 96), strict=True):
        np.testing.assert_array_equal(one, other)
    make_cells(tmp_path, {"train": 2, "test": 1}, side=64)
    assert open_data(tmp_path, "test").names == ["test000"]
    assert open_data(tmp_path, "train", holdout=0).class_names == ("cells", "nuclei")


@pytest.mark.parametrize("given", [(-1, 96, 9), (0, 32, 9), (0, 96, -1)])
def test_what_cannot_be_drawn_is_refused(given) -> None:
    with pytest.raises(UserError, match="cells on"):
        draw_cells(*given)
