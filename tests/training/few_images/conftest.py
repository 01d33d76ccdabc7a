from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec


def write_discs(folder: Path, count: int, seed: int = 0) -> Path:
    """Images (72, 96) of eight bright discs each, with their masks, as a split of a data set."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((72, 96))
    for name in range(count):
        label_mask = np.zeros((72, 96), np.uint8)
        for k in range(8):
            cy, cx = 12 + 24 * (k % 2) + rng.integers(0, 20), 10 + 22 * (k // 2) + rng.integers(6)
            radius = rng.integers(4, 8)
            label_mask[((y - cy) ** 2 + (x - cx) ** 2 < radius**2) & (label_mask == 0)] = k + 1
        image = 40 + 120 * (label_mask > 0) + rng.integers(0, 30, label_mask.shape)
        for kind, array in (("images", image), ("masks", label_mask)):
            path = folder / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="session")
def start(tmp_path_factory) -> Path:
    """A model that knows nothing yet."""
    import torch

    torch.manual_seed(0)
    spec = ModelSpec(
        "residual_unet",
        {"widths": [8, 16], "blocks": [1, 1], "fine": 4},
        in_channels=1,
        class_names=("disc",),
        normalization=Normalization("percentile"),
        seed_threshold=0.7,
        min_size=9,
        object_diameter=11.0,
        training={"center": "learned", "symmetries": 4, "diameters": [6.0, 15.0]},
    )
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    save_model(path, spec.build(), spec)
    return path
