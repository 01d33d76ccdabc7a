"""A doubling is torch's own transposed convolution, whatever computes it."""

import copy

import pytest
import torch
from torch import nn

from spatialembed.models import build
from spatialembed.models.doubling import Doubling, doubled
from spatialembed.models.folding import folded

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
LAYOUTS = [torch.channels_last, torch.contiguous_format]


@pytest.fixture
def exact(monkeypatch) -> None:
    """In float32 itself: a card's convolutions round to TF32 first, its products do not."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def pair(out_channels: int) -> tuple[Doubling, nn.ConvTranspose2d]:
    """One and torch's own with the same weights, which are drawn alike."""
    torch.manual_seed(0)
    made = Doubling(16, out_channels)
    torch.manual_seed(0)
    own = nn.ConvTranspose2d(16, out_channels, 2, stride=2)
    for key, value in own.state_dict().items():
        assert torch.equal(made.state_dict()[key], value), key
    return made, own


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("out_channels", [1, 4, 7])
def test_products_are_the_convolution_and_so_are_their_gradients(
    device, layout, out_channels
) -> None:
    own = pair(out_channels)[1].to(device)
    x = torch.randn(2, 16, 9, 14, device=device).to(memory_format=layout).requires_grad_()
    down = torch.randn(2, out_channels, 18, 28, device=device)
    given = (x, own.weight, own.bias)
    found, expected = doubled(*given), own(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    gradients = (torch.autograd.grad(y, given, down) for y in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_on_a_cpu_it_is_the_convolution_to_the_last_bit() -> None:
    made, own = pair(3)
    x = torch.randn(2, 16, 9, 14)
    assert torch.equal(made(x), own(x))
    assert torch.equal(made(x, [19, 28]), own(x, [19, 28]))


@pytest.mark.parametrize("device", DEVICES)
def test_half_precision_is_rounded_once(device) -> None:
    own = pair(4)[1].to(device)
    x = torch.randn(1, 16, 8, 8, device=device).bfloat16()
    given = (x, own.weight.bfloat16(), own.bias.bfloat16())
    exact = doubled(*(t.float() for t in given))
    torch.testing.assert_close(doubled(*given).float(), exact, rtol=2**-7, atol=1e-3)
    with torch.autocast(device, torch.bfloat16):
        assert doubled(x, own.weight, own.bias).dtype == torch.bfloat16


def test_a_folded_network_decides_where_it_is() -> None:
    light = folded(build("branched_erfnet", 3, 1, 1))
    kept = [m for m in light.modules() if isinstance(m, Doubling)]
    assert len(kept) == 2
    assert not any(node.target == "pixel_shuffle" for node in light.graph.nodes)


@pytest.mark.gpu
@pytest.mark.usefixtures("exact")
def test_a_whole_network_on_a_card() -> None:
    torch.manual_seed(0)
    network = build("branched_erfnet", 3, 2, 1).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.1)
    image = torch.rand(1, 3, 40, 64)
    with torch.inference_mode():
        expected = network(image)
        for one in (copy.deepcopy(network).cuda(), folded(network).cuda()):
            found = one(image.cuda()).cpu()
            assert (found - expected).abs().max() < 1e-3 * expected.abs().max()
