"""Several processes train as one: same weights, each crop once, an end where one is killed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

from spatialembed.cli.main import main
from spatialembed.cli.options import read_recipe
from spatialembed.data.crops.cropper import Crop
from spatialembed.demo.scenes import make_scenes
from spatialembed.errors import UserError
from spatialembed.models import build, freeze_batch_norm_statistics
from spatialembed.training import StageConfig, TrainConfig, run, train
from spatialembed.training.processes import must_start, run_in_processes
from spatialembed.training.run import connect
from spatialembed.training.step import batches
from spatialembed.training.whole_batch import see_whole_batch

STAGES = (  # a checkpoint after every step of the first
    "[{crop_size: 64, batch_size: 4, steps: 4, validations: 4}, "
    "{crop_size: 64, batch_size: 2, steps: 1, validations: 1, freeze_batch_norm: true}]"
)
OPTIONS = [f"--stages={STAGES}", "--device=cpu", "--precision=float32", "--clip_norm=0.5"]
MIDDLE = 2
"""Step whose checkpoint is kept."""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(out, 6, 3, (128, 96))
    return out


@pytest.fixture(scope="module")
def alone(scenes, tmp_path_factory) -> tuple[Path, Path]:
    """A run of one process, and its folder as it was in the middle of the first stage."""
    whole = tmp_path_factory.mktemp("alone") / "whole"
    middle = whole.with_name("middle")
    save = run.save_checkpoint

    def saved(out: Path, config: TrainConfig, state: dict) -> None:
        save(out, config, state)
        if state["step"] == MIDDLE:
            shutil.copytree(out, middle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "save_checkpoint", saved)
        train(read_recipe("smoke", scenes, f"--out={whole}", *OPTIONS))
    return whole, middle


def assert_same(one: Path, other: Path) -> None:
    """The checkpoints hold the same weights, average and statistics but for rounding.

    Steps of Adam are as long where a gradient is nothing but rounding: of a few weights.
    """
    first, second = (torch.load(out / "checkpoint.pt", weights_only=True) for out in (one, other))
    assert first["step"] == second["step"] == 5
    assert first["best"] == pytest.approx(second["best"], abs=1e-3)
    for state, expected in ((second, first), (second["average"], first["average"])):
        assert state["network"].keys() == expected["network"].keys()
        pairs = ((state["network"][key], tensor) for key, tensor in expected["network"].items())
        differences = torch.cat([(a - b).abs().flatten().double() for a, b in pairs])
        assert differences.mean() < 2e-6
        assert (differences > 3e-5).double().mean() < 1e-3


def test_two_processes_train_as_one(scenes, alone, tmp_path) -> None:
    options = [f"--out={tmp_path / 'two'}", *OPTIONS, "--devices=2"]
    assert_same(alone[0], train(read_recipe("smoke", scenes, *options)))


def test_two_processes_go_on_where_one_was(scenes, alone, tmp_path) -> None:
    out = shutil.copytree(alone[1], tmp_path / "run")
    train(TrainConfig(data=scenes, out=out, resume=True, device="cpu", devices=2))
    assert_same(alone[0], out)


def train_erfnet(config: TrainConfig) -> None:
    """Three steps of the paper's network in float64: in float32 its roundings grow fast."""
    fabric = connect(config)
    torch.manual_seed(1)
    image, wanted = torch.rand(2, 4, 4, 32, 32).double()
    network = build("branched_erfnet", 4, 1, 1).double()
    if fabric.world_size > 1:
        see_whole_batch(network)
    wrapped = fabric.strategy.setup_module(network)
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    own = torch.arange(4).chunk(fabric.world_size)[fabric.global_rank]
    for frozen in (False, False, True):
        wrapped.train()
        if frozen:
            freeze_batch_norm_statistics(wrapped)
        optimizer.zero_grad()
        (wrapped(image[own]).sigmoid() - wanted[own]).square().mean().backward()
        optimizer.step()
    for name, buffer in network.named_buffers():  # which nobody sends
        assert (fabric.all_gather(buffer) == buffer).all(), name
    if fabric.is_global_zero:
        torch.save(network.state_dict(), config.out / "state.pt")


