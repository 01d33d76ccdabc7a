"""Steps that replay what was recorded take the weights where plain ones do, as whole runs do."""

import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from recording import Small, fabric_of, image_of, made, pretend, require_equal, state, warming
from safetensors.torch import load_file
from torch import nn

from spatialembed.cli.options import read_recipe
from spatialembed.data.crops.batches import Batch
from spatialembed.models import build, freeze_batch_norm_statistics, freeze_encoder
from spatialembed.training import StageConfig, graphed, train
from spatialembed.training.graphed import Graphed
from spatialembed.training.step import advance


@pytest.fixture
def pretended(monkeypatch) -> pytest.MonkeyPatch:
    return pretend(monkeypatch)


def trained(out: Path, scenes: Path, *options: str) -> dict[str, torch.Tensor]:
    train(read_recipe("smoke", scenes, f"--out={out}", *options))
    return load_file(out / "model.safetensors")


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
    *(pytest.param("cuda", name, marks=pytest.mark.gpu) for name in NETWORKS),
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


def reserved() -> int:
    """Bytes of the card that torch keeps, and cannot give back: those of graphs among them.

    What is allocated is less: of a graph only its inputs, outputs and gradients are.
    """
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved()


@pytest.mark.gpu
@pytest.mark.usefixtures("steady")
class TestOnACard:
    def test_the_memory_of_graphs_is_given_back(self) -> None:
        fabric = fabric_of("cuda")
        _, wrapped = made(fabric, lambda: Small(64))
        before, map_of_64 = reserved(), 4 * 64 * 256 * 256 * 4
        stage = StageConfig(crop_size=256, batch_size=4, steps=1)
        with Graphed(fabric, wrapped, stage, 1) as called:
            called(image_of(0, (4, 1, 256, 256)).cuda()).sum().backward()
            assert reserved() > before + map_of_64
        assert reserved() < before + map_of_64 / 2

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
