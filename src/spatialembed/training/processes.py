"""Several processes that train one model: how they start, and how they end together.

Each runs :func:`spatialembed.training.train` in an environment as torchrun makes it, so that it is
the same to Fabric who started them. The process that starts them does nothing but watch them.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from multiprocessing import get_context, get_start_method, set_start_method
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from spatialembed.errors import UserError
from spatialembed.errors.interrupts import obey_parent, undisturbed
from spatialembed.kernels.compiling import say_when_compiling
from spatialembed.training.config import TrainConfig

LOOK_EVERY = 1.0
"""Seconds between two looks at the processes, whose loader workers may hide their end."""


def must_start(config: TrainConfig) -> bool:
    """Whether a run's processes are still to be started: it has several, and this is none of them.

    torchrun and SLURM start processes by themselves, on any number of nodes.

    Raises:
        UserError: the machine has too few GPUs, the launcher started another number of processes,
            or there is no launcher for several nodes.
    """
    if config.processes > 1:
        _require_devices(config)
    started = _started_elsewhere(config)
    if started is None:
        if config.nodes > 1:
            raise UserError(
                f"--nodes {config.nodes} needs a launcher that starts the same command on every "
                "node: torchrun, or srun under SLURM"
            )
        return config.processes > 1
    if started != config.processes:
        raise UserError(
            f"{started} processes were started, but --devices {config.devices} times --nodes "
            f"{config.nodes} is {config.processes}; give as many as the launcher starts"
        )
    return False


def is_first(config: TrainConfig) -> bool:
    """Whether this process is the first of a run, that which writes its files."""
    rank = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))
    return config.processes == 1 or int(rank) == 0


def _started_elsewhere(config: TrainConfig) -> int | None:
    """Processes of the launcher that started this one; None where there is no launcher."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ.get("WORLD_SIZE", config.processes))
    if config.processes > 1 and SLURMEnvironment.detect() and os.environ["SLURM_NTASKS"] != "1":
        return int(os.environ["SLURM_NTASKS"])
    return None


def _require_devices(config: TrainConfig) -> None:
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cuda", "cpu"):
        raise UserError(f"several processes train on --device cuda or cpu, not on {device}")
    if device == "cuda" and config.devices > torch.cuda.device_count():
        raise UserError(
            f"--devices {config.devices} asks for more GPUs than this machine has, "
            f"{torch.cuda.device_count()}; give fewer, or --device cpu"
        )


def run_in_processes(train: Callable[[TrainConfig], Any], config: TrainConfig) -> None:
    """Call ``train(config)`` in ``config.devices`` new processes and wait until all are done.

    When one fails or is killed the others are ended: without it they could only wait.

    Raises:
        UserError: a process was ended from outside, or raised this itself.
        OSError: a process raised this.
        RuntimeError: a process raised anything else; holds its traceback.
    """
    context = get_context("spawn")
    said = context.SimpleQueue()
    environment = _environment(config.devices)
    task = pickle.dumps((train, config))
    processes: list[BaseProcess] = []
    try:
        for rank in range(config.devices):
            arguments = (task, rank, get_start_method(), environment, said)
            processes.append(context.Process(target=_run_one, args=arguments))
            with undisturbed(SIGINT, SIGTERM):
                processes[-1].start()
        failed = _wait_for(processes)
        if failed:
            raise _reason(failed, len(processes), None if said.empty() else said.get())
    finally:
        for process in processes:
            process.kill()
            process.join()


def _environment(processes: int) -> dict[str, str]:
    """What torchrun tells the processes that it starts on one node."""
    return {
        "TORCHELASTIC_RUN_ID": "spatialembed",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(LightningEnvironment().main_port),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "GROUP_RANK": "0",
    }


def _run_one(
    task: bytes, rank: int, workers_start: str, environment: dict[str, str], said: Any
) -> None:
    """What a process does; what goes wrong is said to the one that started it, and nowhere else.

    Loader workers start as they do in a single process. That has to be set before ``task`` is
    unpickled, which imports the library: locks made for another way to start outlive a kill.
    """
    set_start_method(workers_start, force=True)
    os.environ.update(environment, RANK=str(rank), LOCAL_RANK=str(rank))
    obey_parent()
    try:
        train, config = pickle.loads(task)
        if rank == 0:
            say_when_compiling()
        train(config)
        return
    except (UserError, OSError) as error:
        said.put(error)
    except Exception:
        said.put(RuntimeError(traceback.format_exc()))
    sys.stdout.flush()
    os._exit(1)  # an orderly end could wait for the other processes, which wait for this one


def _wait_for(processes: list[BaseProcess]) -> dict[int, int]:
    """Wait until all have ended well, or one has not: ranks and exit codes of those."""
    while running := [process for process in processes if process.exitcode is None]:
        wait([process.sentinel for process in running], timeout=LOOK_EVERY)
        codes = {rank: process.exitcode for rank, process in enumerate(processes)}
        if failed := {rank: code for rank, code in codes.items() if code}:
            return failed
    return {}


def _reason(failed: dict[int, int], processes: int, said: Exception | None) -> Exception:
    """What to raise. One that is killed says nothing; what the others say then is no reason."""
    killed = {rank: -code for rank, code in failed.items() if code < 0}
    if killed and not isinstance(said, UserError | OSError):
        rank, number = next(iter(killed.items()))
        return UserError(
            f"process {rank + 1} of {processes} was ended by {Signals(number).name} (memory may "
            "have run out) and the others with it; --resume goes on from the last checkpoint"
        )
    return said or RuntimeError(f"a process ended with exit code {next(iter(failed.values()))}")