def test_two_processes_train_the_papers_network_as_one(tmp_path) -> None:
    """Its batch norms, with their statistics frozen at last, and its dropout."""
    one, two = (TrainConfig(out=tmp_path / str(n), device="cpu", devices=n) for n in (1, 2))
    one.out.mkdir()
    two.out.mkdir()
    train_erfnet(one)
    run_in_processes(train_erfnet, two)
    expected, found = (torch.load(config.out / "state.pt") for config in (one, two))
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, rtol=1e-9, atol=1e-9)


def test_one_that_is_killed_ends_the_run_and_one_goes_on(scenes, alone, tmp_path, capfd) -> None:
    out, codes = tmp_path / "run", []
    command = ["train", str(scenes), f"--out={out}", "--config=smoke", *OPTIONS, "--devices=2"]
    thread = threading.Thread(target=lambda: codes.append(main([*command, "--workers=1"])))
    thread.start()
    while not (out / "checkpoint.pt").exists() and thread.is_alive():
        time.sleep(0.01)
    second = max(active_children(), key=lambda process: int(process.name.rpartition("-")[2]))
    os.kill(second.pid, signal.SIGKILL)
    thread.join()
    assert codes == [1]
    said = capfd.readouterr().err
    assert "process 2 of 2 was ended by SIGKILL" in said
    assert "Traceback" not in said
    assert not active_children()
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] < 4
    train(TrainConfig(data=scenes, out=out, resume=True, device="cpu"))
    assert_same(alone[0], out)


class Numbered:
    """Stands where a cropper would: crops that bear their number."""

    def __init__(self, together: int = 1) -> None:
        self.together = together

    def draw(self, number: int) -> Crop:
        return Crop(*torch.zeros(4, 1), name=str(number))

    def share_cache(self, workers: int) -> None: ...


@pytest.mark.parametrize("processes", [1, 2, 3, 6])
@pytest.mark.parametrize(("workers", "together"), [(0, 1), (2, 1), (2, 14)])
def test_processes_share_crops_without_repeats_or_drops(processes, workers, together) -> None:
    crops = Numbered(together)
    shares = [list(batches(crops, 6, 30, 24, workers, r, processes)) for r in range(processes)]
    for step, parts in enumerate(zip(*shares, strict=True)):
        names = [int(name) for part in parts for name in part.names]
        assert names == list(range(30 + 6 * step, 36 + 6 * step))
    assert len(shares[0]) == 4


def second_refuses(config: TrainConfig) -> None:
    if os.environ["RANK"] == "1":
        raise UserError("one sentence")
    threading.Event().wait()  # as the others would, without end


def test_what_one_process_refuses_ends_all() -> None:
    with pytest.raises(UserError, match=r"^one sentence$"):
        run_in_processes(second_refuses, TrainConfig(devices=2))
    assert not active_children()


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        ({"device": "cuda", "devices": 99}, {}, "more GPUs than this machine has"),
        ({"device": "cuda:1", "devices": 2}, {}, "cuda or cpu, not on cuda:1"),
        ({"device": "cpu", "devices": 2}, {"LOCAL_WORLD_SIZE": "3"}, "3 processes were started"),
    ],
)
def test_processes_that_cannot_be_are_refused(monkeypatch, options, environment, message) -> None:
    for name, value in environment.items():
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        must_start(TrainConfig(**options))


def test_batches_are_shared_equally(monkeypatch) -> None:
    uneven = TrainConfig(stages=[StageConfig(steps=1, batch_size=6)], devices=4)
    with pytest.raises(UserError, match=r"batch of 6 crops .* multiple of 4"):
        uneven.scheduled()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert uneven.scheduled() == uneven.stages


def test_a_rank_that_is_no_torchruns_is_no_launcher(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")  # left by another tool, without the number of processes
    config = read_recipe("smoke", tmp_path)
    assert config.processes == 1
    assert not must_start(config)


def test_torchrun_starts_the_command_itself(scenes, alone, tmp_path) -> None:
    out = tmp_path / "run"
    command = ["-m", "spatialembed", "train", scenes, f"--out={out}", "--config=smoke", *OPTIONS]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*launcher, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stdout
    assert_same(alone[0], out)
