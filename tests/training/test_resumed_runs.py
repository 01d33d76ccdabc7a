"""Runs that are ended from outside and taken up again, and those that cannot be."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
import torch
from safetensors.torch import load_file
from test_training import rows, smoke

from spatialembed.errors import UserError
from spatialembed.training import resume, train
from spatialembed.training.run_log import RunLog


@pytest.mark.parametrize("network", ["residual_unet", "branched_erfnet"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_killed_run_goes_on_as_if_it_had_not_been(scenes, tmp_path, network, device) -> None:
    """Weights after kill -9 and --resume equal those of an uninterrupted run (dropout too).

    Each run has a process of its own: sums depend on the number of threads, which other tests of
    this process may have set.
    """
    stages = (  # a checkpoint after every step of the first
        "[{crop_size: 64, batch_size: 2, steps: 8, validations: 8}, "
        "{crop_size: 96, batch_size: 1, steps: 4, validations: 1, freeze_batch_norm: true}]"
    )
    options = [f"--network={network}", f"--stages={stages}", "--workers=1", f"--device={device}"]
    options.append("--deterministic")  # which a GPU alone needs
    if network == "branched_erfnet":
        options.append("--network_options={}")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert started(scenes, whole, "--config=smoke", *options).wait() == 0
    process = started(scenes, killed, "--config=smoke", *options)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = torch.load(killed / "checkpoint.pt", weights_only=True)["step"]
    assert done < 8
    assert started(scenes, killed, "--resume", f"--device={device}").wait() == 0
    for name in ("checkpoint.pt", "model.safetensors"):
        one, other = (_tensors(out / name) for out in (whole, killed))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    for name in ("losses.csv", "validation.csv"):
        steps = [[row["step"] for row in rows(out / name)] for out in (whole, killed)]
        assert steps[0] == steps[1]


@pytest.mark.parametrize(
    ("number", "code", "options"),
    [(signal.SIGINT, 130, ["--workers=2"]), (signal.SIGTERM, 143, ["--devices=2", "--workers=1"])],
)
def test_an_interrupted_run_ends_in_one_line_with_its_processes(
    scenes, tmp_path, number, code, options
) -> None:
    """All processes get the signal, as from a terminal or a batch system."""
    stages = "--stages=[{crop_size: 64, batch_size: 2, steps: 99999, validations: 1}]"
    out, said = tmp_path / "run", tmp_path / "said"
    with said.open("w") as file:
        options = ["--config=smoke", stages, "--device=cpu", *options]
        process = started(scenes, out, *options, stderr=file)
    deadline = time.monotonic() + 120
    while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, number)
    try:
        assert process.wait(60) == code
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    lines = [line for line in said.read_text().splitlines() if "compiling" not in line]
    told = "interrupted; the same command with --resume goes on from the last checkpoint"
    assert lines == [f"spatialembed: {told}"]


def started(
    scenes: Path, out: Path, *options: str, stderr: IO[str] | None = None
) -> subprocess.Popen[bytes]:
    """The command ``spatialembed train`` in a process group of its own."""
    command = [sys.executable, "-m", "spatialembed", "train", str(scenes), f"--out={out}", *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl+C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    return dict(torch.load(path, weights_only=True)["network"])


def test_what_cannot_be_resumed_says_why(scenes, tmp_path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        train(smoke(scenes, tmp_path / "none", "--resume"))
    out = train(smoke(scenes, tmp_path / "run"))
    with pytest.raises(UserError, match=r"other options \(weight_decay was 0.0001\)"):
        train(smoke(scenes, out, "--resume", "--weight_decay=0.5"))
    path = out / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    torch.save({**state, "format": 99}, path)
    with pytest.raises(UserError, match="newer version"):
        train(smoke(scenes, out, "--resume"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"checkpoint.pt is damaged"):
        train(smoke(scenes, out, "--resume"))


def test_a_full_disk_keeps_the_checkpoint_before(scenes, tmp_path, monkeypatch) -> None:
    config = smoke(scenes, tmp_path)
    resume.save_checkpoint(tmp_path, config, {"step": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match="No space left on device"):
        resume.save_checkpoint(tmp_path, config, {"step": 2})
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_rows_of_steps_that_were_lost_are_dropped(tmp_path) -> None:
    log = RunLog(tmp_path, 40)
    for step in range(1, 41):
        log.step(step, 0.1, 2, {"total": float(step)})
    assert [row["total"] for row in rows(tmp_path / "losses.csv")] == [
        "5.5",
        "15.5",
        "25.5",
        "35.5",
    ]
    RunLog(tmp_path, 40, step=20)
    assert [row["step"] for row in rows(tmp_path / "losses.csv")] == ["10", "20"]
