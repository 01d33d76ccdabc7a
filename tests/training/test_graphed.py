"""Steps that replay what was recorded take the weights where plain ones do, and leave no trace."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from spatialembed.cli.options import read_recipe
from spatialembed.data.crops.batches import Batch
from spatialembed.demo.scenes import make_scenes
from spatialembed.models import build, freeze_batch_norm_statistics, freeze_encoder
from spatialembed.training import StageConfig, graphed, train
from spatialembed.training.graphed import Graphed, can_record
from spatialembed.training.step import advance

needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA card")
on_card = [pytest.mark.gpu, needs_card]

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
    network = network.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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


def failing(error: type[Exception]) -> Callable[..., nn.Module]:
    def record(*given: Any, **options: Any) -> nn.Module:
        warming(*given, **options)
        raise error("CUDA: it cannot be recorded")

    return record


@pytest.fixture
def pretended(monkeypatch) -> pytest.MonkeyPatch:
    """A card where there is none: what records is a stand-in, all else is the library's own."""
    monkeypatch.setattr(graphed, "can_record", lambda fabric: True)
    for name in ("synchronize", "current_stream", "Stream"):
        monkeypatch.setattr(torch.cuda, name, lambda device: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (60, 100))
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", warming)
    return monkeypatch


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
        return lambda image: seen.append(image.shape) or forward(image)  # type: ignore[func-returns-value]

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


def trained(out: Path, scenes: Path, *options: str) -> dict[str, torch.Tensor]:
    train(read_recipe("smoke", scenes, f"--out={out}", *options))
    return load_file(out / "model.safetensors")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(out, 6, 2, (128, 96))
    return out


def test_each_stage_is_recorded_as_it_trains(pretended, scenes, tmp_path) -> None:
    recorded = []

    def recording(forward: nn.Module, sample: tuple[torch.Tensor], **options: Any) -> nn.Module:
        kinds = {m.training for m in forward.modules() if isinstance(m, nn.BatchNorm2d)}
        assert forward.training
        recorded.append((tuple(sample[0].shape), kinds))
        return warming(forward, sample, **options)

    pretended.setattr(torch.cuda, "make_graphed_callables", recording)
    with_graphs = trained(tmp_path / "graphs", scenes, "--device=cpu")
    assert recorded == [((2, 3, 64, 64), {True}), ((2, 3, 96, 96), {False})]
    pretended.setattr(graphed, "can_record", lambda fabric: False)
    require_equal(with_graphs, trained(tmp_path / "plain", scenes, "--device=cpu"))
    assert len(recorded) == 2


def mean_square(output: torch.Tensor, *_: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"total": output.square().mean()}


def steps(
    fabric: Fabric, make: Callable[[], nn.Module], channels: int, records: bool, frozen: bool
) -> dict[str, torch.Tensor]:
    """State of a network, and of the card's generator, after a stage of five steps."""
    network, wrapped = made(fabric, make)
    freeze_encoder(network, frozen)
    if frozen:
        freeze_batch_norm_statistics(network)
    # Not Adam, which makes a step of what is nothing but rounding.
    sgd = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True)
    optimizer = fabric.setup_optimizers(sgd)
    stage = StageConfig(crop_size=64, batch_size=2, steps=5)
    torch.manual_seed(3)
    with Graphed(fabric, wrapped, stage, channels) as called:
        assert called.replays is records
        for number in range(5):
            image = image_of(number, (2, channels, 64, 64))
            maps = torch.zeros(3, 2, 64, 64)
            advance(fabric, called, optimizer, mean_square, Batch(image, *maps, ()), 1.0)
    on_card = fabric.device.type == "cuda"
    drawn = torch.cuda.get_rng_state(fabric.device) if on_card else torch.get_rng_state()
    return state(network) | {"generator": drawn}


NETWORKS = {
    "small": (Small, 1),
    "residual_unet": (
        lambda: build("residual_unet", 3, 2, 1, widths=[8, 16, 16], blocks=[1, 1, 1]),
        3,
    ),
    "branched_erfnet": (lambda: build("branched_erfnet", 3, 2, 1), 3),
}


@pytest.fixture
def steady(monkeypatch) -> Iterator[None]:
    """Kernels that add up in one order, in float32 itself."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The AccumulateGrad node's stream")
        yield


STEPS = [
    ("cpu", "small"),
    ("cpu", "residual_unet"),
    *(pytest.param("cuda", name, marks=on_card) for name in NETWORKS),
]


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize(("device", "name"), STEPS)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_five_steps_end_where_plain_ones_do(
    monkeypatch, request, device, name, frozen, precision
) -> None:
    if device == "cpu":
        request.getfixturevalue("pretended")
    make, channels = NETWORKS[name]
    fabric = fabric_of(device, precision)
    replayed = steps(fabric, make, channels, True, frozen)
    monkeypatch.setattr(graphed, "can_record", lambda fabric: False)
    plain = steps(fabric, make, channels, False, frozen)
    assert replayed.keys() == plain.keys()
    within = 1e-5 if precision == "32-true" else 1e-3
    for key, value in plain.items():
        torch.testing.assert_close(replayed[key], value, rtol=within, atol=within, msg=key)
        assert value.isfinite().all()


@pytest.mark.usefixtures("steady")
class TestOnACard:
    pytestmark = on_card

    def test_the_memory_of_graphs_is_given_back(self) -> None:
        fabric = fabric_of("cuda")
        _, wrapped = made(fabric, lambda: Small(64))
        before = torch.cuda.memory_allocated()
        stage = StageConfig(crop_size=256, batch_size=4, steps=1)
        with Graphed(fabric, wrapped, stage, 1) as called:
            called(image_of(0, (4, 1, 256, 256)).cuda()).sum().backward()
            assert torch.cuda.memory_allocated() > before + 2**25
        assert torch.cuda.memory_allocated() < before + 2**25

    def test_what_refuses_to_be_recorded_goes_on_as_it_is(self) -> None:
        class Refusing(Small):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                output = super().forward(image)
                if torch.cuda.is_current_stream_capturing():
                    raise RuntimeError("operation not permitted when stream is capturing")
                return output

        stream = torch.cuda.current_stream()
        after = steps(fabric_of("cuda"), Refusing, 1, False, False)
        assert torch.cuda.current_stream() == stream
        assert after["encoder.1.num_batches_tracked"] == 5

    def test_a_run_of_two_stages(self, scenes, tmp_path, monkeypatch) -> None:
        kept = []
        record = graphed._recorded

        def recording(forward: nn.Module, image: torch.Tensor) -> Any:
            result = record(forward, image)  # or it raises
            kept.append(tuple(image.shape))
            return result

        monkeypatch.setattr(graphed, "_recorded", recording)
        weights = trained(tmp_path / "run", scenes, "--device=cuda")
        assert kept == [(2, 3, 64, 64), (2, 3, 96, 96)]
        assert all(value.isfinite().all() for value in weights.values())
