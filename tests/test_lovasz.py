"""The Lovász hinge against its set function."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from spatialembed.kernels.hinge import add_keys, hinge_steps
from spatialembed.kernels.sort import sort_keys
from spatialembed.lovasz import lovasz_hinge, lovasz_hinge_segments


@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_value_and_gradient_equal_the_set_function(pixels, positives, seed):
    rng = np.random.default_rng(seed)
    logits = torch.tensor(rng.normal(0, 1.5, (1, pixels)), requires_grad=True)
    labels = np.zeros(pixels, bool)
    labels[: min(positives, pixels)] = True
    rng.shuffle(labels)
    value = lovasz_hinge(logits, torch.from_numpy(labels)[None])
    value.sum().backward()
    expected, gradient = reference.lovasz_hinge(logits.detach().numpy()[0], labels)
    assert value.item() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(logits.grad.numpy()[0], gradient, rtol=1e-10, atol=1e-14)
    if labels.any():
        by_sorting = reference.lovasz_hinge_by_sorting(logits[0], torch.from_numpy(labels))
        assert by_sorting.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_right_by_a_margin_costs_nothing_and_all_wrong_costs_twice_the_loss():
    labels = torch.tensor([[True, True, False, False]])
    perfect = torch.where(labels, 1.0, -1.0).double()
    assert lovasz_hinge(perfect, labels).item() == 0
    assert lovasz_hinge(-perfect, labels).item() == pytest.approx(2)


def test_segments_in_any_order_equal_masks_one_by_one():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 40, generator=generator, dtype=torch.float64)
    labels = torch.rand(5, 40, generator=generator) < 0.3
    errors = (1 - torch.where(labels, logits, -logits)).clamp(min=0)
    segment = torch.arange(5).repeat_interleave(40)
    shuffle = torch.randperm(200, generator=generator)
    by_segments = lovasz_hinge_segments(
        errors.flatten()[shuffle], labels.flatten()[shuffle], segment[shuffle], 5
    )
    torch.testing.assert_close(by_segments, lovasz_hinge(logits, labels))


def test_no_pairs_and_no_segments():
    nothing = torch.zeros(0)
    for segments in (0, 3):
        value = lovasz_hinge_segments(nothing, nothing.bool(), nothing.long(), segments)
        assert value.tolist() == [0.0] * segments


def test_float32_weights_of_a_large_mask_lose_no_digits():
    labels = torch.ones(1, 300_000, dtype=torch.bool)
    logits = torch.full((1, 300_000), -1.0)
    assert lovasz_hinge(logits, labels).item() == pytest.approx(2, rel=1e-5)


@given(st.integers(1, 40), st.integers(0, 60), st.booleans(), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_compiled_steps_are_those_of_the_set_function(inside, outside, with_ties, seed):
    errors = np.random.default_rng(seed).uniform(0, 2, inside + outside).astype(np.float32)
    if with_ties:
        errors = np.round(errors * 4) / 4
    labels = np.arange(len(errors)) < inside
    logits = np.where(labels, 1 - errors, errors - 1)
    expected, slope = reference.lovasz_hinge(logits.astype(np.float64), labels)
    steps = np.empty_like(errors)
    keys, half, out = np.empty((3, len(errors)), np.uint64)
    keys = sort_keys(keys[: add_keys(errors, 0, keys, 0)], half, out)
    value = hinge_steps(keys, inside, half, steps)
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-12)
    if len(np.unique(errors)) == len(errors):  # equal errors may take their steps in any order
        np.testing.assert_allclose(steps[:inside], -slope[:inside], rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(steps[inside:], slope[inside:], rtol=1e-5, atol=1e-9)
