"""Overlaps against naive loops, assignments against every possible one."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spatialembed.errors import UserError
from spatialembed.metrics.matching import Matching, match

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7)
IDS = st.sampled_from([0, 0, 1, 2, 3, 7, 26001, 70000, 2**31 - 1])


@st.composite
def label_pairs(draw):
    shape = draw(SHAPES)
    labels = hnp.arrays(np.int32, shape, elements=IDS)
    return draw(labels), draw(labels), draw(hnp.arrays(bool, shape))


def naive_iou(label_map, label_mask):
    true = [label_mask == t for t in np.unique(label_mask) if t]
    found = [label_map == f for f in np.unique(label_map) if f]
    iou = [[(t & f).sum() / (t | f).sum() for f in found] for t in true]
    return np.array(iou, np.float32).reshape(len(true), len(found))


def best_assignment(iou, threshold):
    """(pairs, sum of IoU over all assigned) by trying every assignment."""
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    rows = np.arange(iou.shape[0])
    tried = [iou[rows, list(p)] for p in permutations(range(iou.shape[1]), len(rows))]
    return max((int((v >= np.float32(threshold)).sum()), float(v.sum())) for v in tried)


def hand_made(iou):
    n_true, n_found = iou.shape
    true, found = np.arange(n_true), np.arange(n_found)
    return Matching(iou, true + 1, found + 1, 0 * true, 0 * found, np.zeros(n_found, bool))


@settings(deadline=None)
@given(label_pairs())
def test_overlaps_equal_naive_loops(case):
    label_map, label_mask, ignore = case
    matching = match(label_map, label_mask, ignore)
    np.testing.assert_array_equal(matching.iou, naive_iou(label_map, label_mask))
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
    rows, columns = hand_made(iou).pairs(threshold)
    assert len(set(rows)) == len(rows) == len(set(columns))
    assert (iou[rows, columns] >= np.float32(threshold)).all()
    assert len(rows) == best_assignment(iou, threshold)[0]


def test_a_choice_between_pairs_takes_the_larger_overlap():
    rows, columns = hand_made(np.array([[0.3, 0.4], [0.3, 0.35]], np.float32)).pairs(0.3)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


def test_more_pairs_go_before_larger_overlap():
    rows, columns = hand_made(np.array([[0.9, 0.3], [0.4, 0.0]], np.float32)).pairs(0.3)
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
    assert matching.of_class(0).iou.shape == (1, 0)


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
