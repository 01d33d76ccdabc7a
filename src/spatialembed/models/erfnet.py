"""The blocks of ERFNet: Romera et al., T-ITS 2018, figure 2 and table I.

Attribute names follow the published model files, so that those load key by key.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spatialembed.models.doubling import Doubling

BATCH_NORM_EPSILON = 1e-3
STEM_WIDTH = 16


class Downsampler(nn.Module):
    """Halves the image: a stride-2 convolution beside a max-pool, batch norm, ReLU.

    The convolution gives the channels the pooled input does not: ``out_channels - in_channels``.
    An input that is as wide as the output (images of 16 channels or more) is not passed on; then
    the convolution gives every channel.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pools = in_channels < out_channels
        convolved = out_channels - in_channels if self.pools else out_channels
        self.conv = nn.Conv2d(in_channels, convolved, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, H/2, W/2), H and W even."""
        y = self.conv(x)
        if self.pools:
            y = torch.cat((y, nn.functional.max_pool2d(x, 2)), 1)
        return torch.relu(self.bn(y))


class ResidualBlock1d(nn.Module):
    """The paper's Non-bottleneck-1D: two 3x3 convolutions, each factorised into 3x1 and 1x3."""

    def __init__(self, channels: int, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        d = dilation
        self.conv3x1_1 = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0))
        self.conv1x3_1 = nn.Conv2d(channels, channels, (1, 3), padding=(0, 1))
        self.bn1 = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)
        self.conv3x1_2 = nn.Conv2d(channels, channels, (3, 1), padding=(d, 0), dilation=(d, 1))
        self.conv1x3_2 = nn.Conv2d(channels, channels, (1, 3), padding=(0, d), dilation=(1, d))
        self.bn2 = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        y = torch.relu(self.conv3x1_1(x))
        y = torch.relu(self.bn1(self.conv1x3_1(y)))
        y = torch.relu(self.conv3x1_2(y))
        y = self.bn2(self.conv1x3_2(y))
        return torch.relu(self.dropout(y) + x)


class Upsampler(nn.Module):
    """Doubles the image: a stride-2 transposed convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(
            in_channels, out_channels, 3, stride=2, padding=1, output_padding=1
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, 2H, 2W)."""
        return torch.relu(self.bn(self.conv(x)))


class Encoder(nn.Module):
    """Image to features at an eighth of its size.

    Args:
        in_channels: channels of the image.
        out_channels: outputs of ``output_conv``, which nothing uses. The published files hold it,
            so it is here for a file to fit; it gets no gradient.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.initial_block = Downsampler(in_channels, STEM_WIDTH)
        layers: list[nn.Module] = [Downsampler(STEM_WIDTH, 64)]
        layers += [ResidualBlock1d(64, dropout=0.03) for _ in range(5)]
        layers += [Downsampler(64, 128)]
        layers += [ResidualBlock1d(128, d, dropout=0.3) for d in (2, 4, 8, 16) * 2]
        self.layers = nn.ModuleList(layers)
        self.output_conv = nn.Conv2d(128, out_channels, 1).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, 128, H/8, W/8)."""
        x = self.initial_block(x)
        for layer in self.layers:
            x = layer(x)
        return x


class Decoder(nn.Module):
    """Features to ``out_channels`` maps at the image's size."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                Upsampler(128, 64),
                ResidualBlock1d(64),
                ResidualBlock1d(64),
                Upsampler(64, STEM_WIDTH),
                ResidualBlock1d(STEM_WIDTH),
                ResidualBlock1d(STEM_WIDTH),
            ]
        )
        self.output_conv = Doubling(STEM_WIDTH, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 128, H/8, W/8) -> (B, out_channels, H, W)."""
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.output_conv(x)
        return out
