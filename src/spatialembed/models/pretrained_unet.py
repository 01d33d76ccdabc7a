"""A U-Net whose way down is an encoder that may have learned ImageNet before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from spatialembed.errors import UserError
from spatialembed.models.axes import Axes
from spatialembed.models.branched_erfnet import DIMS, joined, start_embedding
from spatialembed.models.efficientnet_lite import EfficientNetLite, Variant
from spatialembed.models.residual_unet import MOST_WIDTH, FineHead, Up, convolution


class PretrainedUNet(nn.Module):
    """EfficientNet-Lite down, residual blocks up, the two heads of the residual U-Net.

    Each feature of the encoder is brought to its level's width by a 1x1 convolution; a skip leads
    from the image to the heads at full resolution.

    Args:
        in_channels: 3, or 1, which the encoder is shown three times.
        n_sigma: bandwidths per pixel, 1 (circular margin) or 2 (elliptical).
        n_classes: seed maps, 1 or more.
        encoder: a variant of EfficientNet-Lite.
        widths: channels on the way up at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image's size.
        fine: channels at full resolution, next to the image and in the heads.
        targets: each with offsets, bandwidths and seed maps of its own.

    Raises:
        UserError: other channels, not five widths, or a width below 1.
    """

    stride = 32
    encoder_parts = ("skip", "encoder", "across")
    """Modules on the way down."""

    def __init__(
        self,
        in_channels: int = 3,
        n_sigma: int = 1,
        n_classes: int = 1,
        encoder: Variant = "efficientnet_lite0",
        widths: Sequence[int] = (32, 48, 64, 96, 160),
        fine: int = 16,
        targets: int = 1,
    ) -> None:
        super().__init__()
        if in_channels not in (1, 3):
            raise UserError(
                f"pretrained_unet takes images of 1 or 3 channels, not {in_channels}; choose "
                "another network"
            )
        self.shown = 3 // in_channels
        self.encoder = EfficientNetLite(encoder)
        if len(widths) != len(self.encoder.widths):
            raise UserError(f"widths takes {len(self.encoder.widths)} numbers, not {len(widths)}")
        if not 1 <= min(*widths, fine) <= max(*widths, fine) <= MOST_WIDTH:
            raise UserError(f"widths and fine are numbers from 1 to {MOST_WIDTH}")
        axes = Axes()
        self.skip = convolution(axes, 0, in_channels, fine)
        self.across = nn.ModuleList(
            nn.Sequential(axes.pointwise(*ends), axes.norm(ends[1]), nn.ReLU(inplace=True))
            for ends in zip(self.encoder.widths, widths, strict=True)
        )
        self.up = nn.ModuleList(
            Up(deep, shallow, axes, k) for k, (shallow, deep) in enumerate(pairwise(widths), 1)
        )
        self.embedding_head = FineHead(widths[0], fine, targets * (DIMS + n_sigma), axes)
        self.seed_head = FineHead(widths[0], fine, targets * n_classes, axes)
        self.targets = targets
        start_embedding(self.embedding_head.output_conv, targets=targets)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in_channels, H, W) float -> (B, 2 + n_sigma + K, H, W) raw output.

        H and W are multiples of ``stride``; :func:`spatialembed.models.forward_any_size` takes any.
        """
        skip = self.skip(image)
        # Normalised images lie about in [0, 1], the encoder learned from -1 to 1.
        # By a product: a tensor that is concatenated to itself cannot be quantized to 8 bits.
        features = self.encoder(image * image.new_full((1, self.shown, 1, 1), 2) - 1)
        *levels, x = (across(f) for across, f in zip(self.across, features, strict=True))
        for up in reversed(self.up):
            x = up(x, levels.pop())
        return joined(self.embedding_head(x, skip), self.seed_head(x, skip), self.targets)
