"""What follows a convolution is the same in one pass, by torch and by the kernel."""

import operator
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from spatialembed import inference
from spatialembed.inference import one_pass
from spatialembed.inference.one_pass import Finished, finish, in_one_pass
from spatialembed.models import build
from spatialembed.models.folding import folded

LIGHT = {"widths": (8, 16, 8), "blocks": (1, 2, 1)}
NETWORKS = {
    "branched_erfnet": ({}, 88),
    "residual_unet": (LIGHT, 18),
    "fine residual_unet": ({**LIGHT, "fine": 6}, 18),
    "pretrained_unet": ({"widths": (16, 8, 8, 8, 8), "fine": 6}, 16),
}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    made = build(name.split()[-1], 3, 2, 1, **NETWORKS[name][0])
    for parameter in made.parameters():  # what starts at zero would hide an error
        nn.init.normal_(parameter, 0, 0.1)
    return folded(made)


def given(dtype=torch.float32, shape=(2, 13, 9, 31), device="cpu"):
    generator = torch.Generator().manual_seed(1)
    y, summand = (torch.randn(shape, generator=generator).to(dtype) for _ in range(2))
    y[0, 1, 2, 3] = torch.nan
    bias = torch.randn(shape[1], generator=generator).to(dtype)
    last = {"memory_format": torch.channels_last}
    return [y.to(device, **last), bias.to(device), summand.to(device, **last)]


def expected(y, bias, summand=None):
    total = y.float() + bias.float()[:, None, None]
    return (total if summand is None else total + summand.float()).relu()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_remain_the_same_function(name) -> None:
    before = network(name)
    after = in_one_pass(network(name))
    joined = [m for m in after.modules() if isinstance(m, Finished)]
    assert len(joined) == NETWORKS[name][1]
    assert after.stride == before.stride
    image = torch.rand(2, 3, 64, 96).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(after(image), before(image), rtol=1e-5, atol=1e-5)
        low = after.bfloat16()(image.bfloat16()).float()
        assert (low - before(image)).norm() < 0.05 * before(image).norm()


class Odd(nn.Module):
    """Networks that must stay as they are: what is between is read elsewhere, or used twice."""

    stride = 1

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.bare = nn.Conv2d(4, 4, 1, bias=False)

    def forward(self, x):
        y = self.one(x)
        a = torch.relu(y) + y
        b = torch.relu(self.two(a)) + torch.relu(self.two(x))
        c = torch.relu(self.bare(b))
        d = torch.relu(operator.add(c, 1.0))
        e = self.one(d)
        return torch.relu(e + e)


def test_what_is_read_elsewhere_stays() -> None:
    odd = Odd()
    before, after = folded(odd), in_one_pass(folded(odd))
    assert not [m for m in after.modules() if isinstance(m, Finished)]
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(after(x), before(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sums", [False, True])
def test_by_operations_of_torch(dtype, sums) -> None:
    y, bias, summand = given(dtype)
    wanted = expected(y, bias, summand if sums else None)
    found = finish(y, bias, summand if sums else None)
    assert found is y
    torch.testing.assert_close(found.float(), wanted, rtol=2e-2, atol=2e-2, equal_nan=True)


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with torch for CUDA")
def test_the_kernel_by_its_interpreter() -> None:
    """In a process of its own: it is chosen before Triton is loaded."""
    tests = Path(__file__).with_name("interpreted_one_pass.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", tests]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def require_kernel(device: str) -> None:
    """Of all types and shapes it writes what is wanted; what it may not take goes another way."""
    one_pass._kernels.cache_clear()
    for shape in ((2, 13, 9, 31), (1, 16, 32, 32), (1, 1, 1, 3)):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            for count in (2, 3):
                tensors = given(dtype, (shape[0], *shape[1:]), device) if shape[2] > 2 else None
                if tensors is None:
                    tensors = [torch.ones(shape, dtype=dtype, device=device) for _ in range(3)]
                    tensors[1] = tensors[1].flatten()[:1] - 3
                tensors = tensors[:count]
                with warnings.catch_warnings():
                    warnings.simplefilter("error", UserWarning)
                    assert one_pass._way(*tensors, *[None] * (3 - count)) is not None
                wanted = expected(*tensors).to(dtype)
                found = finish(*tensors)
                exact = {"rtol": 0, "atol": 0} if dtype == torch.float32 else {}
                torch.testing.assert_close(found, wanted, equal_nan=True, **exact)
    y, bias, summand = given(device=device)
    assert one_pass._way(y.contiguous(), bias, None) is None
    assert one_pass._way(y, bias, summand.contiguous()) is None
    assert one_pass._way(y, bias, summand[:1]) is None
    assert one_pass._way(y, bias.double(), None) is None
    assert one_pass._way(y[:0], bias, None) is None


def test_without_triton_it_says_so_and_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(one_pass, "INTERPRETED", True)
    monkeypatch.setitem(sys.modules, "triton", None)  # it cannot be imported then
    monkeypatch.delitem(sys.modules, "spatialembed.inference.one_pass_triton", raising=False)
    monkeypatch.delattr(inference, "one_pass_triton", raising=False)
    one_pass._kernels.cache_clear()
    y, bias, _ = given()
    wanted = expected(y, bias)
    with pytest.warns(UserWarning, match="runs slower than it could: kernels of Triton"):
        found = finish(y, bias)
    torch.testing.assert_close(found, wanted, equal_nan=True)
    one_pass._kernels.cache_clear()


@pytest.mark.gpu
def test_the_kernel_on_this_card() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    require_kernel("cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_on_this_card(name, monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    before, after = network(name).cuda(), in_one_pass(network(name)).cuda()
    image = torch.rand(2, 3, 64, 96, device="cuda").contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found, wanted = after(image), before(image)
        assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max()
        low = after.bfloat16()(image.bfloat16()).float()
        assert (low - wanted).norm() < 0.05 * wanted.norm()
