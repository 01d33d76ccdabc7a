"""Volumes are trained in bfloat16 on a processor only where its gradients are right."""

import pytest
import torch
from torch import nn

from spatialembed.errors import UserError
from spatialembed.training import run
from spatialembed.training.config import TrainConfig
from spatialembed.training.stage_config import StageConfig


def config(depth: int | None, precision: str = "auto") -> TrainConfig:
    stage = StageConfig(crop_depth=depth, crop_size=32, steps=1)
    return TrainConfig(stages=[stage], device="cpu", precision=precision)


@pytest.fixture(autouse=True)
def fast(monkeypatch) -> None:
    monkeypatch.setattr(run, "_fast_bf16", lambda device: True)


@pytest.mark.parametrize(
    ("depth", "low"), [(None, True), (24, True), (48, True), (16, False), (2, False)]
)
def test_low_precision_is_left_where_two_planes_may_come(depth, low) -> None:
    assert (run.connect(config(depth)).strategy.precision.precision == "bf16-mixed") == low


def test_what_would_go_wrong_is_refused() -> None:
    assert run.connect(config(24, "bf16")).strategy.precision.precision == "bf16-mixed"
    with pytest.raises(UserError, match=r"two planes are wrong in bf16 .* such as 24"):
        run.connect(config(32, "bf16"))


@pytest.mark.parametrize("depth", [1, 3, 6, 12])
def test_gradients_on_other_numbers_of_planes_are_right(depth) -> None:
    torch.manual_seed(0)
    layer = nn.Conv3d(16, 16, 3, padding=1, bias=False)
    image = torch.randn(2, 16, depth, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(image)
    gradient = torch.randn_like(output)
    output.backward(gradient)
    low, layer.weight.grad = layer.weight.grad.clone(), None
    layer(image.bfloat16().float()).backward(gradient.float())
    torch.testing.assert_close(
        low, layer.weight.grad, rtol=0.02, atol=0.02 * float(low.abs().max())
    )
