"""A network with all that a recording may disturb, and a card that is only pretended."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from spatialembed.training import StageConfig, graphed

STAGE = StageConfig(crop_size=16, batch_size=2, steps=5)


class Small(nn.Module):
    """A network with all that a recording may disturb."""

    stride = 1
    encoder_parts = ("encoder",)

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width))
        self.dropout = nn.Dropout2d(0.5)
        self.head = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 5, 1))
        self.unused = nn.Conv2d(1, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.dropout(self.encoder(image)))
        return result


def fabric_of(device: str, precision: Any = "32-true") -> Fabric:
    fabric = Fabric(accelerator=device, devices=1, precision=precision)
    fabric.launch()
    return fabric


def made(fabric: Fabric, make: Callable[[], nn.Module] = Small) -> tuple[nn.Module, Any]:
    """A network and what Fabric makes of it, the same each time."""
    torch.manual_seed(0)
    network = make()
    for parameter in network.parameters():
        if not parameter.any():  # what starts at zero would hide an error
            nn.init.normal_(parameter, 0, 0.1)
    network = network.to(fabric.device, memory_format=torch.channels_last)
    wrapped = fabric.setup_module(network)
    return network, wrapped.train()


def image_of(seed: int, shape: tuple[int, ...] = (2, 1, 16, 16)) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.cpu().clone() for name, value in network.state_dict().items()}


def require_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0, msg=name)


def warming(forward: nn.Module, sample: tuple[torch.Tensor], **_: object) -> nn.Module:
    """What torch does before it records: some steps, whose gradients it drops."""
    for _ in range(3):
        output = forward(*sample)
        inputs = [p for p in forward.parameters() if p.requires_grad]
        torch.autograd.grad(output, inputs, torch.ones_like(output), allow_unused=True)
    return forward


def pretend(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A card where there is none: what records is a stand-in, all else is the library's own."""
    monkeypatch.setattr(graphed, "can_record", lambda fabric: True)
    for name in ("synchronize", "current_stream", "Stream"):
        monkeypatch.setattr(torch.cuda, name, lambda device: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (60, 100))
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", warming)
    return monkeypatch
