"""Overlaps against naive loops, assignments against every possible one."""

import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference
from spatialembed.errors import UserError
from spatialembed.metrics import matching as matching_file
from spatialembed.metrics import overlaps
from spatialembed.metrics.average_precision import Scores
from spatialembed.metrics.matching import Matching, match

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7)
IDS = st.sampled_from([0, 0, 1, 2, 3, 7, 26001, 70000, 2**31 - 1])


def test_ids_of_64_bits_are_told_apart_or_refused() -> None:
    found, true = np.zeros((2, 1, 6), np.uint64)
    found[:, :2], found[:, 2:4], true[:, :2], true[:, 2:4] = 2**63 - 1, 2**63 - 2, 2**60, 2**60 + 1
    matching = match(found, true)
    assert matching.true_labels.tolist() == [2**60, 2**60 + 1]
    assert matching.iou.tolist() == [1, 1]
    for labels in ((found + np.uint64(1), true), (true, found + np.uint64(1))):
        with pytest.raises(UserError, match=r"has ids of 2\^63 and more; number its objects anew"):
            match(*labels)


@st.composite
def label_pairs(draw):
    shape = draw(SHAPES)
    labels = hnp.arrays(np.int32, shape, elements=IDS)
    return draw(labels), draw(labels), draw(hnp.arrays(bool, shape))


def naive_iou(label_map, label_mask, ignore):
    known = ~(ignore & (label_mask == 0)) | (ignore.ndim < 3)
    true = [label_mask == t for t in np.unique(label_mask) if t]
    found = [label_map == f for f in np.unique(label_map) if f]
    iou = [[(t & f).sum() / (t | (f & known)).sum() for f in found] for t in true]
    return np.array(iou, np.float32).reshape(len(true), len(found))


def best_assignment(iou, threshold):
    """(pairs, sum of IoU over all assigned) by trying every assignment."""
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    rows = np.arange(iou.shape[0])
    tried = [iou[rows, list(p)] for p in permutations(range(iou.shape[1]), len(rows))]
    return max((int((v >= np.float32(threshold)).sum()), float(v.sum())) for v in tried)


def hand_made(iou):
    true, found = np.arange(iou.shape[0]), np.arange(iou.shape[1])
    rows = {"true_labels": true + 1, "true_areas": true, "true_classes": 0 * true}
    rows |= {"found_labels": found + 1, "found_areas": found, "found_classes": 0 * found}
    pairs = np.nonzero(iou)
    rows |= {"common": 0 * pairs[0]}
    return Matching(*pairs, iou=iou[iou > 0], **rows, ignored=np.zeros(len(found), bool))


def table(matching):
    """(T, N) IoU of all pairs."""
    iou = np.zeros((matching.n_true, matching.n_found), np.float32)
    iou[matching.true, matching.found] = matching.iou
    return iou


@settings(deadline=None)
@given(label_pairs())
def test_overlaps_equal_naive_loops(case):
    label_map, label_mask, ignore = case
    matching = match(label_map, label_mask, ignore)
    np.testing.assert_array_equal(table(matching), naive_iou(*case))
    np.testing.assert_array_equal(table(matching), reference.overlap_table(*case))
    for labels, ids, areas in (
        (label_mask, matching.true_labels, matching.true_areas),
        (label_map, matching.found_labels, matching.found_areas),
    ):
        assert areas.tolist() == [(labels == k).sum() for k in ids]
    assert matching.true_labels.tolist() == [t for t in np.unique(label_mask) if t]
    assert matching.found_labels.tolist() == [f for f in np.unique(label_map) if f]
    assert matching.ignored.tolist() == [
        ignore[label_map == f].mean() > 0.5 for f in matching.found_labels
    ]


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        elements=st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.55, 0.75, 1.0]),
    ),
    st.sampled_from([0.1, 0.25, 0.5, 0.55, 0.9]),
)
def test_pairs_are_the_best_assignment(iou, threshold):
    with pytest.MonkeyPatch.context() as patch:
        for most in (matching_file.MOST_DENSE, 0):  # all pairs, and those that overlap alone
            patch.setattr(matching_file, "MOST_DENSE", most)
            rows, columns, values = hand_made(iou).pairs(threshold)
            assert len(set(rows)) == len(rows) == len(set(columns))
            np.testing.assert_array_equal(iou[rows, columns], values)
            assert (values >= np.float32(threshold)).all()
            assert len(rows) == best_assignment(iou, threshold)[0]


@settings(deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.floats(0.02, 0.3),
    st.sampled_from([0.05, 0.3, 0.5]),
)
def test_pairs_that_overlap_are_enough_to_choose_from(seed, shape, share, threshold):
    """No two assignments are equally good here, so that all ways must find the same one."""
    rng = np.random.default_rng(seed)
    iou = rng.uniform(0.01, 1, shape).astype(np.float32) * (rng.random(shape) < share)
    expected = reference.pairs(iou, threshold)
    with pytest.MonkeyPatch.context() as patch:
        for most in (matching_file.MOST_DENSE, 0):
            patch.setattr(matching_file, "MOST_DENSE", most)
            true, found, _ = hand_made(iou).pairs(threshold)
            np.testing.assert_array_equal((true, found), expected)


@settings(deadline=None)
@given(label_pairs(), st.sampled_from([0.05, 0.25, 1 / 3, 0.5, 0.75, 1.0]))
def test_scores_equal_those_of_all_pairs(case, threshold):
    label_map, label_mask, ignore = case
    scores = Scores.of(match(label_map, label_mask, ignore), (threshold,))
    found = scores.tp[0], scores.fp[0], scores.fn[0], scores.iou_sum[0]
    assert found == reference.score(label_map, label_mask, ignore, threshold)


