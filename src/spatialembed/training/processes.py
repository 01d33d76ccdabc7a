"""Several processes that train one model: how they start, and how they end together.

torchrun starts them by itself, on any number of machines. Elsewhere torch does, in an environment
like torchrun's, so that it is the same to Fabric who started them; the process that they come from
does nothing but watch. Fabric's own launcher would run the whole command or script again in each.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import get_context, get_start_method, set_start_method
from multiprocessing.process import BaseProcess
from signal import SIGINT, SIGTERM, Signals
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch.multiprocessing.spawn import ProcessExitedException, start_processes

from spatialembed.errors import UserError
from spatialembed.errors.interrupts import obey_parent, undisturbed
from spatialembed.kernels.compiling import say_when_compiling
from spatialembed.training.config import TrainConfig, is_launched


def must_start(config: TrainConfig) -> bool:
    """Whether a run's processes are still to be started: it has several, and this is none of them.

    Raises:
        UserError: the machine has too few GPUs, or torchrun started another number of processes.
    """
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if is_launched() else config.devices
    if config.devices not in (1, here):
        raise UserError(
            f"{here} processes were started on this machine, but --devices is {config.devices}; "
            "leave it away, since the launcher says how many there are"
        )
    if config.processes > 1:
        _require_devices(config.device, here)
    return config.processes > 1 and not is_launched()


def is_first(config: TrainConfig) -> bool:
    """Whether this process is the first of a run, that which writes its files."""
    return config.processes == 1 or os.environ["RANK"] == "0"


def _require_devices(device: str, processes: int) -> None:
    found = torch.cuda.device_count()  # asks the driver; is_available() would start CUDA here
    if device == "auto":
        device = "cuda" if found else "cpu"
    if device not in ("cuda", "cpu"):
        raise UserError(f"several processes train on --device cuda or cpu, not on {device}")
    if device == "cuda" and processes > found:
        raise UserError(
            f"--devices {processes} asks for more GPUs than this machine has, {found}; give fewer, "
            "or --device cpu"
        )


def run_in_processes(train: Callable[[TrainConfig], Any], config: TrainConfig) -> None:
    """Call ``train(config)`` in ``config.devices`` new processes and wait until all are done.

    When one fails or is killed the others are ended: without it they could only wait.

    Raises:
        UserError: a process was ended from outside, or raised this itself.
        OSError: a process raised this.
        RuntimeError: a process raised anything else; holds its traceback.
    """
    said = get_context("spawn").SimpleQueue()
    task = pickle.dumps((train, config)), get_start_method(), _environment(config.devices), said
    with ExitStack() as at_the_end:
        with undisturbed(SIGINT, SIGTERM):
            started = start_processes(_run_one, task, config.devices, join=False)
            at_the_end.callback(_end, started.processes)
        try:
            while not started.join():
                pass
        except ProcessExitedException as error:
            codes = [process.exitcode for process in started.processes]
            raise _reason(codes, None if said.empty() else said.get()) from error


def _end(processes: list[BaseProcess]) -> None:
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
    }


def _run_one(
    rank: int, task: bytes, workers_start: str, environment: dict[str, str], said: Any
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
    except (UserError, OSError) as error:  # by torch's way only the text of a traceback arrives
        said.put(error)
    except Exception:  # a fault of ours, which the first process shows whole
        said.put(RuntimeError(traceback.format_exc()))
    sys.stdout.flush()
    os._exit(1)  # an orderly end could wait for the other processes, which wait for this one


def _reason(codes: list[int], said: Exception | None) -> Exception:
    """What to raise. One that is killed says nothing; what the others say then is no reason."""
    killed = {rank: -code for rank, code in enumerate(codes) if code < 0 and code != -SIGTERM}
    if killed and not isinstance(said, UserError | OSError):
        rank, number = next(iter(killed.items()))
        return UserError(
            f"process {rank + 1} of {len(codes)} was ended by {Signals(number).name} (memory may "
            "have run out) and the others with it; --resume goes on from the last checkpoint"
        )
    return said or RuntimeError(f"processes ended with exit codes {codes}")
