"""A model of two targets, and an image of what it finds."""

from dataclasses import replace

import numpy as np
import torch
from test_predictor import Bright

from spatialembed.inference.predictor import Model
from spatialembed.inference.torch_network import TorchNetwork
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec, Target


class TwoBright(torch.nn.Module):
    """Nuclei where the image is above .7, cells where it is above .2."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.bright = Bright()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.bright(image - 0.2), self.bright(image + 0.3)], 1)


def model(**changes) -> Model:
    targets = (Target(min_size=5, object_diameter=6.0), Target(min_size=50, object_diameter=12.0))
    spec = ModelSpec(
        "residual_unet",
        in_channels=1,
        class_names=("nuclei", "cells"),
        normalization=Normalization("range"),
        object_diameter=6.0,
        targets=targets,
    )
    return Model(TorchNetwork(TwoBright()), replace(spec, **changes), "two")


def scene() -> np.ndarray:
    image = np.zeros((40, 64, 1), np.uint8)
    image[4:16, 4:16] = image[20:32, 40:52] = 100
    image[8:12, 8:13] = image[33:37, 4:9] = 255
    return image
