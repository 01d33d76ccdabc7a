"""Bandwidths beyond their range, and the gradient that leads them back."""

import numpy as np
import pytest
import torch

from spatialembed.loss import SpatialEmbeddingLoss
from spatialembed.terms.bandwidth import clamped_with_return
from test_loss import scene, value_and_gradient


@pytest.mark.parametrize("sigma", [-3.0, -2.001, 2.001, 2.2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bandwidth_beyond_its_range_is_drawn_back(sigma, dtype):
    """Pixels of one object left the range; the loss there is that of its end."""
    output, label_mask, _ = scene(5)
    own = label_mask == int(label_mask.max())
    beyond, at_end = output.clone().to(dtype), output.clone().to(dtype)
    some = own & (torch.arange(own.shape[-1]) % 2 == 0)
    beyond[:, 2][some] = sigma
    at_end[:, 2][some] = max(-2.0, min(sigma, 2.0))
    found, gradient = value_and_gradient(lambda o: SpatialEmbeddingLoss()(o, label_mask), beyond)
    expected, slope = value_and_gradient(lambda o: SpatialEmbeddingLoss()(o, label_mask), at_end)
    assert found == expected
    assert (gradient[:, 2][some] * np.sign(sigma) > 0).all()  # descent goes against it
    assert torch.equal(gradient, slope)


def test_a_bandwidth_beyond_its_range_comes_back_by_training():
    output, label_mask, _ = scene(1)
    output = output.float()
    output[:, 2] = torch.where(label_mask > 0, 2.0, 0.0)
    own = (label_mask[0] > 0).nonzero()
    output[0, 2][tuple(own[: len(own) // 2].T)] = 2.5
    output[0, 2][tuple(own[len(own) // 2 :].T)] = 0.5
    output.requires_grad_()
    optimizer = torch.optim.Adam([output], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        SpatialEmbeddingLoss()(output, label_mask)["total"].backward()
        optimizer.step()
    assert (output[0, 2][label_mask[0] > 0] < 2).all()


@pytest.mark.parametrize("sigma", [-2.5, 3.0])
@pytest.mark.parametrize("upstream", [-1.0, 0.0, 1.0])
def test_no_gradient_leads_further_out(sigma, upstream):
    value = torch.tensor([sigma, 0.5, float("nan")], requires_grad=True)
    clamped_with_return(value).backward(torch.full((3,), upstream))
    back = upstream * sigma > 0
    assert value.grad.tolist() == [upstream if back else 0, upstream, 0]


def test_the_gradient_within_the_range_is_that_of_a_clamp():
    value = torch.linspace(-1.99, 1.99, 40, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(clamped_with_return, value)
    assert torch.autograd.gradgradcheck(clamped_with_return, value)
    everywhere = torch.linspace(-4, 4, 99)
    assert torch.equal(clamped_with_return(everywhere), everywhere.clip(-2, 2))
    ends = torch.tensor([-2.0, 2.0], requires_grad=True)
    clamped_with_return(ends).sum().backward()
    assert ends.grad.tolist() == [1, 1]
