"""A residual U-Net made for processors: plain 3x3 convolutions where images are already small."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from spatialembed.errors import UserError
from spatialembed.models.branched_erfnet import DIMS, start_embedding

FULL_WIDTH = 16


class ResidualUNet(nn.Module):
    """U-Net of residual blocks from half resolution down, with two light full-resolution heads.

    The stem halves the image at once; each further width is a level of half the size. Skips are
    added, not concatenated. Only the heads work at full resolution, on 16 channels joined by a
    full-resolution skip of the image, which is what keeps outlines sharp. The heads branch as
    in the paper: offsets and bandwidths, seed maps.

    Args:
        in_channels: channels of the image, 1 or more.
        n_sigma: bandwidths per pixel, 1 (circular margin) or 2 (elliptical).
        n_classes: seed maps, 1 or more.
        widths: channels at 1/2, 1/4, 1/8 … of the image's size, 2 to 7 of them.
        blocks: residual blocks per level on the way down, as many as ``widths``.

    Raises:
        UserError: ``widths`` and ``blocks`` differ in length, or hold something below 1.
    """

    def __init__(
        self,
        in_channels: int = 3,
        n_sigma: int = 1,
        n_classes: int = 1,
        widths: Sequence[int] = (32, 64, 96, 128, 192),
        blocks: Sequence[int] = (1, 2, 3, 2, 1),
    ) -> None:
        super().__init__()
        if not 2 <= len(widths) <= 7 or len(blocks) != len(widths):
            raise UserError("widths and blocks take one number a level, for 2 to 7 levels")
        if min(*widths, *blocks) < 1:
            raise UserError("widths and blocks are numbers of 1 or more")
        self.stride = 2 ** len(widths)
        self.skip = convolution(in_channels, FULL_WIDTH)
        self.stem = convolution(in_channels, widths[0], stride=2)
        self.down = nn.ModuleList()
        self.body = nn.ModuleList()
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            if level:
                self.down.append(convolution(widths[level - 1], width, stride=2))
            self.body.append(nn.Sequential(*[ResidualBlock(width) for _ in range(count)]))
        self.up = nn.ModuleList([Up(deep, shallow) for shallow, deep in pairwise(widths)])
        self.embedding_head = Head(widths[0], DIMS + n_sigma)
        self.seed_head = Head(widths[0], n_classes)
        start_embedding(self.embedding_head.output_conv)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, H, W) float -> (B, 2 + n_sigma + K, H, W) raw output.

        H and W are multiples of ``stride``; :func:`spatialembed.models.forward_any_size` takes any.
        """
        skip = self.skip(image)
        x = self.body[0](self.stem(image))
        levels = []
        for down, body in zip(self.down, self.body[1:], strict=True):
            levels.append(x)
            x = body(down(x))
        for up in reversed(self.up):
            x = up(x, levels.pop())
        return torch.cat((self.embedding_head(x, skip), self.seed_head(x, skip)), 1)


def convolution(in_channels: int, out_channels: int, size: int = 3, stride: int = 1) -> nn.Module:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input; starts as the identity, which trains sooner."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        return torch.relu_(self.bn2(self.conv2(y)).add_(x))


class Up(nn.Module):
    """Deeper features, narrowed before they are enlarged, added to a level's own, one block."""

    def __init__(self, deep: int, shallow: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(
            nn.Conv2d(deep, shallow, 1, bias=False), nn.BatchNorm2d(shallow)
        )
        self.block = ResidualBlock(shallow)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """(B, deep, H, W), (B, shallow, 2H, 2W) -> (B, shallow, 2H, 2W)."""
        enlarged = nn.functional.interpolate(self.narrow(deep), scale_factor=2, mode="nearest")
        x: Tensor = self.block(torch.relu_(enlarged.add_(shallow)))
        return x


class Head(nn.Module):
    """Half-resolution features and the full-resolution skip to one branch's maps."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(channels, FULL_WIDTH, 2, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(FULL_WIDTH)
        self.output_conv = nn.Conv2d(FULL_WIDTH, out_channels, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, channels, H/2, W/2), (B, 16, H, W) -> (B, out_channels, H, W)."""
        out: Tensor = self.output_conv(torch.relu_(self.bn(self.enlarge(x)).add_(skip)))
        return out
