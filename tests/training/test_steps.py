"""Steps wait for no GPU: what they tell is read later, and a bad one changes nothing until then."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from spatialembed.data.crops.batches import Batch
from spatialembed.errors import UserError
from spatialembed.training import StageConfig, TrainConfig, minutes, step
from spatialembed.training.run_log import RunLog
from spatialembed.training.step import advance, workers_of
from spatialembed.training.unread import Unread
from spatialembed.training.upload import uploaded

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@contextmanager
def waiting_forbidden(device: str) -> Iterator[None]:
    """An error where anything waits for a GPU."""
    if device == "cpu":
        yield
        return
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def mean_square(output: torch.Tensor, *_: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"square": output.square().mean(), "total": 2 * output.square().mean()}


def made(device: str, fused: bool) -> tuple:
    """Fabric, a network and its optimizer."""
    fabric = Fabric(accelerator=device, devices=1)
    fabric.launch()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
    network = network.to(fabric.device, memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), lr=0.1, fused=fused)
    return fabric, network, *fabric.setup(network, adam)


def batch(number: int, pinned: bool, bad: bool = False) -> Batch:
    image = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(number))
    image[0, 0, 0, 0] = torch.nan if bad else 0.5
    maps = torch.zeros(3, 2, 8, 8)
    tensors = [tensor.pin_memory() if pinned else tensor for tensor in (image, *maps)]
    return Batch(*tensors, (f"{number}a", f"{number}b"))


@pytest.mark.parametrize("device", DEVICES)
def test_no_step_waits_for_the_device(device, tmp_path) -> None:
    fabric, _, network, optimizer = made(device, fused=True)
    batches = [batch(k, pinned=device == "cuda") for k in range(9)]
    advance(fabric, network, optimizer, mean_square, batches[0], 1.0)  # makes its state
    log = RunLog(tmp_path, 10)
    unread = Unread(fabric, log, 10)
    with waiting_forbidden(device):
        for k, there in enumerate(uploaded(batches[1:], fabric.device), 1):
            unread.add(k, 0.1, 2, advance(fabric, network, optimizer, mean_square, there, 1.0))
    assert len(unread) == 8
    assert not log.sums
    unread.read()
    assert log.sums["total"] == pytest.approx(2 * log.sums["square"])
    assert log.sums["total"] > 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_batch_arrives_in_its_turn(device, count) -> None:
    fabric, *_ = made(device, fused=True)
    given = [batch(k, pinned=device == "cuda") for k in range(count)]
    arrived = [  # copied by a step that is begun before the next batch is asked for
        there._replace(image=there.image.clone()) for there in uploaded(given, fabric.device)
    ]
    assert [b.names for b in arrived] == [b.names for b in given]
    for one, other in zip(arrived, given, strict=True):
        assert one.image.device == fabric.device
        assert torch.equal(one.image.cpu(), other.image)


@pytest.mark.parametrize("device", DEVICES)
def test_a_bad_step_leaves_the_weights_and_its_images_are_named_later(device, tmp_path) -> None:
    fabric, bare, network, optimizer = made(device, fused=True)
    unread = Unread(fabric, RunLog(tmp_path, 20), 10)
    unread.add(1, 0.1, 2, advance(fabric, network, optimizer, mean_square, batch(1, False), None))
    before = [parameter.clone() for parameter in bare.parameters()]
    told = advance(fabric, network, optimizer, mean_square, batch(2, False, bad=True), None)
    unread.add(2, 0.1, 2, told)
    assert all(map(torch.equal, before, bare.parameters()))
    unread.add(3, 0.1, 2, advance(fabric, network, optimizer, mean_square, batch(3, False), None))
    assert not torch.equal(before[0], next(bare.parameters()))
    with pytest.raises(UserError, match=r"the loss is not finite .* batch of 2a, 2b;"):
        unread.read()


def test_without_a_fused_optimizer_a_bad_step_is_refused_at_once() -> None:
    fabric, bare, network, optimizer = made("cpu", fused=False)
    before = [parameter.clone() for parameter in bare.parameters()]
    with pytest.raises(UserError, match=r"the loss is not finite .* batch of 2a, 2b;"):
        advance(fabric, network, optimizer, mean_square, batch(2, False, bad=True), None)
    assert all(map(torch.equal, before, bare.parameters()))


@pytest.mark.parametrize("device", DEVICES)
def test_a_fused_optimizer_steps_as_the_other_does(device) -> None:
    reached = []
    for fused in (False, True):
        fabric, bare, network, optimizer = made(device, fused)
        for k in range(4):
            advance(fabric, network, optimizer, mean_square, batch(k, False), 0.01)
        reached.append(torch.cat([p.detach().flatten() for p in bare.parameters()]))
    torch.testing.assert_close(reached[1], reached[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_timing_steps_leaves_the_generators_of_a_run_as_they_were(device, monkeypatch) -> None:
    fabric, bare, *_ = made(device, fused=True)
    steps = minutes.WARMUP_STEPS + minutes.TIMED_STEPS
    monkeypatch.setattr(minutes, "batches", lambda *_: [batch(k, False) for k in range(steps)])
    bare.append(nn.Dropout2d(0.5))  # draws from the device's generator

    def drawn() -> list[torch.Tensor]:
        torch.manual_seed(7)
        timed()
        return [torch.rand(3), torch.rand(3, device=fabric.device)]

    def timed() -> None:
        spec = SimpleNamespace(in_channels=1)
        material, config = SimpleNamespace(cropper=lambda *_: None, spec=spec), TrainConfig()
        stage = StageConfig(crop_size=8, batch_size=2, steps=1)
        minutes.seconds_per_step(config, material, stage, fabric, bare, mean_square)

    after = drawn()
    torch.manual_seed(7)
    torch.testing.assert_close(after[0], torch.rand(3), rtol=0, atol=0)
    torch.testing.assert_close(after[1], torch.rand(3, device=fabric.device), rtol=0, atol=0)


def test_a_gpu_is_given_as_many_workers_as_there_are_cores_for(monkeypatch) -> None:
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    monkeypatch.setattr(step, "cores", lambda: 12)
    assert [workers_of(TrainConfig(), device) for device in (gpu, cpu)] == [11, 1]
    assert [workers_of(TrainConfig(workers=0), device) for device in (gpu, cpu)] == [0, 0]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert workers_of(TrainConfig(), gpu) == 2
    monkeypatch.setattr(step, "cores", lambda: 256)
    assert workers_of(TrainConfig(), gpu) == 16
