"""What a model file says about its network: everything prediction needs besides the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from spatialembed.embedding import PITCH, per_axis
from spatialembed.errors import UserError
from spatialembed.models import NETWORKS, build
from spatialembed.models.normalization import Normalization

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelSpec:
    """How a network was made and how it is used. JSON-able by :meth:`to_dict`.

    Attributes:
        network: a name of :data:`spatialembed.models.NETWORKS`.
        network_options: options of :func:`spatialembed.models.build`, such as ``widths``.
        in_channels: channels of an image.
        class_names: one per seed map, in their order, all different.
        n_sigma: bandwidths per pixel, 1 (circular margin) or 2 (elliptical).
        zoom: magnification at which the network sees images.
        pitch: coordinate step per pixel along (x, y), of images as the network sees them.
        margin: radius in such pixels of a fixed bandwidth; None where it is learned.
        normalization: from an image as stored to the network's input.
        seed_threshold: least seed score that starts an object, in [0, 1].
        foreground_threshold: seed score above which a pixel may belong to one, in [0, 1].
        min_size: fewest pixels of an object, 1 or more.
        refine: whether, after clustering, each pixel goes to the object that it fits best.
        object_diameter: median diameter of the training objects in pixels; None if not known.
        trained_on: the training data, in words.
        licence: what the weights may be used for.
        training: free JSON-able notes: steps, recipe, figures.

    Raises:
        UserError: a value outside these bounds.
    """

    network: str
    network_options: dict[str, Any] = field(default_factory=dict)
    in_channels: int = 3
    class_names: tuple[str, ...] = ("object",)
    n_sigma: int = 1
    zoom: float = 1.0
    pitch: tuple[float, float] = (PITCH, PITCH)
    margin: float | None = None
    normalization: Normalization = field(default_factory=Normalization)
    seed_threshold: float = 0.9
    foreground_threshold: float = 0.5
    min_size: int = 16
    refine: bool = False
    object_diameter: float | None = None
    trained_on: str = ""
    licence: str = ""
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.class_names, str):
            raise UserError(f"class_names is a list of names, not {self.class_names!r}")
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        object.__setattr__(self, "pitch", per_axis(tuple(self.pitch), 2))
        if self.network not in NETWORKS:
            raise UserError(
                f"there is no network {self.network!r}; choose one of {', '.join(NETWORKS)}, "
                "or update spatialembed if the model comes from a newer version"
            )
        if not self.class_names or len(set(self.class_names)) < len(self.class_names):
            raise UserError(f"a model needs classes of different names, not {self.class_names}")
        for name in ("seed_threshold", "foreground_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must be in [0, 1], not {getattr(self, name)}")
        if self.n_sigma not in (1, 2):
            raise UserError(f"n_sigma must be 1 or 2, not {self.n_sigma}")
        for name in ("in_channels", "min_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if not 0 < self.zoom < math.inf:
            raise UserError(f"zoom must be a positive factor, not {self.zoom}")
        for name in ("margin", "object_diameter"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{name} must be a positive number of pixels or None, not {value}")
        self._check_normalization()

    def _check_normalization(self) -> None:
        means = len(self.normalization.mean)
        if self.normalization.kind == "mean-std" and means != self.in_channels:
            raise UserError(
                f"normalization has means for {means} channels, the network takes "
                f"{self.in_channels}"
            )

    def build(self) -> nn.Module:
        """The network with fresh weights, drawn from torch's global generator.

        Raises:
            UserError: the network does not take ``network_options``.
        """
        return build(
            self.network,
            self.in_channels,
            self.n_sigma,
            len(self.class_names),
            **self.network_options,
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-able values; :meth:`from_dict` is the inverse."""
        return {**asdict(self), "normalization": self.normalization.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """Build from :meth:`to_dict`'s values, also after JSON; missing keys take defaults.

        Raises:
            UserError: no network, an unknown key, or a value out of bounds.
        """
        values = dict(values)
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown or "network" not in values:
            raise UserError(
                f"a model's description has no setting {', '.join(sorted(unknown))}"
                if unknown
                else "a model's description must name its network"
            )
        if "normalization" in values:
            values["normalization"] = Normalization.from_dict(values["normalization"])
        return cls(**values)
