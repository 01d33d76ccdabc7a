"""A model and data that commands are tried on."""

import numpy as np
import pytest
import torch
from PIL import Image

from spatialembed.models import build
from spatialembed.models.checkpoint import save_model
from spatialembed.models.spec import ModelSpec

WIDTHS = {"widths": [4, 4, 4, 4, 4]}


@pytest.fixture
def run(tmp_path):
    """A run folder with an untrained model for one channel."""
    torch.manual_seed(0)
    save_model(
        tmp_path / "run" / "model.safetensors",
        build("residual_unet", 1, 1, 1, **WIDTHS),
        ModelSpec("residual_unet", WIDTHS, in_channels=1),
    )
    return tmp_path / "run"


@pytest.fixture
def data(tmp_path):
    for split in ("train", "test"):
        for i in range(3):
            for kind in ("images", "masks"):
                path = tmp_path / "data" / split / kind / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                array = np.zeros((24, 32), np.uint8)
                image = 200 + 10 * i + (split == "test")  # no two are equal
                array[4:12, 5:15] = image if kind == "images" else 1
                Image.fromarray(array).save(path)
    return tmp_path / "data"
