"""Batch norms folded into the convolutions before them: the same function in fewer passes."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from spatialembed.models.axes import CONVOLUTION, ENLARGING, NORM, in_layout
from spatialembed.models.doubling import Doubling

Kind = TypeVar("Kind", bound=nn.Module)

CONVOLUTIONS, ENLARGINGS, NORMS = (tuple(kind.values()) for kind in (CONVOLUTION, ENLARGING, NORM))


def folded(network: nn.Module) -> nn.Module:
    """A copy of a network for prediction alone, whose convolutions take over their batch norms.

    In evaluation a batch norm is a scale and a shift per channel, which the weights of a
    convolution before it can hold. What follows something else than one convolution stays as it
    is. A ReLU works in place where nothing else reads what it is given. torch's own
    ``fx.experimental.optimization.fuse`` knows no transposed convolutions.

    Returns:
        The copy, in evaluation mode and channels-last layout, with the network's strides.
    """
    module = copy.deepcopy(network).eval()
    traced = fx.GraphModule(module, _Tracer().trace(module))
    for node in traced.graph.nodes:
        if norm := called(traced, node, NORMS):
            _fold(traced, node, norm)
    for node in traced.graph.nodes:
        node.type = None  # an annotation, which as a text keeps the copy from being pickled
        if node.target is torch.relu and len(node.all_input_nodes[0].users) == 1:
            node.target = torch.relu_
    traced.delete_all_unused_submodules()
    traced.recompile()
    traced.stride = network.stride
    if hasattr(network, "depth_stride"):
        traced.depth_stride = network.depth_stride
    return in_layout(traced)


class _Tracer(fx.Tracer):
    """That leaves it to a doubling how it works, by the device it is on."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Doubling) or super().is_leaf_module(m, module_qualified_name)


def _fold(traced: fx.GraphModule, node: fx.Node, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> None:
    before = node.all_input_nodes[0]
    convolution = called(traced, before, CONVOLUTIONS + ENLARGINGS)
    if convolution is None or len(before.users) > 1:
        return
    fused = fuse_conv_bn_eval(convolution, norm, transpose=isinstance(convolution, ENLARGINGS))
    traced.set_submodule(str(before.target), fused)
    node.replace_all_uses_with(before)
    traced.graph.erase_node(node)


def called(network: fx.GraphModule, node: fx.Node, kinds: tuple[type[Kind], ...]) -> Kind | None:
    """The module that a node calls, if it is of one of these kinds."""
    module = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    return module if isinstance(module, kinds) else None
