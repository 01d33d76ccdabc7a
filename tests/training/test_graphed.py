"""What records a network leaves no trace, and what cannot be recorded goes on as it is."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from recording import STAGE, fabric_of, image_of, made, pretend, require_equal, state, warming
from torch import nn

from spatialembed.models import freeze_batch_norm_statistics, freeze_encoder
from spatialembed.training import graphed
from spatialembed.training.graphed import Graphed, can_record


@pytest.fixture
def pretended(monkeypatch) -> pytest.MonkeyPatch:
    return pretend(monkeypatch)


def failing(error: type[Exception]) -> Callable[..., nn.Module]:
    def record(*given: Any, **options: Any) -> nn.Module:
        warming(*given, **options)
        raise error("CUDA: it cannot be recorded")

    return record


def test_only_one_card_records_and_only_where_bits_may_differ() -> None:
    card = SimpleNamespace(device=torch.device("cuda", 0), world_size=1)
    assert can_record(card)
    assert not can_record(SimpleNamespace(device=torch.device("cuda", 0), world_size=2))
    assert not can_record(SimpleNamespace(device=torch.device("cpu"), world_size=1))
    torch.use_deterministic_algorithms(True)
    try:
        assert not can_record(card)
    finally:
        torch.use_deterministic_algorithms(False)


def test_on_the_cpu_a_network_is_called_as_it_is() -> None:
    fabric = fabric_of("cpu")
    _, wrapped = made(fabric)
    with Graphed(fabric, wrapped, STAGE, 1) as called:
        assert not called.replays
        assert called.network is wrapped
        assert called(image_of(0)).shape == (2, 5, 16, 16)


@pytest.mark.parametrize("frozen", [False, True])
def test_recording_leaves_no_trace(pretended, frozen) -> None:
    fabric = fabric_of("cpu")
    network, wrapped = made(fabric)
    freeze_encoder(network, frozen)
    if frozen:
        freeze_batch_norm_statistics(network)
    before, training = state(network), [module.training for module in network.modules()]
    drawn = torch.get_rng_state()
    with Graphed(fabric, wrapped, STAGE, 1) as called:
        assert called.replays
        require_equal(state(network), before)
        assert torch.equal(torch.get_rng_state(), drawn)
        assert all(parameter.grad is None for parameter in network.parameters())
        called(image_of(0)).sum().backward()
        found = [parameter.grad is not None for parameter in network.encoder.parameters()]
        assert found == [not frozen] * 4
    assert not called.replays
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [module.training for module in network.modules()] == training
    assert network.encoder[1].num_batches_tracked == (0 if frozen else 1)


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError])
def test_what_cannot_be_recorded_goes_on_as_it_is(pretended, error) -> None:
    pretended.setattr(torch.cuda, "make_graphed_callables", failing(error))
    fabric = fabric_of("cpu")
    network, wrapped = made(fabric)
    before, drawn = state(network), torch.get_rng_state()
    with Graphed(fabric, wrapped, STAGE, 1) as called:
        assert not called.replays
        require_equal(state(network), before)
        assert torch.equal(torch.get_rng_state(), drawn)
        assert called(image_of(0)).shape == (2, 5, 16, 16)


def test_graphs_that_leave_little_memory_are_not_kept(pretended) -> None:
    pretended.setattr(torch.cuda, "mem_get_info", lambda device: (40, 100))
    fabric = fabric_of("cpu")
    _, wrapped = made(fabric)
    with Graphed(fabric, wrapped, STAGE, 1) as called:
        assert not called.replays


def test_only_batches_of_the_recorded_shape_are_replayed(pretended) -> None:
    seen: list[torch.Size] = []

    def recording(*given: Any, **options: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        forward = warming(*given, **options)
        return lambda image: seen.append(image.shape) or forward(image)

    pretended.setattr(torch.cuda, "make_graphed_callables", recording)
    fabric = fabric_of("cpu")
    _, wrapped = made(fabric)
    with Graphed(fabric, wrapped, STAGE, 1) as called:
        for shape in ((2, 1, 16, 16), (1, 1, 16, 16), (2, 1, 24, 16)):
            assert called(image_of(0, shape)).shape == (shape[0], 5, *shape[2:])
    assert seen == [(2, 1, 16, 16)]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_what_is_recorded_is_what_fabric_calls(precision) -> None:
    fabric = fabric_of("cpu", precision)
    network, wrapped = made(fabric)
    outputs, gradients = [], []
    for forward in (wrapped, graphed._Forward(network, fabric.strategy.precision)):
        network.zero_grad()
        torch.manual_seed(1)
        outputs.append(forward(image_of(0)))
        fabric.backward(outputs[-1].square().sum())
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    assert outputs[0].dtype == outputs[1].dtype == torch.float32
    assert torch.equal(*outputs)
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)
