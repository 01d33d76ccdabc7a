import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatialembed.pictures import found_against_truth, judge, outlines, overlay, verdict_key
from spatialembed.pictures.overlays import EXTRA, MISSED

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4)
)
GREY = np.full((40, 60), 150, np.uint8)


def squares(*corners, size=10, shape=(40, 60)):
    """Label map with one square of label k + 1 at each corner (y, x)."""
    label_map = np.zeros(shape, np.int32)
    for k, (y, x) in enumerate(corners):
        label_map[y : y + size, x : x + size] = k + 1
    return label_map


@given(LABELS, st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_outlines_equal_a_naive_search(label_map, thickness):
    height, width = label_map.shape
    expected = np.zeros(label_map.shape, bool)
    for y in range(height):
        for x in range(width):
            cross = [(y + d, x) for d in range(-thickness, thickness + 1)]
            cross += [(y, x + d) for d in range(-thickness, thickness + 1)]
            inside = [p for p in cross if 0 <= p[0] < height and 0 <= p[1] < width]
            other = any(label_map[p] != label_map[y, x] for p in inside)
            expected[y, x] = label_map[y, x] != 0 and other
    assert np.array_equal(outlines(label_map, thickness), expected)


def test_overlay_tints_objects_and_nothing_else():
    label_map = squares((5, 5), (5, 15))
    rgb = overlay(GREY, label_map)
    assert np.array_equal(rgb[label_map == 0], np.full(((label_map == 0).sum(), 3), 150))
    assert (rgb[label_map > 0] != 150).any(axis=1).all()
    first, second = rgb[10, 10].astype(int), rgb[10, 20].astype(int)
    assert np.abs(first - second).sum() > 30
    assert np.abs(rgb[5, 10].astype(int) - 150).sum() > np.abs(first - 150).sum()


def test_overlay_without_tint_leaves_the_inside():
    label_map = squares((5, 5))
    rgb = overlay(GREY, label_map, alpha=0)
    assert np.array_equal((rgb != 150).any(axis=2), outlines(label_map))
    assert np.array_equal(overlay(GREY, label_map, alpha=0, outline=False)[..., 0], GREY)


def test_overlay_of_nothing_and_of_everything():
    assert (overlay(GREY, np.zeros((40, 60), np.int32)) == 150).all()
    assert (overlay(GREY, np.full((40, 60), 2**31 - 1, np.int32)) != 150).any()


def test_sizes_that_differ_and_a_wrong_alpha_are_refused():
    with pytest.raises(ValueError, match="no label map"):
        overlay(GREY, np.zeros((40, 59), np.int32))
    with pytest.raises(ValueError, match="no label map"):
        found_against_truth(GREY, squares(), np.zeros((1, 1), np.int32))
    with pytest.raises(ValueError, match="alpha"):
        overlay(GREY, squares(), alpha=1.5)


def test_judge_tells_hits_misses_and_extras():
    truth = squares((0, 0), (0, 20), (20, 0)) * 1000
    found = np.zeros_like(truth)
    found[0:10, 0:8] = 7  # IoU 0.8 with the first
    found[0:10, 20:24] = 9  # 0.4 with the second
    found[30:35, 40:50] = 3  # nothing there
    verdict = judge(found, truth)
    assert verdict.hit.tolist() == [7]
    assert verdict.missed.tolist() == [2000, 3000]
    assert verdict.extra.tolist() == [3, 9]
    assert [word for word, _ in verdict_key(verdict)] == ["1 hit", "2 missed", "2 extra"]
    assert judge(found, truth, threshold=0.9).hit.size == 0


def test_two_halves_of_one_object_are_one_hit():
    truth, found = squares((0, 0)), squares((0, 0))
    found[0:10, 5:10] = 2
    verdict = judge(found, truth)
    assert (len(verdict.hit), len(verdict.missed), len(verdict.extra)) == (1, 0, 1)


@given(LABELS, st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.7, 0.9]))
@settings(max_examples=80, deadline=None)
def test_judge_counts_as_a_naive_matching_does(truth, seed, threshold):
    found = np.where(np.random.default_rng(seed).random(truth.shape) < 0.2, 5, truth)
    hits = 0
    free = set(np.unique(truth).tolist()) - {0}
    for f in set(np.unique(found).tolist()) - {0}:
        for t in sorted(free):
            both = ((found == f) & (truth == t)).sum()
            if both >= threshold * ((found == f) | (truth == t)).sum():
                hits += 1
                free.remove(t)
                break
    verdict = judge(found, truth, threshold)
    assert len(verdict.hit) == hits
    assert len(verdict.hit) + len(verdict.extra) == len(np.unique(found[found > 0]))
    assert len(verdict.hit) + len(verdict.missed) == len(np.unique(truth[truth > 0]))


def test_found_against_truth_colors_each_verdict():
    truth = squares((5, 5), (5, 25))
    found = squares((5, 5), (25, 40))
    rgb = found_against_truth(GREY, found, truth).astype(int)
    hit, missed, extra = rgb[5, 8], rgb[5, 28], rgb[25, 43]
    assert hit[1] > hit[0] + 50  # green
    assert missed[0] > missed[1] > missed[2]  # orange
    assert extra[0] > extra[1] + 50  # pink
    assert extra[2] > extra[1] + 50
    assert len(np.unique(rgb[7:13, 27:33].reshape(-1, 3), axis=0)) > 1  # hatched
    assert (rgb[0, 0] == rgb[0, 0, 0]).all()


def test_the_hatch_of_a_miss_hides_no_border_between_two_found():
    truth, found = squares((5, 5), size=30), squares((5, 5), size=30)
    found[15:35, 5:20], found[15:35, 20:35] = 2, 3  # three of it, none good enough
    rgb = found_against_truth(GREY, found, truth)
    borders = outlines(found)
    assert borders[20, 19:21].all()
    assert (rgb[borders] == EXTRA).all()
    inside = rgb[7:13, 7:33].reshape(-1, 3).astype(int)
    assert len(np.unique(inside, axis=0)) > 1  # still hatched, and unlike the borders
    assert np.abs(inside - EXTRA).sum(1).min() > 80
    alone = found_against_truth(GREY, 0 * found, truth)
    assert (alone[outlines(truth)] == MISSED).all()
