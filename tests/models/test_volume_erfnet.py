"""Branched ERFNet of three axes: the layers of two, with an axis more."""

import pytest
import torch
from test_networks import shake
from test_volume_networks import lively
from torch import Tensor, nn
from torch.nn import functional as F

from spatialembed.models import build, forward_any_size, freeze_encoder, strides
from spatialembed.models.erfnet import Downsampler, Encoder, ResidualBlock1d, Upsampler
from spatialembed.models.folding import folded


def network(in_channels: int = 1, n_sigma: int = 3, n_classes: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return build("branched_erfnet", in_channels, n_sigma, n_classes, 3).eval()


@pytest.mark.parametrize(("channels", "n_sigma", "n_classes"), [(1, 3, 1), (20, 1, 2)])
def test_every_channel_at_the_size_of_the_volume(channels, n_sigma, n_classes) -> None:
    made = network(channels, n_sigma, n_classes)
    assert strides(made, 3) == (8, 8, 8)
    with torch.no_grad():
        output = made(torch.rand(1, channels, 8, 16, 24))
        odd = forward_any_size(made, torch.rand(1, channels, 3, 9, 8))
    assert output.shape == (1, 3 + n_sigma + n_classes, 8, 16, 24)
    assert odd.shape == (1, 3 + n_sigma + n_classes, 3, 9, 8)
    assert not output[:, :3].any()  # no offset at first
    assert torch.equal(output[:, 3 : 3 + n_sigma], torch.ones(1, n_sigma, 8, 16, 24))
    assert output[:, 3 + n_sigma :].std() > 0


def test_it_is_that_of_images_with_a_convolution_more_along_each_block() -> None:
    plane = {
        key: value.shape for key, value in build("branched_erfnet", 1, 2, 1).state_dict().items()
    }
    volume = {key: value.shape for key, value in network().state_dict().items()}
    for key in plane:
        if "1x3" in key or "3x1" in key:
            assert key not in volume
        elif not key.startswith(("encoder.output_conv", "decoders.0.output_conv")):
            assert volume[key][:2] == plane[key][:2]  # the same widths
    blocks = 13 + 2 * 4
    assert len(plane) == 433
    assert len(volume) == 433 + 2 * 2 * blocks


def norm(bn: nn.Module, x: Tensor) -> Tensor:
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-3)


@pytest.mark.parametrize("dilation", [1, 4])
def test_residual_block_is_two_convolutions_along_three_axes(dilation) -> None:
    torch.manual_seed(0)
    block = shake(ResidualBlock1d(4, dilation, 0.3, 3)).eval()
    x = y = torch.randn(2, 4, 6, 9, 11)
    for half, d in ((1, 1), (2, dilation)):
        for axis, name in enumerate(("conv3x1x1", "conv1x3x1", "conv1x1x3")):
            layer = block.get_submodule(f"{name}_{half}")
            assert layer.weight.shape[2:] == tuple(3 if a == axis else 1 for a in range(3))
            padding = [d if a == axis else 0 for a in range(3)]
            y = F.conv3d(y, layer.weight, layer.bias, padding=padding, dilation=d)
            if axis < 2:
                y = F.relu(y)
        y = norm(block.get_submodule(f"bn{half}"), y)
        y = F.relu(y if half == 1 else y + x)
    torch.testing.assert_close(block(x), y)


def test_halving_and_doubling_are_of_z_too() -> None:
    torch.manual_seed(0)
    down, x = shake(Downsampler(3, 16, 3)).eval(), torch.rand(1, 3, 4, 8, 6)
    blocks = x.unfold(2, 2, 2).unfold(3, 2, 2).unfold(4, 2, 2)
    y = torch.cat((down.conv(x), blocks.amax((-1, -2, -3))), 1)
    torch.testing.assert_close(down(x), F.relu(norm(down.bn, y)))
    assert Upsampler(8, 4, 3)(torch.rand(2, 8, 2, 5, 7)).shape == (2, 4, 4, 10, 14)
    assert Encoder(40, 4, 3)(torch.rand(2, 40, 8, 16, 8)).shape == (2, 128, 1, 2, 1)


def test_every_trained_parameter_gets_a_gradient() -> None:
    made = lively(network()).train()
    made(torch.rand(2, 1, 16, 16, 16)).square().sum().backward()
    trained = {k: p.grad for k, p in made.named_parameters() if p.requires_grad}
    assert not [key for key, gradient in trained.items() if gradient is None]
    assert sum(bool(g.any()) for g in trained.values()) > 0.95 * len(trained)
    freeze_encoder(made)
    assert {k.partition(".")[0] for k, p in made.named_parameters() if p.requires_grad} == {
        "decoders"
    }


def test_a_folded_network_is_the_same_function() -> None:
    made = lively(network(2))
    light = folded(made)
    norms = [m for m in light.modules() if isinstance(m, nn.BatchNorm3d)]
    assert len(norms) == 3  # a pool comes before those
    assert strides(light, 3) == (8, 8, 8)
    for shape in [(7, 9, 11), (2, 16, 8)]:
        volume = torch.rand(1, 2, *shape)
        with torch.no_grad():
            expected, found = forward_any_size(made, volume), forward_any_size(light, volume)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max())
