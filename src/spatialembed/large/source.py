"""Where workers take the model from: each loads it once, with as many threads as are its share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model


class Source(Protocol):
    """What gives a worker its model: hashable, and small enough to be sent with every task."""

    def __hash__(self) -> int: ...
    def load(self) -> Model: ...


@dataclass(frozen=True)
class ModelSource:
    """A model by its name or path; the fields are those of :func:`spatialembed.load`."""

    path: str
    device: str = "auto"
    precision: Literal["float32", "bf16"] | None = None
    symmetries: bool = False
    diameter: float | None = None

    def load(self) -> Model:
        """The model.

        Raises:
            UserError: what :func:`spatialembed.load` refuses.
        """
        from spatialembed.inference.loading import load

        return load(self.path, self.device, self.precision, self.symmetries, self.diameter)


@lru_cache(maxsize=1)
def model_here(source: Source, threads: int) -> Model:
    """The model in this process, loaded at the first call; ``threads`` are its network's."""
    import numba
    import torch

    torch.set_num_threads(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    return source.load()
