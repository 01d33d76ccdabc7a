"""Layers that see the batch of all processes, so that several train as one alone would.

A process has its share of a batch's images, process r the r-th. Batch norms normalise by the
statistics of all of them; dropouts draw for all of them and take what is for their own.

A batch norm sends one message on the way forward, mean and variance together, and one on the way
back. Those of several layers cannot be one message: each needs its own before the next can begin.
All processes come to the same running statistics by themselves, which nobody has to send.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn


def see_whole_batch(network: nn.Module) -> None:
    """Let a network's batch norms and dropouts see the batch of all processes while they train.

    The layers keep their names, parameters and statistics; in evaluation they are what they were.
    """
    kinds: dict[type, type] = {nn.BatchNorm2d: WholeBatchNorm2d, nn.Dropout2d: WholeBatchDropout2d}
    for module in network.modules():
        module.__class__ = kinds.get(type(module), type(module))


class WholeBatchNorm2d(nn.BatchNorm2d):
    """Batch norm by the statistics of all processes' images; all keep the same running ones.

    torch's SyncBatchNorm refuses the CPU; this one trains GPUs by the same lines.
    """

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """(B, C, H, W) -> the same shape."""
        if not self.training:
            return super().forward(input)
        output, mean, variance = _Normalize.apply(input, self.weight, self.bias, self.eps)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        count = input.numel() // input.shape[1] * distributed.get_world_size()
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
        normalized: Tensor = output
        return normalized


class WholeBatchDropout2d(nn.Dropout2d):
    """Dropout of channels as one process draws it: of the whole batch, in one go."""

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """(B, C, H, W) -> the same shape."""
        if not self.training or self.p == 0:
            return super().forward(input)
        images, channels = input.shape[:2]
        whole = input.new_empty(distributed.get_world_size() * images, channels, 1, 1)
        kept = whole.bernoulli_(1 - self.p).div_(1 - self.p)
        return input * kept[distributed.get_rank() * images :][:images]


class _Normalize(torch.autograd.Function):
    """Normalised images, and mean and variance of each channel over all processes.

    The gradient of the input is that of evaluation, where statistics are constants, and what goes
    through the statistics: Ioffe & Szegedy 2015, section 3, with sums over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = _statistics(input, like=weight)
        ctx.save_for_backward(input, weight, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        ctx.eps = eps
        output = nn.functional.batch_norm(input, mean, variance, weight, bias, eps=eps)
        return output, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        input, weight, mean, variance = ctx.saved_tensors
        constant, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], input, weight, mean, variance, None, None, False, ctx.eps, [True] * 3
        )
        sums = torch.stack([to_weight, to_bias])
        distributed.all_reduce(sums)
        count = input.numel() // input.shape[1] * distributed.get_world_size()
        width = (variance + ctx.eps).rsqrt()
        slope, level = sums * (weight * width / count)
        slope = slope * width
        level = level - slope * mean
        slope, level = (row.to(input.dtype).view(1, -1, 1, 1) for row in (slope, level))
        return constant.sub_(level).addcmul_(input, slope, value=-1), to_weight, to_bias, None


def _statistics(
    input: Float[Tensor, "B C H W"], like: Float[Tensor, " C"]
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Mean and variance of each channel over all processes, which have equally many images."""
    unused = torch.zeros_like(like), torch.ones_like(like)  # running ones, which give the dtype
    own = torch.stack(torch.batch_norm_update_stats(input, *unused, 0.0))
    everyone = own.new_empty(distributed.get_world_size(), *own.shape)
    distributed.all_gather([*everyone], own)
    means, variances = everyone.unbind(1)  # (processes, C) each
    mean = means.mean(0)
    return mean, (variances + (means - mean) ** 2).mean(0)
