"""Bias, summand and ReLU after a convolution in one pass over memory, for prediction on a card.

cuDNN's products are followed by a pass for each of them, which for few channels take as long as
the products do.
"""

from __future__ import annotations

import operator
import warnings
from collections import Counter
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor, fx, nn

from spatialembed.models.folding import called

INTERPRETED = False
"""True takes the kernel of Triton on the CPU, where its interpreter runs it, as tests do."""

NEWEST_WITHOUT = (6, 2)
"""Last compute capability that Triton does not know."""

CONVOLUTIONS: tuple[type[nn.Conv2d | nn.ConvTranspose2d], ...] = (nn.Conv2d, nn.ConvTranspose2d)
RELUS = (torch.relu, torch.relu_)
SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")


class Finished(nn.Module):
    """A convolution, and what follows it: its bias, perhaps a summand, a ReLU.

    Args:
        convolution: with a bias, which it loses to this.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        assert convolution.bias is not None
        self.bias = convolution.bias
        convolution.bias = None
        self.convolution = convolution

    def forward(self, x: Tensor, summand: Tensor | None = None) -> Tensor:
        """max(0, convolution + bias + summand)."""
        return finish(self.convolution(x), self.bias, summand)


def in_one_pass(network: nn.Module) -> nn.Module:
    """A network as :func:`spatialembed.models.folding.folded` gives it, with such convolutions.

    It is changed. In float32 it remains the same function to the last bit; in bf16 sums are rounded
    once, no longer each.
    """
    assert isinstance(network, fx.GraphModule)
    calls = Counter(node.target for node in network.graph.nodes if node.op == "call_module")
    for node in list(network.graph.nodes):
        if called(network, node, (nn.ReLU,)) or node.target in RELUS:
            _join(network, node, calls)
    network.delete_all_unused_submodules()
    network.recompile()
    return network


def _join(network: fx.GraphModule, relu: fx.Node, calls: Counter[object]) -> None:
    """Make one of a ReLU and the convolution before it, if nothing else reads what is between."""
    chain = [relu]
    summand: tuple[fx.Node, ...] = ()
    before = relu.all_input_nodes[0]
    if before.target in SUMS and len(before.args) == 2 and not before.kwargs:
        first, second = before.args
        if not (isinstance(first, fx.Node) and isinstance(second, fx.Node)) or first is second:
            return
        chain.append(before)
        before, summand = first, (second,)
        while called(network, before, (nn.Dropout2d,)):  # which does nothing in prediction
            chain.append(before)
            before = before.all_input_nodes[0]
    chain.append(before)
    convolution = called(network, before, CONVOLUTIONS)
    alone = calls[before.target] == 1 and all(len(node.users) == 1 for node in chain[1:])
    if convolution is None or convolution.bias is None or not alone:
        return
    network.set_submodule(str(before.target), Finished(convolution))
    with network.graph.inserting_before(relu):
        joined = network.graph.call_module(str(before.target), (before.args[0], *summand))
    relu.replace_all_uses_with(joined)
    for node in chain:
        network.graph.erase_node(node)


def finish(y: Tensor, bias: Tensor, summand: Tensor | None = None) -> Tensor:
    """max(0, y + bias + summand), written over ``y``.

    Args:
        y: (B, C, H, W), of which nothing else is to be known.
        bias: (C,).
        summand: (B, C, H, W), or None for none.
    """
    way = _way(y, bias, summand)
    if way is not None:
        way.finish(y, bias, summand)
        return y
    y = y.add_(bias[:, None, None])
    return (y if summand is None else y.add_(summand)).relu_()


def _way(y: Tensor, bias: Tensor, summand: Tensor | None) -> ModuleType | None:
    """one_pass_triton.py, where its kernel may take these."""
    given = [y] if summand is None else [y, summand]
    alike = {(t.shape, t.dtype, t.device) for t in given}
    fits = (
        (y.is_cuda or INTERPRETED)
        and len(alike) == 1
        and (bias.dtype, bias.device) == (y.dtype, y.device)
        and all(t.is_contiguous(memory_format=torch.channels_last) for t in given)
        and bias.is_contiguous()
        and 0 < y.numel() < 2**30
    )
    return _kernels(y.device) if fits else None


@lru_cache
def _kernels(device: torch.device) -> ModuleType | None:
    """one_pass_triton.py, where it is right: found out once for each device; says why if not."""
    if not INTERPRETED and (
        find_spec("triton") is None or torch.cuda.get_device_capability(device) <= NEWEST_WITHOUT
    ):
        return None
    try:
        from spatialembed.inference import one_pass_triton

        _check(device, one_pass_triton)
    except Exception as error:  # of a compiler, a driver, a card: whatever it is, there is torch
        what = str(error).strip().partition("\n")[0]
        warnings.warn(
            "prediction runs slower than it could: kernels of Triton do not work here "
            f"({type(error).__name__}: {what})",
            stacklevel=2,
        )
        return None
    return one_pass_triton


def _check(device: torch.device, way: ModuleType) -> None:
    """Compare with torch's own on small examples, of few channels and of many."""
    for channels in (5, 16):  # compiled apart
        for dtype in (torch.float32, torch.bfloat16):
            _compare(device, way, channels, dtype)


def _compare(device: torch.device, way: ModuleType, channels: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    y, summand = (
        torch.randn(2, channels, 9, 31, generator=generator, dtype=torch.float32)
        .to(dtype)
        .contiguous(memory_format=torch.channels_last)
        for _ in range(2)
    )
    bias = torch.randn(channels, generator=generator, dtype=torch.float32).to(dtype)
    for here in ((y, bias, None), (y, bias, summand)):
        there = [None if t is None else t.to(device, copy=True) for t in here]
        way.finish(*there)
        expected = y.float() + bias.float()[:, None, None]
        expected = expected if here[2] is None else expected + summand.float()
        assert there[0] is not None
        torch.testing.assert_close(there[0].cpu(), expected.relu().to(dtype))
