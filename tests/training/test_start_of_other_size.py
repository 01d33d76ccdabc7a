"""A run that starts from a model says where its recipe shows objects at another size."""

from pathlib import Path

import pytest

from spatialembed.models.spec import ModelSpec
from spatialembed.training import TrainConfig
from spatialembed.training.look_at_data import other_size


@pytest.mark.parametrize(
    ("asked", "wide", "zoom", "told"),
    [
        (32.0, 20.0, 1.0, "32 pixels wide, and nuclei saw them 20 wide: --diameter 20"),
        (32.0, 10.0, 3.0, None),  # 30 pixels
        (16.0, 10.0, 3.0, "nuclei saw them 30 wide"),
        (None, 10.0, 3.0, None),
        (32.0, None, 1.0, None),
    ],
)
def test_it_is_told(asked, wide, zoom, told) -> None:
    config = TrainConfig(data=Path("d"), out=Path("o"), init=Path("nuclei"), diameter=asked)
    said = [
        str(each)
        for each in other_size(config, ModelSpec("residual_unet", object_diameter=wide, zoom=zoom))
    ]
    assert len(said) == (told is not None)
    assert all(told in each for each in said)
