"""A residual U-Net made for processors: plain 3x3 convolutions where images are already small."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from spatialembed.errors import UserError
from spatialembed.models.branched_erfnet import DIMS, start_embedding

HEAD_WIDTH = 32
MOST_WIDTH, MOST_BLOCKS = 4096, 64
"""Of a level."""


class ResidualUNet(nn.Module):
    """U-Net of residual blocks from half resolution down, with two light heads.

    Full resolution is where a processor is slowest: the four pixels of each 2x2 square of the
    image enter as channels of one. Each further width is a level of half the size. Skips are
    added, not concatenated; one leads from the image to the heads, which keeps outlines sharp.
    The heads branch as in the paper: offsets and bandwidths, seed maps. They work in squares too,
    which leave them as they came, so that every pixel gets values of its own; or, with ``fine``,
    at full resolution.

    Args:
        in_channels: channels of the image, 1 or more.
        n_sigma: bandwidths per pixel, 1 (circular margin) or 2 (elliptical).
        n_classes: seed maps, 1 or more.
        widths: channels at 1/2, 1/4, 1/8 … of the image's size, 2 to 7 of them.
        blocks: residual blocks per level on the way down, as many as ``widths``.
        fine: channels at full resolution, next to the image and in the heads; 0 for none, which
            is faster and less accurate on small objects.

    Raises:
        UserError: ``widths`` and ``blocks`` differ in length, or hold something below 1, or
            ``fine`` is below 0.
    """

    encoder_parts = ("skip", "stem", "down", "body")
    """Modules on the way down."""

    def __init__(
        self,
        in_channels: int = 3,
        n_sigma: int = 1,
        n_classes: int = 1,
        widths: Sequence[int] = (16, 64, 96, 128, 160),
        blocks: Sequence[int] = (1, 1, 2, 2, 2),
        fine: int = 0,
    ) -> None:
        super().__init__()
        if not 2 <= len(widths) <= 7 or len(blocks) != len(widths):
            raise UserError("widths and blocks take one number a level, for 2 to 7 levels")
        if min(*widths, *blocks) < 1 or fine < 0:
            raise UserError("widths and blocks are numbers of 1 or more, fine is 0 or more")
        if max(*widths, fine) > MOST_WIDTH or max(blocks) > MOST_BLOCKS:
            raise UserError(f"widths and fine go up to {MOST_WIDTH}, blocks up to {MOST_BLOCKS}")
        self.stride = 2 ** len(widths)
        self.fine = fine
        self.skip = (
            convolution(in_channels, fine) if fine else convolution(4 * in_channels, HEAD_WIDTH)
        )
        self.stem = convolution(4 * in_channels, widths[0])
        self.down = nn.ModuleList()
        self.body = nn.ModuleList()
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            if level:
                self.down.append(convolution(widths[level - 1], width, stride=2))
            self.body.append(nn.Sequential(*[ResidualBlock(width) for _ in range(count)]))
        self.up = nn.ModuleList([Up(deep, shallow) for shallow, deep in pairwise(widths)])
        self.embedding_head, self.seed_head = (
            FineHead(widths[0], fine, maps) if fine else Head(widths[0], maps)
            for maps in (DIMS + n_sigma, n_classes)
        )
        start_embedding(self.embedding_head.output_conv, channels=1 if fine else 4)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, H, W) float -> (B, 2 + n_sigma + K, H, W) raw output.

        H and W are multiples of ``stride``; :func:`spatialembed.models.forward_any_size` takes any.
        """
        squares = nn.functional.pixel_unshuffle(image, 2)
        skip = self.skip(image if self.fine else squares)
        x = self.body[0](self.stem(squares))
        levels = []
        for down, body in zip(self.down, self.body[1:], strict=True):
            levels.append(x)
            x = body(down(x))
        for up in reversed(self.up):
            x = up(x, levels.pop())
        return torch.cat([self.embedding_head(x, skip), self.seed_head(x, skip)], 1)


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
    """Features and the skip from the image to one branch's maps, in squares of four pixels."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels, HEAD_WIDTH, 1, bias=False)
        self.bn = nn.BatchNorm2d(HEAD_WIDTH)
        self.output_conv = nn.Conv2d(HEAD_WIDTH, 4 * out_channels, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, channels, H/2, W/2), (B, 32, H/2, W/2) -> (B, out_channels, H, W)."""
        squares = self.output_conv(torch.relu_(self.bn(self.narrow(x)).add_(skip)))
        return nn.functional.pixel_shuffle(squares, 2)


class FineHead(nn.Module):
    """Features and the skip from the image to one branch's maps, at full resolution."""

    def __init__(self, channels: int, fine: int, out_channels: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(channels, fine, 2, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(fine)
        self.output_conv = nn.Conv2d(fine, out_channels, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, channels, H/2, W/2), (B, fine, H, W) -> (B, out_channels, H, W)."""
        out: Tensor = self.output_conv(torch.relu_(self.bn(self.enlarge(x)).add_(skip)))
        return out
