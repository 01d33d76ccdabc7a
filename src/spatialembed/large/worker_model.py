"""Where workers take the model from: each loads it once, with as many threads as are its share."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from spatialembed.errors import UserError
from spatialembed.kernels.threads import use_threads

if TYPE_CHECKING:
    from spatialembed.inference.predictor import Model


class Source(Protocol):
    """What gives a worker its model: hashable, and small enough to be sent with every task."""

    def __hash__(self) -> int: ...

    def load(self) -> Model: ...

    def seeing(self, diameter: float) -> Source: ...


@dataclass(frozen=True)
class ModelSource:
    """A model by its name or path; the arguments are those of :func:`spatialembed.load`.

    Attributes:
        where: the path, absolute, since workers may run in other folders; or a shipped name.
        weights: as :attr:`Model.weights`; workers that are still there from an earlier run load
            a model that was trained again.

    Raises:
        UserError: there is no such model.
    """

    path: str
    device: str = "auto"
    precision: Literal["float32", "bf16"] | None = None
    symmetries: bool = False
    diameter: float | None = None
    invert: bool = False
    pixel_size: float | None = None
    where: str = field(init=False)
    weights: str = field(init=False)

    def __post_init__(self) -> None:
        from spatialembed.inference.loading import file_to_run, model_file, weights_of
        from spatialembed.models.shipped import shipped_models

        file = model_file(self.path)
        shipped = file in shipped_models().values()
        object.__setattr__(self, "where", self.path if shipped else str(file.absolute()))
        run = file_to_run(self.path, self.device, self.precision)
        object.__setattr__(self, "weights", weights_of(run, self.precision))

    def seeing(self, diameter: float) -> ModelSource:
        """The same for images whose objects are ``diameter`` pixels wide."""
        return replace(self, diameter=diameter)

    def load(self) -> Model:
        """The model.

        Raises:
            UserError: what :func:`spatialembed.load` refuses, a file that has changed since, or a
                model of several targets.
        """
        from spatialembed.inference.loading import load
        from spatialembed.models.spec import require_one_target

        given = (self.device, self.precision, self.symmetries, self.diameter, self.invert)
        model = load(self.where, *given, self.pixel_size)
        if model.weights != self.weights:
            raise UserError(f"{self.path} was replaced during prediction; run the command again")
        model.name = str(Path(self.path))
        require_one_target(model.spec, model.name, "what several processes predict")
        return model


@lru_cache(maxsize=1)
def model_here(source: Source, threads: int) -> Model:
    """The model in this process, loaded at the first call; ``threads`` are its network's."""
    from spatialembed.inference.engine import EngineNetwork

    EngineNetwork.threads = threads
    use_threads(threads)
    model = source.load()
    if torch := sys.modules.get("torch"):  # exported models do without it
        torch.set_num_threads(threads)
    return model
