"""What counts as better on few images, and what is chosen by it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed.metrics.average_precision import Scores
from spatialembed.metrics.matching import match
from spatialembed.training.few_images.choice import Choice, choose
from spatialembed.training.few_images.evidence import Tally, ap, gain, is_better
from spatialembed.training.validation import Setting

OWN, LOWER = Setting(0.9, 0.5, 10), Setting(0.8, 0.5, 10)


def image(hits, over=0):
    """An image of which these objects were found, at every threshold alike."""
    return Tally(np.repeat(np.array(hits, bool)[None], 9, 0), np.full(9, over))


def some(found, of, over=0):
    return [image([k < found for k in range(of)], over)]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_tally_counts_as_the_scores_do(seed):
    rng = np.random.default_rng(seed)
    true, found = rng.integers(0, 4, (2, 6, 7)).astype(np.int32)
    ignore = rng.random((6, 7)) < 0.3
    matching = match(found, np.where(ignore, 0, true), ignore, rng.integers(0, 2, 3))
    tally = Tally.of(matching, 2)
    scores = Scores.stack([Scores.of(matching.of_class(k)) for k in (0, 1)]).pooled()
    np.testing.assert_array_equal(tally.hit.sum(1), scores.tp)
    np.testing.assert_array_equal(tally.over, scores.fp)
    np.testing.assert_array_equal((~tally.hit).sum(1), scores.fn)
    assert ap([tally]) == pytest.approx(scores.ap.mean())


def test_the_error_is_that_of_drawing_the_objects_again():
    """To the first order, for objects that vary by themselves."""
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 60)) < np.array([[0.8], [0.6]])
    difference, error = gain([image(one)], [image(other)])
    again = rng.integers(0, 60, (4000, 60))
    drawn = one[again].mean(1) - other[again].mean(1)
    assert difference == pytest.approx(one.mean() - other.mean())
    assert error == pytest.approx(drawn.std(), rel=0.05)


def test_images_that_differ_as_a_whole_make_a_gain_less_sure():
    mixed_up = [image([True, False] * 5) for _ in range(4)]
    one = [image([True] * 10), image([True] * 10), image([True] * 10), image([False] * 10)]
    evenly = [image([True] * 5 + [False] * 5) for _ in range(4)]
    assert gain(one, mixed_up)[1] > 2 * gain(evenly, mixed_up)[1]


def test_the_same_is_not_better_and_two_objects_are_chance():
    assert gain(some(5, 10), some(5, 10)) == (0.0, 0.0)
    assert not is_better(some(5, 10), some(5, 10))
    assert not is_better(some(7, 10), some(5, 10))
    assert is_better(some(10, 10), some(2, 10))
    assert not is_better(some(2, 2), some(1, 2))
    assert not is_better(some(5, 40), some(3, 40))
    assert not is_better(some(1, 1), some(1, 1, over=1))
    assert is_better(some(10, 10), some(10, 10, over=20))


def choices(**found):
    """By names as start, half and whole, at the start's setting."""
    shares = {"start": (0.0, 0), "quarter": (0.25, 2), "half": (0.5, 2), "heads": (1.0, 1)}
    shares["whole"] = (1.0, 2)
    return {Choice(*shares[name], OWN): tallies for name, tallies in found.items()}


def test_the_start_is_kept_where_nothing_is_clearly_better():
    found = choices(start=some(15, 20), half=some(15, 20), whole=some(16, 20))
    assert choose(found).share == 0
    worse = choices(start=some(15, 20), quarter=some(12, 20), whole=some(2, 20))
    assert choose(worse).share == 0


def test_the_nearest_to_the_start_wins_a_tie():
    found = choices(start=three(0), half=three(13), heads=three(13), whole=three(13, 14))
    assert choose(found) == Choice(0.5, 2, OWN)
    found = choices(start=three(0), half=three(9), heads=three(13), whole=three(13, 14))
    assert choose(found) == Choice(1.0, 1, OWN)
    found = choices(start=three(0), half=three(9), heads=three(9), whole=three(13))
    assert choose(found) == Choice(1.0, 2, OWN)


def test_one_or_two_images_go_half_of_the_way_if_that_gives_half_of_the_gain():
    found = choices(start=some(2, 40), quarter=some(12, 40), half=some(22, 40), whole=some(40, 40))
    assert choose(found) == Choice(0.5, 2, OWN)
    found = choices(start=some(2, 40), half=some(18, 40), heads=some(18, 40), whole=some(40, 40))
    assert choose(found) == Choice(1.0, 2, OWN)


def test_a_threshold_leaves_the_starts_only_for_a_gain():
    found = choices(start=three(0), whole=three(10))
    lower = Choice(1.0, 2, LOWER)
    assert choose({**found, lower: three(10, 11)}) == Choice(1.0, 2, OWN)
    assert choose({**found, lower: three(14)}) == lower


def three(found, more=None):
    """Of 14 objects in each of three images so many; in the last one some more."""
    return [*some(found, 14), *some(found, 14), *some(found if more is None else more, 14)]


@pytest.mark.parametrize(("effect", "least", "most"), [(-0.03, 0, 0), (0, 0, 0.15), (0.1, 0.9, 1)])
def test_the_start_is_seldom_left_by_chance(effect, least, most):
    """30 objects, outlined by ten models whose IoU is the start's, but for this and for chance."""
    rng, thresholds = np.random.default_rng(0), np.arange(0.5, 0.95, 0.05)[:, None]

    def outlined(iou):
        return [Tally(iou + rng.normal(0, 0.05, 30) >= thresholds, np.full(9, rng.poisson(1)))]

    def is_left():
        iou = 0.85 - 0.25 * rng.exponential(0.6, 30)
        found = {Choice(0.0, 0, OWN): outlined(iou)}
        found |= {Choice(1.0, k, OWN): outlined(iou + effect) for k in range(10)}
        return choose(found).share > 0

    assert least <= np.mean([is_left() for _ in range(60)]) <= most