@settings(deadline=None)
@given(label_pairs())
def test_an_image_is_read_in_parts_as_at_once(case):
    label_map, label_mask, ignore = case
    expected = match(label_map, label_mask, ignore, class_map=label_map % 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "CHUNK", 7)
        parts = match(label_map, label_mask, ignore, class_map=label_map % 5)
    for name, array in vars(expected).items():
        np.testing.assert_array_equal(getattr(parts, name), array)


def test_many_objects_need_no_table_of_all_pairs():
    """3,600 squares moved by a third: one chain of overlaps through the image, and a choice."""
    rows, columns = np.indices((180, 180))
    truth = rows // 3 * 60 + columns // 3 + 1
    moved = np.roll(truth, 1, axis=1)
    tracemalloc.start()
    matching = match(moved, truth)
    true, found, iou = matching.pairs(0.2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3600**2  # not a byte a pair
    assert matching.n_true == matching.n_found == 3600
    assert len(matching.iou) == 7200  # two neighbours each
    assert len(true) == 3600
    assert (iou == np.float32(0.5)).all()
    np.testing.assert_array_equal(matching.true_labels[true], matching.found_labels[found])


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_an_ignore_region_may_be_given_as_numbers(kind):
    label_map = np.array([1, 1, 2, 2, 2])
    ignore = np.array([0, 0, 1, 1, 0])
    expected = match(label_map, 0 * label_map, ignore > 0).ignored
    assert match(label_map, 0 * label_map, (7 * ignore).astype(kind)).ignored.tolist() == [
        False,
        True,
    ]
    assert expected.tolist() == [False, True]


def test_a_choice_between_pairs_takes_the_larger_overlap():
    rows, columns, _ = hand_made(np.array([[0.3, 0.4], [0.3, 0.35]], np.float32)).pairs(0.3)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


def test_more_pairs_go_before_larger_overlap():
    rows, columns, _ = hand_made(np.array([[0.9, 0.3], [0.4, 0.0]], np.float32)).pairs(0.3)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


def test_an_overlap_at_the_threshold_counts():
    label_mask, label_map = np.zeros((2, 20), np.int32)
    label_mask[:20] = 1
    label_map[:11] = 1
    assert len(match(label_map, label_mask).pairs(0.55)[0]) == 1


def test_exactly_half_in_an_ignore_region_is_not_ignored():
    label_map = np.array([1, 1, 2, 2, 2])
    ignore = np.array([True, False, True, True, False])
    assert match(label_map, 0 * label_map, ignore).ignored.tolist() == [False, True]


def test_classes_are_matched_apart():
    label_map = np.array([[1, 1, 3, 3]])
    label_mask = np.array([[5, 5, 9, 9]])
    class_map = np.array([[0, 0, 1, 1]])
    matching = match(label_map, label_mask, None, np.array([1, 0, 1]), class_map)
    assert matching.found_classes.tolist() == [1, 1]
    assert [len(matching.of_class(k).pairs(0.5)[0]) for k in (0, 1)] == [0, 1]
    assert matching.of_class(1).found_labels.tolist() == [1, 3]
    assert (matching.of_class(0).n_true, matching.of_class(0).n_found) == (1, 0)
    assert matching.first(1).found_labels.tolist() == [1]
    assert matching.first(1).pairs(0.5).found.tolist() == [0]


@pytest.mark.parametrize(
    ("label_map", "label_mask", "said"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), "differ in shape"),
        (np.zeros((2, 3)), np.zeros((2, 3), int), "integers"),
        (np.zeros((2, 3), int), np.full((2, 3), -1), "negative"),
    ],
)
def test_bad_labels_are_refused(label_map, label_mask, said):
    with pytest.raises(UserError, match=said):
        match(label_map, label_mask)


def test_a_found_object_without_class_is_refused():
    with pytest.raises(UserError, match="id 3"):
        match(np.array([3]), np.array([0]), None, np.array([0, 0]))


@pytest.mark.parametrize("seed", range(20))
def test_seg_is_that_of_a_naive_loop(seed):
    rng = np.random.default_rng(seed)
    true, found = rng.integers(0, 5, (2, 4, 5, 6))
    if seed % 2:
        found = np.where(rng.random(true.shape) < 0.7, true, found)
    expected = []
    for label in np.unique(true[true > 0]):
        own, best = true == label, 0.0
        for other in np.unique(found[found > 0]):
            common = np.count_nonzero(own & (found == other))
            if 2 * common > own.sum():
                best = common / np.count_nonzero(own | (found == other))
        expected.append(best)
    np.testing.assert_allclose(match(found, true).seg, expected, rtol=1e-6)


def test_what_is_not_known_of_a_found_object_makes_no_seg():
    true = np.array([[[1, 1, 1, 2, 0, 0]], [[0, 0, 0, 0, 0, 0]]])
    found = np.array([[[5, 0, 0, 6, 0, 0]], [[5, 5, 5, 5, 5, 6]]])
    planes = np.zeros(true.shape, bool)
    planes[1] = True  # nobody labelled it
    np.testing.assert_allclose(match(found, true, planes).seg, [0, 1], rtol=1e-6)


def test_half_of_an_object_is_no_seg():
    true = np.array([[1, 1, 2, 2, 2, 0]])
    found = np.array([[5, 0, 6, 6, 0, 0]])
    np.testing.assert_allclose(match(found, true).seg, [0, 2 / 3], rtol=1e-6)
