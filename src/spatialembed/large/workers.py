"""The processes that do the work: dask's, on this machine or wherever a scheduler has them.

dask tries a task that fails again, hands one whose worker dies to another, and gives up on one that
takes several workers with it. What is done, failed and still to do is kept in a :class:`WorkTable`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count, islice
from signal import SIGINT
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from spatialembed.errors import UserError, missing_extra
from spatialembed.errors.interrupts import undisturbed
from spatialembed.large.work_table import WorkTable

if TYPE_CHECKING:
    from distributed import Client, Future

WAIT = 30
"""Seconds to wait for a scheduler's first worker."""

TRIES = 3
"""Times that a piece of work is tried before it is set aside."""

MOST = 1024
"""Processes of one machine."""

LONGEST_REASON = 500


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        number: processes on this machine, of one thread each; None for as many as it has cores.
        scheduler: address of a dask scheduler whose workers are taken instead; they must see the
            same files by the same paths, and have spatialembed installed.

    Raises:
        UserError: fewer than one process or too many, or both a number and a scheduler.
    """

    number: int | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.number is not None and not 1 <= self.number <= MOST:
            raise UserError(f"workers is a number of processes from 1 to {MOST}, not {self.number}")
        if self.number is not None and self.scheduler is not None:
            raise UserError("give either workers or a scheduler, which has workers of its own")

    @property
    def here(self) -> int:
        """Processes that share this machine's memory, as far as is known."""
        return self.number or os.cpu_count() or 1

    @property
    def in_words(self) -> str:
        """Who does the work."""
        if self.scheduler is not None:
            return f"the workers of {self.scheduler}"
        return "1 process" if self.here == 1 else f"{self.here} processes"

    @property
    def threads(self) -> int:
        """Of each process's network."""
        return max(1, (os.cpu_count() or 1) // self.here)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A connection to the scheduler, of a cluster that is started and ended with it if need be.

        Raises:
            UserError: the extra is missing, or nothing answers at the address.
        """
        if find_spec("distributed") is None:
            raise missing_extra("several processes", "large")
        import dask
        from distributed import Client, LocalCluster

        names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
        levels = {name: logging.getLogger(name).level for name in names}
        for name in names:  # what fails is told once, in one sentence
            logging.getLogger(name).setLevel(logging.CRITICAL)
        settings = {
            "distributed.scheduler.allowed-failures": TRIES - 1,
            "distributed.worker.multiprocessing-method": "spawn",
            "distributed.comm.timeouts.connect": "20s",
        }
        try:
            with dask.config.set(settings), self._client(Client, LocalCluster) as client:
                yield client
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)

    @contextmanager
    def _client(self, client_of: Any, cluster_of: Any) -> Iterator[Client]:
        if self.scheduler is None:
            with undisturbed(SIGINT):
                cluster = cluster_of(
                    n_workers=self.here,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                    memory_limit=0,  # tiles bound it; dask's own limit kills what it cannot spill
                )
            with cluster, client_of(cluster) as client:
                yield client
            return
        try:
            client = client_of(self.scheduler, timeout="20s")
            client.wait_for_workers(1, timeout=WAIT)
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(
                f"no dask scheduler with workers answers at {self.scheduler}; start one with 'dask "
                "scheduler' and its workers with 'dask worker ADDRESS --nthreads 1'"
            ) from error
        with client:
            yield client


def work_through(
    table: WorkTable,
    names: Iterable[str],
    task: Callable[[Any], dict[str, Any]],
    argument: Callable[[str], Any],
    client: Client,
) -> Iterator[str]:
    """Do pieces of work and put what comes of them into the table; each name when it is settled.

    A worker calls ``task`` with the ``argument`` of a name; it gives what JSON can remember.

    Raises:
        UserError: the scheduler is gone. What was done is in the table.
    """
    from distributed import as_completed

    names, numbers, run = iter(names), count(), uuid4().hex
    named: dict[Any, str] = {}

    def submit(name: str) -> Future[Any]:
        key = f"work-{run}-{next(numbers)}"  # of this run alone: schedulers take equal keys as one
        future = client.submit(task, argument(name), key=key, pure=False, retries=TRIES - 1)
        named[future.key] = name
        return future

    def more() -> list[Future[Any]]:
        """One task a thread: of those that wait on a worker that dies, dask would blame all."""
        free = max(1, sum(client.nthreads().values())) - len(named)
        return [submit(name) for name in islice(names, max(free, 0))]

    running = as_completed(more())
    for future in running:
        if client.status != "running":
            raise UserError(
                "the scheduler is gone; start it again, and run the same command to go on with "
                "what is left"
            )
        if future.status == "lost":  # the worker died that held what came of it: it is done again
            running.add(future)
            continue
        name = named.pop(future.key)
        if future.status == "finished":
            table.done(name, future.result())
        else:
            table.failed(name, _reason(future))
        yield name
        running.update(more())


def _reason(future: Future[Any]) -> str:
    """Why a task failed."""
    from distributed import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        return f"the worker died with it, {TRIES} times over: out of memory, or a crash"
    text = str(error).partition("\n")[0] or type(error).__name__
    known = isinstance(error, (UserError, OSError, MemoryError))
    return (text if known else f"{type(error).__name__}: {text}")[:LONGEST_REASON]
