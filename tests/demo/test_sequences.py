import numpy as np

from spatialembed.demo.sequences import draw_sequence


def test_the_same_seed_draws_the_same_and_daughters_come_after_their_mother() -> None:
    drawn, again = (draw_sequence(seed=3, frames=12, side=96, cells=9, cycle=8) for _ in range(2))
    assert np.array_equal(drawn.label_maps, again.label_maps)
    assert np.array_equal(drawn.images, again.images)
    seen = {
        cell: np.flatnonzero((drawn.label_maps == cell).any((1, 2)))
        for cell in np.unique(drawn.label_maps[drawn.label_maps > 0]).tolist()
    }
    both = [(c, m) for c, m in drawn.parents.items() if c in seen and m in seen]
    assert both
    assert all(seen[mother][-1] < seen[cell][0] for cell, mother in both)
    assert (
        drawn.images[drawn.label_maps > 0].mean() > 5 * drawn.images[drawn.label_maps == 0].mean()
    )


def test_cells_go_as_far_and_are_as_large_as_asked() -> None:
    def ways(step: float) -> tuple[float, float]:
        maps = draw_sequence(seed=3, frames=6, cells=5, step=step, cycle=np.inf).label_maps
        far, area = [], []
        for cell in np.unique(maps[0][maps[0] > 0]):
            places = [np.mean(np.nonzero(m == cell), axis=1) for m in maps if (m == cell).any()]
            far += np.linalg.norm(np.diff(places, axis=0), axis=1).tolist()
            area.append((maps[0] == cell).sum())
        return float(np.mean(far)), float(np.mean(area))

    slow, area = ways(0.1)
    fast, _ = ways(0.4)
    assert 3 < fast / slow < 5
    assert 0.6 < area / (np.pi * 9**2) < 1.4
