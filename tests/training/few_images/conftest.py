from pathlib import Path

import pytest

from spatialembed.models.checkpoint import save_model
from spatialembed.models.normalization import Normalization
from spatialembed.models.spec import ModelSpec


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
