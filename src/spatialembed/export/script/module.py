"""The module that a TorchScript file is: a network, and all that is done around it."""

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialembed.embedding import margin_to_sigma
from spatialembed.export.script.clustering import clustered, foreground_of
from spatialembed.export.script.normalizing import by_percentiles, by_scale
from spatialembed.export.script.refining import refined
from spatialembed.export.script.resizing import lines_of, pitch_of, resized, sampled
from spatialembed.models.spec import ModelSpec

WHITE = 255.0
"""Of a normalisation by range that does not know its white: that of 8 bits."""


class InstancesOf(nn.Module):
    """Normalised images (B, C, H, W) float32 of any size to label maps (B, 1, H, W) float32.

    The network runs where the images and its weights are, the rest on the processor.

    Args:
        network: traced, of images whose sides are multiples of ``stride``.
        stride: of the network.
        spec: of a model of images.
        zoom: magnification at which the network sees images.
        min_size: fewest pixels of an object at that.
    """

    n_sigma: Final[int]
    channels: Final[int]
    takes_grey: Final[bool]
    stride: Final[int]
    zoom: Final[float]
    pitch: Final[tuple[float, float]]
    sigma: Final[float]
    seed_threshold: Final[float]
    foreground_threshold: Final[float]
    min_size: Final[int]
    refines: Final[bool]
    mean: Tensor
    std: Tensor
    kind: Final[str]
    low: Final[float]
    high: Final[float]

    def __init__(
        self, network: nn.Module, stride: int, spec: ModelSpec, zoom: float, min_size: int
    ) -> None:
        super().__init__()
        self.network = network
        self.stride, self.zoom, self.min_size = stride, zoom, min_size
        self.n_sigma, self.channels = spec.n_sigma, spec.in_channels
        self.takes_grey = spec.takes_grey
        self.pitch = (spec.pitch[0], spec.pitch[1])
        fixed = spec.margin and margin_to_sigma(spec.margin, min(spec.pitch))
        self.sigma = math.nan if fixed is None else float(np.float32(fixed))
        # Compared with float32, as float32
        self.seed_threshold = float(np.float32(spec.seed_threshold))
        self.foreground_threshold = float(np.float32(spec.foreground_threshold))
        self.refines = spec.refine
        normal = spec.normalization
        self.kind, self.low, self.high = normal.kind, normal.low, normal.high
        white = normal.white or WHITE
        mean = normal.mean if self.kind == "mean-std" else (0.0,)
        std = normal.std if self.kind == "mean-std" else (white if self.kind == "range" else 1.0,)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None])
        self.most = 1.0 if self.kind == "range" else math.inf

    def forward(self, image: Tensor) -> Tensor:
        """Labels from 1 on, in the order that instances were found in, 0 for none."""
        if self.takes_grey and image.shape[1] == 1:
            image = image.expand(-1, self.channels, -1, -1)
        if image.dim() != 4 or image.shape[1] != self.channels:
            raise ValueError("images are float32 (batch, channels, height, width), normalised")
        maps = [self.labels(image[k]) for k in range(image.shape[0])]
        return torch.stack(maps)[:, None].to(device=image.device, dtype=torch.float32)

    @torch.jit.export
    def normalized(self, image: Tensor) -> Tensor:
        """Images (B, C, H, W) as stored, as float32, to those that :meth:`forward` takes."""
        if self.kind == "percentile":
            planes = [by_percentiles(image[k], self.low, self.high) for k in range(image.shape[0])]
            return torch.stack(planes).to(image.device)
        return by_scale(image, self.mean, self.std, self.most)

    def labels(self, image: Tensor) -> Tensor:
        """(H, W) int32 labels of one (C, H, W) image."""
        height, width = image.shape[1], image.shape[2]
        output = self.output(image).cpu()
        pitch = pitch_of(self.pitch, height, width, self.zoom)
        shown = foreground_of(output, self.n_sigma, self.foreground_threshold, pitch, self.sigma)
        label, classes = clustered(shown, height * width, self.seed_threshold, self.min_size)
        if self.refines and len(classes) > 0:
            label = refined(label, classes, shown, self.min_size)
        return label.reshape(height, width)

    def output(self, image: Tensor) -> Tensor:
        """(2 + n_sigma + K, H, W) raw output at the image's size."""
        height, width = image.shape[1], image.shape[2]
        down, across = lines_of(height, self.zoom), lines_of(width, self.zoom)
        seen = resized(image, down, across)[None]
        missing = [0, -across % self.stride, 0, -down % self.stride]
        seen = functional.pad(seen, missing, mode="replicate")
        output = self.network(seen.contiguous(memory_format=torch.channels_last))
        return sampled(output[0, :, :down, :across], height, width)
