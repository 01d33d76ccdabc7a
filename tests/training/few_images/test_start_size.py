"""The size at which a start sees the given objects: as ever, unless another is clearly better."""

from dataclasses import replace

import numpy as np
import pytest

from spatialembed.errors import UserError
from spatialembed.inference.predictor import Model
from spatialembed.models.spec import ModelSpec
from spatialembed.training.few_images.evidence import Tally
from spatialembed.training.few_images.start_size import at_pixel_size, at_zoom, sized

START = ModelSpec(
    "residual_unet",
    zoom=1.5,
    object_diameter=20.0,
    min_size=18,
    training={"diameters": [6.0, 50.0]},
)


def finds(share_by_zoom):
    """A model that finds so much of 40 objects at each zoom."""

    def found_by(spec):
        hit = np.arange(40) < 40 * share_by_zoom[spec.zoom]
        return [Tally(np.repeat(hit[None], 9, 0), np.zeros(9, np.int64))]

    return found_by


def test_it_stays_as_it_is_where_that_is_as_good():
    spec, found = sized(START, 40.0, None, finds({1.5: 0.8, 0.75: 0.8}))
    assert spec == START
    assert found[0].hit[0].sum() == 32


def test_objects_are_shown_as_in_training_where_that_is_clearly_better():
    spec, found = sized(START, 40.0, None, finds({1.5: 0.2, 0.75: 0.9}))
    assert (spec.zoom, spec.object_diameter, spec.min_size) == (0.75, 40.0, 72)
    assert found[0].hit[0].sum() == 36


def test_objects_of_sizes_that_were_never_seen_are_shown_as_in_training():
    assert sized(START, 100.0, None, finds({1.5: 0.2, 0.3: 0.2}))[0].zoom == 0.3
    assert sized(START, 100.0, None, finds({1.5: 0.9, 0.3: 0.2}))[0] == START


def test_a_size_that_is_asked_for_is_taken_unless_it_is_clearly_worse():
    assert sized(START, 40.0, 24.0, finds({1.5: 0.8, 0.6: 0.8}))[0].zoom == 0.6
    assert sized(START, 40.0, 24.0, finds({1.5: 0.9, 0.6: 0.2}))[0] == START


def test_a_like_size_is_not_tried():
    assert sized(START, 21.0, None, finds({1.5: 0.1}))[0] == START


def test_the_given_objects_tell_their_size_to_a_start_that_finds_sizes_itself():
    finder = replace(START, finds_size=True)
    spec, found = sized(finder, 20.5, None, finds({1.46: 0.8}))
    assert (spec.zoom, spec.object_diameter, spec.finds_size) == (1.46, 20.5, False)
    assert found[0].hit[0].sum() == 32
    assert sized(finder, 40.0, 24.0, finds({0.6: 0.8}))[0].zoom == 0.6


def test_a_start_sees_images_by_their_pixels_as_in_predicting():
    known = replace(START, pixel_size=0.5)
    spec = at_pixel_size(known, 0.25, "start", "DATA")
    assert (spec.zoom, spec.object_diameter, spec.min_size) == (0.75, 40.0, 72)
    assert (spec.pixel_size, spec.training["diameters"]) == (0.25, [12.0, 100.0])
    assert spec.zoom == Model(None, known).for_image(np.zeros((9, 9, 1)), spacing=(0.25, 0.25)).zoom
    # which is what the better size is measured against: here it is the same
    assert sized(spec, 40.0, None, finds({0.75: 0.8}))[0] == spec
    assert sized(spec, 80.0, None, finds({0.75: 0.9, 0.375: 0.2}))[0] == spec
    for start, size in ((START, 0.25), (known, None)):
        assert at_pixel_size(start, size, "start", "DATA") == start
    with pytest.raises(
        UserError, match=r"DATA has pixels of 5 µm, start was trained on 0\.5.*--diam"
    ):
        at_pixel_size(known, 5.0, "start", "DATA")
    assert at_zoom(known, 0.75, 40.0).pixel_size is None


@pytest.mark.parametrize("zoom", [0.5, 1.5, 3.0])
def test_the_least_object_is_as_large_to_the_network(zoom):
    spec = at_zoom(START, zoom, 20.0 * 1.5 / zoom)
    assert spec.min_size == pytest.approx(18 * (1.5 / zoom) ** 2, abs=0.5)
    assert spec.object_diameter * spec.zoom == pytest.approx(30.0)
