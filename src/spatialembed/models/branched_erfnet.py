"""Branched ERFNet, the paper's network: one encoder, one decoder per branch.

Neven et al. 2019, section 3: the first branch gives offsets and bandwidths, the second the seed
maps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spatialembed.models.erfnet import Decoder, Encoder

DIMS = 2


class BranchedERFNet(nn.Module):
    """Shared ERFNet encoder with an instance decoder and a seed decoder.

    Its state dict is that of the published files: 433 tensors, 2,252,644
    parameters for RGB, one bandwidth and one class. Of volumes it is, by analogy,
    what :mod:`spatialembed.models.erfnet` says.

    Args:
        in_channels: channels of the image, 1 or more.
        n_sigma: bandwidths per pixel, 1 (circular margin) or one an axis (elliptical).
        n_classes: seed maps of a target, 1 or more.
        dims: spatial axes, 2 or 3.
        targets: each with offsets, bandwidths and seed maps of its own, from the two decoders.
    """

    stride = depth_stride = 8
    """Sides of an input, and the depth of a volume, are multiples of this."""
    encoder_parts = ("encoder",)
    """Modules before the branches."""

    def __init__(
        self,
        in_channels: int = 3,
        n_sigma: int = 1,
        n_classes: int = 1,
        dims: int = DIMS,
        targets: int = 1,
    ) -> None:
        super().__init__()
        maps = [targets * (dims + n_sigma), targets * n_classes]
        self.encoder = Encoder(in_channels, sum(maps), dims)
        embedding, seed = (Decoder(count, dims) for count in maps)
        self.decoders = nn.ModuleList([embedding, seed])
        self.targets = targets
        start_embedding(embedding.output_conv, dims=dims, targets=targets)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, *S) float -> (B, D + n_sigma + K, *S) raw output.

        Sides are multiples of 8; :func:`spatialembed.models.forward_any_size` takes any.
        """
        features = self.encoder(image)
        embedding, seed = (decoder(features) for decoder in self.decoders)
        return joined(embedding, seed, self.targets)


def joined(embedding: Tensor, seed: Tensor, targets: int) -> Tensor:
    """Raw output of what two branches give: of each target its embedding, then its seed maps.

    Args:
        embedding: (B, targets * (D + n_sigma), *S) offsets and bandwidths, target by target.
        seed: (B, targets * K, *S).
        targets: how many.
    """
    if targets == 1:
        return torch.cat([embedding, seed], 1)
    # As one operation each, which a tracer follows (folding.py).
    own = [maps.unflatten(1, (targets, -1)) for maps in (embedding, seed)]
    return torch.cat(own, 2).flatten(1, 2)


def start_embedding(
    convolution: nn.Module, channels: int = 1, dims: int = DIMS, targets: int = 1
) -> None:
    """Start offsets at 0 and bandwidths at σ = 1, a margin of 5.7 px.

    Args:
        convolution: gives the offset channels, then the bandwidths, target by target.
        channels: how many it gives for each of them.
        dims: spatial axes.
        targets: how many.
    """
    weight, bias = convolution.weight, convolution.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    nn.init.zeros_(weight)
    own = bias.view(targets, -1)
    nn.init.zeros_(own[:, : dims * channels])
    nn.init.ones_(own[:, dims * channels :])
