"""The size of objects that nobody stated: measured where what is found is believed."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from spatialembed.errors import ImageWarning
from spatialembed.inference.loading import load
from spatialembed.inference.own_size import LOOKS, SHOWN, middle, typical_diameter, usual_width
from spatialembed.instances import Instances

TRAINED = 32.0


def squares(shape: tuple[int, int], diameter: float, scores: float) -> Instances:
    """A grid of objects of the area of a disc of this diameter, of one score."""
    side = max(1, round(diameter * np.sqrt(np.pi) / 2))
    labels = np.zeros(shape, np.int32)
    for k, y in enumerate(range(0, shape[0] - side, 2 * side)):
        for j, x in enumerate(range(0, shape[1] - side, 2 * side)):
            labels[y : y + side, x : x + side] = 1 + k * 10_000 + j
    _, labels = np.unique(labels, return_inverse=True)
    labels = labels.reshape(shape).astype(np.int32)
    boxes = [(y.start, x.start, y.stop, x.stop) for y, x in ndimage.find_objects(labels)]
    return Instances(
        labels,
        np.full(len(boxes), scores, np.float32),
        np.zeros(len(boxes), np.int32),
        np.array(boxes, np.int32).reshape(-1, 4),
    )


def seen_well(true: float):
    """A model that is sure where objects are shown as in training, and else finds parts of them
    or several as one."""

    def look(window: np.ndarray, diameter: float) -> Instances:
        off = np.log2(diameter / true)
        found = true * 2 ** (0.3 * off)
        return squares(window.shape[:2], found, float(np.clip(0.95 - 0.12 * abs(off), 0, 1)))

    return look


@given(st.floats(9, 120))
@settings(max_examples=20, deadline=None)
def test_the_size_is_found_where_objects_look_as_in_training(true):
    pixels = np.zeros((700, 600, 1), np.uint8)
    found = typical_diameter(pixels, TRAINED, 1.0, seen_well(true))
    assert found == pytest.approx(true, rel=0.25)


def test_where_nothing_is_found_images_are_shown_as_they_are():
    def look(window, diameter):
        return squares((4, 4), 99, 0.9)

    assert typical_diameter(np.zeros((50, 50, 3), np.uint8), TRAINED, 1.0, look) == TRAINED


@given(st.floats(9, 120), st.integers(1, 60), st.data())
def test_pieces_and_specks_do_not_change_the_usual_width(true, count, data):
    specks = data.draw(st.integers(0, 3 * count))
    widths = np.concatenate([np.full(count, true), np.full(specks, true / 4)])
    assert usual_width(widths) == pytest.approx(true)
    assert usual_width(widths[::-1]) == usual_width(widths)


def test_the_usual_width_of_one_object_is_its_own():
    assert usual_width(np.array([7.5])) == 7.5


def test_the_network_never_sees_more_than_its_square():
    seen = []

    def look(window, diameter):
        seen.append(max(window.shape[:2]) * TRAINED / diameter)
        return seen_well(20)(window, diameter)

    typical_diameter(np.zeros((3000, 4000, 1), np.uint8), TRAINED, 1.0, look)
    assert len(seen) == LOOKS
    assert max(seen) <= SHOWN * 1.05


def test_the_middle_is_what_there_is_of_it():
    rows, columns = middle((5000, 301), 1000)
    assert (rows.start, rows.stop) == (2000, 3000)
    assert (columns.start, columns.stop) == (0, 650)


def test_raw_and_cluster_of_the_model_at_an_image_s_size_are_what_predict_gives():
    model = load("cells", device="cpu")
    y, x = np.mgrid[:96, :96]
    image = (60 + 150 * (np.hypot(y % 24 - 12, x % 24 - 12) < 7)).astype(np.uint8)
    sized, found = model.for_image(image), model.predict(image)
    assert len(found)
    assert sized.size_ratio != model.size_ratio
    again = sized.cluster(sized.raw(image))
    assert np.array_equal(again.label_map, found.label_map)
    assert np.array_equal(again.scores, found.scores)


def test_looks_that_disagree_are_told_of():
    pixels = np.zeros((700, 700, 1), np.uint8)

    def unsteady(window, diameter):
        return squares(window.shape[:2], 20 if diameter == TRAINED else 60, 0.9)

    told = (
        r"a\.tif: how wide .* one look found 20 pixels, the next, which is taken, 60;.*--diameter"
    )
    with pytest.warns(ImageWarning, match=told):
        assert typical_diameter(pixels, TRAINED, 1.0, unsteady, "a.tif") == pytest.approx(60, 0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        typical_diameter(pixels, TRAINED, 1.0, seen_well(20.0), "a.tif")
