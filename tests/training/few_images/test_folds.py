"""What is learned from and what judges never share a pixel's truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.data.sample import Sample
from spatialembed.training.few_images.folds import Samples, folds_of, halves


def sample(label_mask, name="a", ignore=None):
    label_mask = np.asarray(label_mask, np.int32)
    class_map = (label_mask > 0).astype(np.int16) - np.int16(1)
    ignore = np.zeros(label_mask.shape, bool) if ignore is None else ignore
    return Sample(name, label_mask[..., None].astype(np.uint8), label_mask, class_map, ignore)


def with_objects(count, name="a", shape=(20, 90)):
    label_mask = np.zeros(shape, np.int32)
    for k in range(count):
        label_mask[3 + k % 2 : 9 + k % 2, 4 + 7 * k : 9 + 7 * k] = k + 5  # ids with gaps before
    return sample(label_mask, name)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(2, 30), st.integers(1, 9))
def test_halves_never_know_the_same_pixel(seed, height, width, ids):
    rng = np.random.default_rng(seed)
    whole = sample(
        rng.integers(0, ids + 1, (height, width)), ignore=rng.random((height, width)) < 0.2
    )
    one, other = halves(whole) if whole.label_mask.any() else (whole, whole)
    if not whole.label_mask.any():
        return
    assert (one.ignore | other.ignore).all()
    np.testing.assert_array_equal(one.ignore & other.ignore, whole.ignore)
    assert not one.label_mask[~other.ignore].any()
    assert not other.label_mask[~one.ignore].any()
    np.testing.assert_array_equal(one.label_mask + other.label_mask, whole.label_mask)
    objects = [set(half.label_mask[half.label_mask > 0]) for half in (one, other)]
    assert not objects[0] & objects[1]  # every object is whole on one side
    assert abs(len(objects[0]) - len(objects[1])) <= 1
    for half in (one, other):
        np.testing.assert_array_equal(half.image, whole.image)


def test_a_cut_goes_across_the_longer_side_between_the_objects():
    one, other = halves(with_objects(4))
    assert set(np.unique(one.label_mask)) == {0, 5, 6}
    assert not one.ignore[:, :16].any()
    assert one.ignore[:, 26:].all()
    assert not other.ignore[:, 26:].any()
    turned = sample(with_objects(4).label_mask.T)
    np.testing.assert_array_equal(halves(turned)[0].label_mask, one.label_mask.T)


def test_one_image_is_learned_from_by_halves():
    empty = sample(np.zeros((20, 30)), "empty")
    folds = folds_of([with_objects(6), empty])
    assert len(folds) == 2
    for fold, other in zip(folds, reversed(folds), strict=True):
        [judge] = fold.judged
        assert fold.learned[0].ignore[~judge.ignore].all()
        assert not fold.learned[0].label_mask[~judge.ignore].any()
        assert fold.learned[1] is empty
        assert judge is other.learned[0]


@pytest.mark.parametrize("counts", [(3, 3), (4, 2, 5), (1, 2, 3, 4, 5, 6), (9, 8, 0, 7)])
def test_several_images_are_dealt_out_whole(counts):
    samples = [with_objects(n, str(n)) for n in counts]
    one, other = folds_of(samples)
    assert set(one.learned) | set(one.judged) == set(samples)
    assert not set(one.learned) & set(one.judged)
    assert (one.learned, one.judged) == (other.judged, other.learned)
    sizes = [
        sum(len(np.unique(s.label_mask)) - 1 for s in part) for part in (one.learned, one.judged)
    ]
    assert min(sizes) >= 0.25 * sum(counts)


def test_images_of_which_one_has_nearly_all_objects_are_all_cut():
    one, other = folds_of([with_objects(12, "many"), with_objects(2, "few")])
    assert [s.name for s in one.learned] == [s.name for s in one.judged] == ["many", "few"]
    assert all((a.ignore | b.ignore).all() for a, b in zip(one.learned, one.judged, strict=True))
    assert one.learned == other.judged


def test_one_object_gives_no_folds():
    assert folds_of([with_objects(1), with_objects(0)]) == []


def test_judging_images_are_thinned_evenly():
    fold, _ = folds_of([with_objects(2, str(k)) for k in range(12)])
    assert fold.thinned(6) == fold
    assert [s.name for s in fold.thinned(2).judged] == [fold.judged[0].name, fold.judged[-1].name]
    assert len(fold.thinned(1).judged) == 1
    assert fold.thinned(1).learned == fold.learned


def test_samples_are_a_data_set_in_memory():
    data = Samples((with_objects(1, "x"), with_objects(2, "y")), ("object",))
    assert (len(data), data.names, data[1].name) == (2, ["x", "y"], "y")
