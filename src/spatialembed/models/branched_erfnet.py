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
        n_classes: seed maps, 1 or more.
        dims: spatial axes, 2 or 3.
    """

    stride = depth_stride = 8
    """Sides of an input, and the depth of a volume, are multiples of this."""
    encoder_parts = ("encoder",)
    """Modules before the branches."""

    def __init__(
        self, in_channels: int = 3, n_sigma: int = 1, n_classes: int = 1, dims: int = DIMS
    ) -> None:
        super().__init__()
        self.encoder = Encoder(in_channels, dims + n_sigma + n_classes, dims)
        embedding, seed = Decoder(dims + n_sigma, dims), Decoder(n_classes, dims)
        self.decoders = nn.ModuleList([embedding, seed])
        start_embedding(embedding.output_conv, dims=dims)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, *S) float -> (B, D + n_sigma + K, *S) raw output.

        Sides are multiples of 8; :func:`spatialembed.models.forward_any_size` takes any.
        """
        features = self.encoder(image)
        return torch.cat([decoder(features) for decoder in self.decoders], 1)


def start_embedding(convolution: nn.Module, channels: int = 1, dims: int = DIMS) -> None:
    """Start offsets at 0 and bandwidths at σ = 1, a margin of 5.7 px.

    Args:
        convolution: gives the offset channels, then the bandwidths.
        channels: how many it gives for each of them.
        dims: spatial axes.
    """
    weight, bias = convolution.weight, convolution.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    nn.init.zeros_(weight)
    nn.init.zeros_(bias[: dims * channels])
    nn.init.ones_(bias[dims * channels :])
