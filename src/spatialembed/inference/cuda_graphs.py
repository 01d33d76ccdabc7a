"""Work on a card as CUDA graphs: started as a whole, not kernel by kernel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import torch
from torch import Tensor

KEPT = 4
"""Shapes of input that are remembered, those used last."""

MOST_PIXELS = 2**22
"""Of an input whose work becomes a graph. Larger ones keep a card busy by themselves, and a graph
holds the memory that its work needs."""

WARM = 2
"""Calls before a work is recorded, so that what is set up once is not in the graph."""

Work = Callable[[Tensor], Tensor]

_CAPTURING = Lock()
"""One recording at a time in a process, as CUDA asks."""


class Graphs:
    """A work that is replayed where a shape of input comes again.

    The first input of a shape is worked on as it is, with the second its graph is recorded: images
    that are all of other sizes never pay for one. Both run the same kernels. Where recording fails
    inputs of that shape are worked on as they are, as long as it is remembered.

    Args:
        work: from one tensor on the card to one, without waiting for it; it draws no random number.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.records = True
        self._known: OrderedDict[object, Graph | Work | None] = OrderedDict()
        self._lock = Lock()

    def __call__(self, given: Tensor) -> Tensor:
        """What the work gives, a tensor of its own; ``given`` may be changed at once."""
        if not self.records or given.shape[-2:].numel() * len(given) > MOST_PIXELS:
            return self.work(given)
        with self._lock:
            key = (given.shape, given.dtype, given.stride())
            came = key in self._known
            graph = self._known.get(key)
            if came and graph is None:
                graph = self._recorded(given)
            self._known[key] = graph
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._drop(self._known.popitem(last=False)[1])
            return self.work(given) if graph is None else graph(given)

    def clear(self) -> None:
        """Forget all graphs, which gives back the memory that they hold."""
        with self._lock:
            while self._known:
                self._drop(self._known.popitem()[1])

    def _recorded(self, given: Tensor) -> Graph | Work:
        try:
            return Graph(self.work, given)
        except RuntimeError:  # of memory, or of what a driver does not record
            return self.work

    @staticmethod
    def _drop(graph: Graph | Work | None) -> None:
        if isinstance(graph, Graph):
            torch.cuda.synchronize(graph.given.device)  # what it still does needs its memory


class Graph:
    """A work as it was recorded for one shape of input.

    Raises:
        RuntimeError: it cannot be.
    """

    def __init__(self, work: Work, given: Tensor) -> None:
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        self.given = given.clone()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            for _ in range(WARM):
                work(self.given)
        here.wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with (
            _CAPTURING,
            # Where recording fails torch leaves the other stream in place.
            torch.cuda.stream(here),
            # Other threads may use the card meanwhile.
            torch.cuda.graph(self.graph, stream=aside, capture_error_mode="thread_local"),
        ):
            self.result = work(self.given)
        self.done = torch.cuda.Event()
        self.done.record()

    def __call__(self, given: Tensor) -> Tensor:
        """The work's result for another input of the shape; in turn, whatever the stream."""
        torch.cuda.current_stream().wait_event(self.done)
        self.given.copy_(given, non_blocking=True)
        self.graph.replay()
        result = self.result.clone()
        self.done.record()
        return result
