import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from spatialembed.embedding import sigma_to_margin
from spatialembed.errors import UserError
from spatialembed.models import build, forward_any_size, freeze_batch_norm_statistics
from spatialembed.models.erfnet import Downsampler, Encoder, ResidualBlock1d, Upsampler
from spatialembed.models.folding import folded

LIGHT = {"widths": (8, 8, 16), "blocks": (1, 1, 1)}
SMALL = {
    "branched_erfnet": ("branched_erfnet", {}),
    "residual_unet": ("residual_unet", LIGHT),
    "fine residual_unet": ("residual_unet", {**LIGHT, "fine": 6}),
}


def small(name: str, in_channels: int = 3, n_sigma: int = 1, n_classes: int = 1) -> nn.Module:
    torch.manual_seed(0)
    network, options = SMALL[name]
    return build(network, in_channels, n_sigma, n_classes, **options)


def shake(network: nn.Module) -> nn.Module:
    """Random parameters and running statistics, so that no term is hidden by its start."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                spread = torch.rand(value.shape, generator=generator)
                positive = name.endswith("running_var")
                value.copy_(spread + 0.5 if positive else (spread - 0.5) * 0.3)
    return network


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("in_channels", "n_sigma", "n_classes"), [(1, 1, 1), (3, 2, 8), (20, 1, 2)]
)
def test_output_has_every_channel_at_the_size_of_the_image(
    name: str, in_channels: int, n_sigma: int, n_classes: int
) -> None:
    network = small(name, in_channels, n_sigma, n_classes).eval()
    stride = network.stride
    image = torch.rand(2, in_channels, 2 * stride, 3 * stride)
    assert network(image).shape == (2, 2 + n_sigma + n_classes, 2 * stride, 3 * stride)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("n_sigma", [1, 2])
def test_starts_with_no_offset_and_a_margin_of_5_7_pixels(name: str, n_sigma: int) -> None:
    output = small(name, n_sigma=n_sigma)(torch.rand(2, 3, 64, 64)).detach()
    assert not output[:, :2].any()
    torch.testing.assert_close(output[:, 2 : 2 + n_sigma], torch.ones(2, n_sigma, 64, 64))
    assert float(sigma_to_margin(output[0, 2, 0, 0])) == pytest.approx(5.74, abs=0.01)
    assert output[:, 2 + n_sigma :].std() > 0


@pytest.mark.parametrize("name", SMALL)
def test_every_trained_parameter_gets_a_gradient(name: str) -> None:
    network = shake(small(name))
    network(torch.rand(2, 3, 64, 64)).square().sum().backward()
    for key, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
    used = [p.grad.abs().sum() for p in network.parameters() if p.grad is not None]
    assert sum(bool(g > 0) for g in used) > 0.95 * len(used)


@pytest.mark.parametrize("name", SMALL)
def test_bf16_autocast_and_channels_last_agree_with_plain_float32(name: str) -> None:
    network = shake(small(name)).eval()
    image = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        plain = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            low = network(image).float()
        last = copy.deepcopy(network).to(memory_format=torch.channels_last)(
            image.contiguous(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-4)
    assert (low - plain).abs().mean() < 0.05 * plain.abs().mean()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 40), (64, 33)])
def test_any_size_is_the_border_repeated_and_the_result_cropped(
    name: str, height: int, width: int
) -> None:
    network = shake(small(name)).eval()
    image = torch.rand(2, 3, height, width)
    output = forward_any_size(network, image)
    assert output.shape == (2, 4, height, width)
    rows = torch.arange(-(-height // network.stride) * network.stride).clamp(max=height - 1)
    columns = torch.arange(-(-width // network.stride) * network.stride).clamp(max=width - 1)
    padded = network(image[:, :, rows][:, :, :, columns])
    torch.testing.assert_close(output, padded[..., :height, :width])


@pytest.mark.parametrize("name", SMALL)
def test_a_folded_network_is_the_same_function(name: str) -> None:
    network = shake(small(name, n_sigma=2)).eval()
    before = copy.deepcopy(network.state_dict())
    light = folded(network)
    norms = [m for m in light.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == (3 if name == "branched_erfnet" else 0)  # a pool comes before those
    image = torch.rand(2, 3, 50, 71)
    with torch.no_grad():
        expected, found = forward_any_size(network, image), forward_any_size(light, image)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", SMALL)
def test_frozen_statistics_stay_while_scales_are_trained(name: str) -> None:
    network = small(name).train()
    network(torch.rand(2, 3, 64, 64))
    freeze_batch_norm_statistics(network)
    before = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    network(torch.rand(2, 3, 64, 64) * 5).square().sum().backward()
    for key, value in before.items():
        assert torch.equal(network.state_dict()[key], value), key
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert all(norm.weight.grad is not None for norm in norms)
    assert network.training


def test_branched_erfnet_is_the_published_one_in_size() -> None:
    network = build("branched_erfnet", 3, 1, 1)
    assert len(network.state_dict()) == 433
    assert sum(p.numel() for p in network.parameters()) == 2_252_644


def test_residual_unet_keeps_its_size_and_takes_other_widths() -> None:
    count = sum(p.numel() for p in build("residual_unet", 1, 2, 1).parameters())
    assert 1.5e6 < count < 3e6
    narrow = build("residual_unet", 1, 2, 1, widths=(16, 24), blocks=(1, 1))
    assert sum(p.numel() for p in narrow.parameters()) < 5e4
    assert narrow.stride == 4


def test_downsampler_is_a_convolution_beside_a_pool() -> None:
    block = shake(Downsampler(3, 16)).eval()
    x = torch.rand(1, 3, 8, 8)
    pooled = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2))
    assert block.conv.weight.shape == (13, 3, 3, 3)
    torch.testing.assert_close(block(x), _norm(block.bn, torch.cat((block.conv(x), pooled), 1)))


@pytest.mark.parametrize("channels", [15, 16, 40])
def test_first_block_takes_as_many_channels_as_an_image_has(channels: int) -> None:
    assert Encoder(channels, 4)(torch.rand(2, channels, 16, 16)).shape == (2, 128, 2, 2)


def test_residual_block_factorises_two_convolutions() -> None:
    block = shake(ResidualBlock1d(4, dilation=2, dropout=0.3)).eval()
    x = torch.randn(2, 4, 9, 11)
    conv, f = torch.nn.functional.conv2d, torch.relu
    y = f(conv(x, block.conv3x1_1.weight, block.conv3x1_1.bias, padding=(1, 0)))
    y = _norm(block.bn1, conv(y, block.conv1x3_1.weight, block.conv1x3_1.bias, padding=(0, 1)))
    y = f(conv(y, block.conv3x1_2.weight, block.conv3x1_2.bias, padding=(2, 0), dilation=2))
    y = conv(y, block.conv1x3_2.weight, block.conv1x3_2.bias, padding=(0, 2), dilation=2)
    expected = f(_norm(block.bn2, y, relu=False) + x)
    torch.testing.assert_close(block(x), expected)


def test_upsampler_doubles() -> None:
    assert Upsampler(8, 4)(torch.rand(2, 8, 5, 7)).shape == (2, 4, 10, 14)


def _norm(bn: nn.BatchNorm2d, x: Tensor, relu: bool = True) -> Tensor:
    view = (1, -1, 1, 1)
    scale = bn.weight / torch.sqrt(bn.running_var + 1e-3)
    y = (x - bn.running_mean.view(view)) * scale.view(view) + bn.bias.view(view)
    return torch.relu(y) if relu else y


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        (("unet", 3, 1, 1), {}, "branched_erfnet, pretrained_unet, residual_unet"),
        (("residual_unet", 0, 1, 1), {}, "1 or more channels"),
        (("residual_unet", 3, 3, 1), {}, "1 or 2 bandwidths"),
        (("residual_unet", 3, 1, 0), {}, "1 or more classes"),
        (("residual_unet", 3, 1, 1), {"depth": 3}, "depth"),
        (("residual_unet", 3, 1, 1), {"widths": (8, 8)}, "one number a level"),
        (("residual_unet", 3, 1, 1), {"widths": (8, 0), "blocks": (1, 1)}, "1 or more"),
        (("residual_unet", 3, 1, 1), {"fine": -1}, "0 or more"),
    ],
)
def test_refuses_what_it_cannot_build(arguments: tuple, options: dict, told: str) -> None:
    with pytest.raises(UserError, match=told):
        build(*arguments, **options)


def test_names_and_specs_need_no_torch() -> None:
    code = (
        "import sys, spatialembed.models, spatialembed.models.normalization, "
        "spatialembed.models.checkpoint; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
