"""Steps whose losses are not read yet: reading one makes a GPU wait until its queue is empty."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric

from spatialembed.training.run_log import RunLog
from spatialembed.training.step import Done


class _Step(NamedTuple):
    number: int
    rate: float
    crops: int
    done: Done


class Unread:
    """Reads what steps tell, some at a time, for the log; and stops the run where one failed.

    Args:
        fabric: whose processes share each batch; the log gets means over all of them.
        log: of the run.
        every: steps that are read at once; 1 to read each as it is done.
    """

    def __init__(self, fabric: Fabric, log: RunLog, every: int) -> None:
        self.fabric = fabric
        self.log = log
        self.every = every
        self._steps: list[_Step] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, number: int, rate: float, crops: int, done: Done) -> None:
        """Take note of step ``number`` (from 1): its learning rate, crops, and what it tells.

        Raises:
            UserError: as :meth:`read`, if it is time to.
        """
        self._steps.append(_Step(number, rate, crops, done))
        if number % self.every == 0:
            self.read()

    def read(self) -> None:
        """Read all; to be called before weights are looked at or kept, in all processes.

        Raises:
            UserError: the loss or gradient of a step is not finite; names its images.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return
        values = torch.stack([step.done.values for step in steps])
        own = values.tolist()
        means: Any = values if self.fabric.world_size == 1 else self.fabric.all_reduce(values)
        for step, mine, mean in zip(steps, own, means.tolist(), strict=True):
            terms = dict(zip(step.done.terms, mean, strict=False))
            if not math.isfinite(terms["total"]) and all(map(math.isfinite, mine[:-1])):
                self.fabric.barrier()  # another process says of which images, and ends all
            step.done.require_finite(mine)
            self.log.step(step.number, step.rate, step.crops, terms)
