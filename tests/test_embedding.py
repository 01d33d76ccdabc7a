"""The geometry: coordinates, embedding, bandwidth and membership, in numpy and torch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialembed import embedding as geometry

SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@given(SHAPES, st.floats(1e-4, 1))
@settings(max_examples=40, deadline=None)
def test_coordinates_are_pitch_times_position_in_the_order_x_y_z(shape, pitch):
    grid = geometry.pixel_coordinates(shape, pitch, like=np.zeros(0))
    assert grid.shape == (len(shape), *shape)
    for index in np.ndindex(*shape):
        assert grid[(slice(None), *index)] == pytest.approx([pitch * i for i in index[::-1]])


def test_a_crop_and_the_whole_image_share_one_geometry():
    whole = geometry.pixel_coordinates((3000, 2500))
    crop = geometry.pixel_coordinates((20, 30))
    np.testing.assert_array_equal(whole[:, :20, :30], crop)
    assert whole[0, 0, 2048] == 2


@given(SHAPES, st.booleans(), st.integers(1, 3), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_numpy_and_torch_agree(shape, circular, classes, seed):
    n_sigma = 1 if circular else len(shape)
    count = len(shape) + n_sigma + classes
    output = np.random.default_rng(seed).normal(0, 1, (count, *shape))
    ours = geometry.embed(output, n_sigma)
    theirs = geometry.embed(torch.from_numpy(output), n_sigma)
    batch = geometry.embed(torch.from_numpy(output)[None], n_sigma, batched=True)
    for a, b, c in zip(ours, theirs, batch, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-12)
        np.testing.assert_array_equal(b.numpy(), c[0].numpy())
    assert ours.seed.shape == (classes, *shape)


def test_initial_margin_is_about_six_pixels_and_phi_is_half_there():
    margin = geometry.sigma_to_margin(np.array(1.0))
    assert margin == pytest.approx(5.745, abs=0.01)
    width = geometry.inverse_squared_width(np.ones(1))
    edge = np.array([margin * geometry.PITCH])
    assert geometry.membership(edge, np.zeros(1), width) == pytest.approx(0.5)
    assert geometry.margin_to_sigma(float(margin)) == pytest.approx(1)


def test_half_precision_does_not_overflow():
    output = torch.full((1, 4, 2, 2), 3.0, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        embedded = geometry.embed(output, 1, batched=True)
        width = geometry.inverse_squared_width(embedded.sigma)
        phi = geometry.membership(embedded.position, embedded.position[..., :1], width, axis=1)
    assert embedded.position.dtype == torch.float32
    assert torch.isfinite(width).all()
    assert torch.isfinite(phi).all()


def test_fixed_margin_replaces_the_predicted_bandwidth():
    output = np.random.default_rng(0).normal(size=(5, 4, 4))
    sigma = geometry.embed(output, 2, margin=12.0).sigma
    np.testing.assert_allclose(geometry.sigma_to_margin(sigma), 12, rtol=1e-6)


def test_pitch_of_two_axes_is_given_as_x_then_y():
    grid = geometry.pixel_coordinates((2, 2), (0.5, 0.25))
    assert grid[:, 1, 1].tolist() == [0.5, 0.25]


def test_sigmoid_does_not_overflow():
    scores = geometry.sigmoid(np.array([-1e4, 0, 1e4], np.float32))
    assert scores.tolist() == pytest.approx([0, 0.5, 1], abs=1e-30)


@pytest.mark.parametrize("n_sigma", [0, 3])
def test_a_wrong_number_of_bandwidths_is_refused(n_sigma):
    with pytest.raises(ValueError, match="n_sigma"):
        geometry.embed(np.zeros((6, 4, 4)), n_sigma)


def test_an_output_without_seed_map_is_refused():
    with pytest.raises(ValueError, match="no seed map"):
        geometry.embed(np.zeros((3, 4, 4)), 1)


@pytest.mark.parametrize("pitch", [0, -1.0, math.inf, (1.0,), (1.0, 1.0, 1.0)])
def test_a_bad_pitch_is_refused(pitch):
    with pytest.raises(ValueError, match="pitch"):
        geometry.pixel_coordinates((4, 4), pitch)


@pytest.mark.parametrize("margin", [0.0, -2.0, math.nan])
def test_a_bad_margin_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        geometry.margin_to_sigma(margin)
