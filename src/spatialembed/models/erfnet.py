"""The blocks of ERFNet: Romera et al., T-ITS 2018, figure 2 and table I.

Attribute names follow the published model files, so that those load key by key. Of volumes they
follow them by analogy, and so does all else here: EmbedSeg (Lalit et al., MedIA 2022) takes an
ERFNet of three axes, whose layers are those of two with an axis more. Each halving is of z, too,
and each convolution of 3x3x3 is factorised into 3x1x1, 1x3x1 and 1x1x3; widths stay.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spatialembed.models.axes import CONVOLUTION, DROPOUT, ENLARGING, NORM, POOLING
from spatialembed.models.doubling import Doubling

BATCH_NORM_EPSILON = 1e-3
STEM_WIDTH = 16
FACTORS = {2: ("conv3x1", "conv1x3"), 3: ("conv3x1x1", "conv1x3x1", "conv1x1x3")}
"""Into which a convolution of 3 is factorised, by the number of spatial axes."""


class Downsampler(nn.Module):
    """Halves an image or a volume: a stride-2 convolution beside a max-pool, batch norm, ReLU.

    The convolution gives the channels the pooled input does not: ``out_channels - in_channels``.
    An input that is as wide as the output (images of 16 channels or more) is not passed on; then
    the convolution gives every channel.
    """

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2) -> None:
        super().__init__()
        self.pools = in_channels < out_channels
        convolved = out_channels - in_channels if self.pools else out_channels
        self.dims = dims
        self.conv = CONVOLUTION[dims](in_channels, convolved, 3, stride=2, padding=1)
        self.bn = NORM[dims](out_channels, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, out_channels, *half S), sides even."""
        y = self.conv(x)
        if self.pools:
            y = torch.cat((y, POOLING[self.dims](x, 2)), 1)
        return torch.relu(self.bn(y))


class ResidualBlock1d(nn.Module):
    """The paper's Non-bottleneck-1D: two convolutions of 3, each factorised along the axes."""

    def __init__(
        self, channels: int, dilation: int = 1, dropout: float = 0.0, dims: int = 2
    ) -> None:
        super().__init__()
        self.factors = FACTORS[dims]
        for half, d in ((1, 1), (2, dilation)):
            for axis, name in enumerate(self.factors):
                only = [int(other == axis) for other in range(dims)]
                convolution = CONVOLUTION[dims](
                    channels,
                    channels,
                    tuple(1 + 2 * n for n in only),
                    padding=tuple(d * n for n in only),
                    dilation=tuple(d if n else 1 for n in only),
                )
                self.add_module(f"{name}_{half}", convolution)
            self.add_module(f"bn{half}", NORM[dims](channels, eps=BATCH_NORM_EPSILON))
        self.dropout = DROPOUT[dims](dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> the same shape."""
        y = self._factorised(torch.relu(self._factorised(x, 1)), 2)
        return torch.relu(self.dropout(y) + x)

    def _factorised(self, x: Tensor, half: int) -> Tensor:
        *first, last = (self.get_submodule(f"{name}_{half}") for name in self.factors)
        for convolution in first:
            x = torch.relu(convolution(x))
        normed: Tensor = self.get_submodule(f"bn{half}")(last(x))
        return normed


class Upsampler(nn.Module):
    """Doubles an image or a volume: a stride-2 transposed convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2) -> None:
        super().__init__()
        self.conv = ENLARGING[dims](
            in_channels, out_channels, 3, stride=2, padding=1, output_padding=1
        )
        self.bn = NORM[dims](out_channels, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> (B, out_channels, *twice S)."""
        return torch.relu(self.bn(self.conv(x)))


class Encoder(nn.Module):
    """Image to features at an eighth of its size.

    Args:
        in_channels: channels of the image.
        out_channels: outputs of ``output_conv``, which nothing uses. The published files hold it,
            so it is here for a file to fit; it gets no gradient.
        dims: spatial axes, 2 or 3.
    """

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2) -> None:
        super().__init__()
        self.initial_block = Downsampler(in_channels, STEM_WIDTH, dims)
        layers: list[nn.Module] = [Downsampler(STEM_WIDTH, 64, dims)]
        layers += [ResidualBlock1d(64, dropout=0.03, dims=dims) for _ in range(5)]
        layers += [Downsampler(64, 128, dims)]
        layers += [ResidualBlock1d(128, d, dropout=0.3, dims=dims) for d in (2, 4, 8, 16) * 2]
        self.layers = nn.ModuleList(layers)
        self.output_conv = CONVOLUTION[dims](128, out_channels, 1).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, *S) -> (B, 128, *eighth S)."""
        x = self.initial_block(x)
        for layer in self.layers:
            x = layer(x)
        return x


class Decoder(nn.Module):
    """Features to ``out_channels`` maps at the image's size."""

    def __init__(self, out_channels: int, dims: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                Upsampler(128, 64, dims),
                ResidualBlock1d(64, dims=dims),
                ResidualBlock1d(64, dims=dims),
                Upsampler(64, STEM_WIDTH, dims),
                ResidualBlock1d(STEM_WIDTH, dims=dims),
                ResidualBlock1d(STEM_WIDTH, dims=dims),
            ]
        )
        self.output_conv = (
            Doubling(STEM_WIDTH, out_channels)
            if dims == 2
            else ENLARGING[dims](STEM_WIDTH, out_channels, 2, stride=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 128, *eighth S) -> (B, out_channels, *S)."""
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.output_conv(x)
        return out
