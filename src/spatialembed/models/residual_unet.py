"""A residual U-Net made for processors: plain convolutions of 3 where images are already small."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from spatialembed.errors import UserError
from spatialembed.models.axes import Axes
from spatialembed.models.branched_erfnet import joined, start_embedding

HEAD_WIDTH = 32
WIDTHS = (16, 64, 96, 128, 160)
MOST_LEVELS = {2: 7, 3: 5}
"""By the number of spatial axes: tiles begin at multiples of 2 to that number (inference/)."""

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

    Of volumes squares are cubes. Where planes lie further apart than pixels, as many halvings as
    ``flat`` says halve the planes' sides alone, and convolutions before them stay in the plane.

    Args:
        in_channels: channels of the image, 1 or more.
        n_sigma: bandwidths per pixel, 1 (circular margin) or one an axis (elliptical).
        n_classes: seed maps, 1 or more.
        widths: channels at 1/2, 1/4, 1/8 … of the image's size, 2 to 7 of them, of volumes
            2 to 5.
        blocks: residual blocks per level on the way down, as many as ``widths``.
        fine: channels at full resolution, next to the image and in the heads; 0 for none, which
            is faster and less accurate on small objects.
        flat: of volumes, halvings that leave z as it is, up to one a width; see
            :func:`~spatialembed.models.axes.flat_for`.
        dims: spatial axes, 2 or 3.
        targets: each with offsets, bandwidths and seed maps of its own.

    Raises:
        UserError: ``widths`` and ``blocks`` differ in length, or hold something below 1, ``fine``
            is below 0, or ``flat`` is of images or above the number of widths.
    """

    encoder_parts = ("skip", "stem", "down", "body")
    """Modules on the way down."""

    def __init__(
        self,
        in_channels: int = 3,
        n_sigma: int = 1,
        n_classes: int = 1,
        widths: Sequence[int] = WIDTHS,
        blocks: Sequence[int] = (1, 1, 2, 2, 2),
        fine: int = 0,
        flat: int = 0,
        dims: int = 2,
        targets: int = 1,
    ) -> None:
        super().__init__()
        most = MOST_LEVELS[dims]
        if not 2 <= len(widths) <= most or len(blocks) != len(widths):
            raise UserError(f"widths and blocks take one number a level, for 2 to {most} levels")
        if min(*widths, *blocks) < 1 or fine < 0:
            raise UserError("widths and blocks are numbers of 1 or more, fine is 0 or more")
        if max(*widths, fine) > MOST_WIDTH or max(blocks) > MOST_BLOCKS:
            raise UserError(f"widths and fine go up to {MOST_WIDTH}, blocks up to {MOST_BLOCKS}")
        if not 0 <= flat <= len(widths) * (dims - 2):
            raise UserError(f"flat is of volumes, from 0 to the number of widths, not {flat}")
        axes = Axes(dims, flat)
        self.axes, self.fine = axes, fine
        self.stride = 2 ** len(widths)
        self.depth_stride = 2 ** (len(widths) - flat)
        of_image = axes.square(0) * in_channels
        self.skip = (
            convolution(axes, 0, in_channels, fine)
            if fine
            else convolution(axes, 1, of_image, HEAD_WIDTH)
        )
        self.stem = convolution(axes, 1, of_image, widths[0])
        self.down = nn.ModuleList()
        self.body = nn.ModuleList()
        for level, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
            if level > 1:
                self.down.append(
                    convolution(axes, level - 1, widths[level - 2], width, halves=True)
                )
            self.body.append(
                nn.Sequential(*[ResidualBlock(width, axes, level) for _ in range(count)])
            )
        self.up = nn.ModuleList(
            [Up(deep, shallow, axes, k) for k, (shallow, deep) in enumerate(pairwise(widths), 1)]
        )
        head = FineHead if fine else Head
        self.embedding_head, self.seed_head = (
            head(widths[0], fine or HEAD_WIDTH, targets * maps, axes)
            for maps in (dims + n_sigma, n_classes)
        )
        self.targets = targets
        channels = 1 if fine else axes.square(0)
        start_embedding(self.embedding_head.output_conv, channels, dims, targets)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, *S) float -> (B, D + n_sigma + K, *S) raw output.

        Sides are multiples of ``stride``, along z of ``depth_stride``;
        :func:`spatialembed.models.forward_any_size` takes any.
        """
        squares = self.axes.in_squares(image)
        skip = self.skip(image if self.fine else squares)
        x = self.body[0](self.stem(squares))
        levels = []
        for down, body in zip(self.down, self.body[1:], strict=True):
            levels.append(x)
            x = body(down(x))
        for up in reversed(self.up):
            x = up(x, levels.pop())
        return joined(self.embedding_head(x, skip), self.seed_head(x, skip), self.targets)


def convolution(
    axes: Axes, level: int, in_channels: int, out_channels: int, halves: bool = False
) -> nn.Module:
    """Convolution at 1/2^level of the image's size, from which it may go on, batch norm, ReLU."""
    return nn.Sequential(
        axes.convolution(level, in_channels, out_channels, halves=halves, bias=False),
        axes.norm(out_channels),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two convolutions of 3 added to their input; starts as the identity, which trains sooner."""

    def __init__(self, channels: int, axes: Axes, level: int) -> None:
        super().__init__()
        self.conv1 = axes.convolution(level, channels, channels, bias=False)
        self.bn1 = axes.norm(channels)
        self.conv2 = axes.convolution(level, channels, channels, bias=False)
        self.bn2 = axes.norm(channels)
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *S) -> the same shape."""
        y = torch.relu_(self.bn1(self.conv1(x)))
        return torch.relu_(self.bn2(self.conv2(y)).add_(x))


class Up(nn.Module):
    """Deeper features, narrowed before they are enlarged, added to a level's own, one block."""

    def __init__(self, deep: int, shallow: int, axes: Axes, level: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(axes.pointwise(deep, shallow), axes.norm(shallow))
        self.block = ResidualBlock(shallow, axes, level)
        self.factor = axes.factor(level)

    def forward(self, deep: Tensor, shallow: Tensor) -> Tensor:
        """(B, deep, *S), (B, shallow, *twice S) -> (B, shallow, *twice S)."""
        narrowed = self.narrow(deep)
        enlarged = nn.functional.interpolate(narrowed, scale_factor=self.factor, mode="nearest")
        x: Tensor = self.block(torch.relu_(enlarged.add_(shallow)))
        return x


class Head(nn.Module):
    """Features and the skip from the image to one branch's maps, in squares of the image."""

    def __init__(self, channels: int, width: int, out_channels: int, axes: Axes) -> None:
        super().__init__()
        self.narrow = axes.pointwise(channels, width)
        self.bn = axes.norm(width)
        self.output_conv = axes.convolution(1, width, axes.square(0) * out_channels)
        self.axes = axes

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, channels, *half S), (B, width, *half S) -> (B, out_channels, *S)."""
        squares = self.output_conv(torch.relu_(self.bn(self.narrow(x)).add_(skip)))
        return self.axes.from_squares(squares)


class FineHead(nn.Module):
    """Features and the skip from the image to one branch's maps, at full resolution."""

    def __init__(self, channels: int, fine: int, out_channels: int, axes: Axes) -> None:
        super().__init__()
        self.enlarge = axes.enlarging(0, channels, fine)
        self.bn = axes.norm(fine)
        self.output_conv = axes.convolution(0, fine, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, channels, *half S), (B, fine, *S) -> (B, out_channels, *S)."""
        out: Tensor = self.output_conv(torch.relu_(self.bn(self.enlarge(x)).add_(skip)))
        return out
