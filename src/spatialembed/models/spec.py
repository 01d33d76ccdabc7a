"""What a model file says about its network: everything prediction needs besides the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from spatialembed.embedding import PITCH, per_axis
from spatialembed.errors import UserError
from spatialembed.files.described import LARGEST_TEXT, filled, fitting, parse_json, shown
from spatialembed.models import NETWORKS, build, outline
from spatialembed.models.looks import Looks
from spatialembed.models.normalization import Normalization

if TYPE_CHECKING:
    from torch import nn

MOST_CHANNELS, MOST_CLASSES = 4096, 4096
"""Of a network, so that no file makes one that fills the memory."""

LEAST_ZOOM, MOST_ZOOM = 0.001, 100.0

NOTES = {
    "symmetries": int,
    "spacing_stated": bool,
    "holdout": float,
    "held_out": list[str],
    "diameters": tuple[float, float],
    "looks": Looks,
}
"""Notes of a training that prediction goes by, and what they are."""


@dataclass(frozen=True)
class Target:
    """How one of several targets, such as nuclei and their cells, is clustered.

    Attributes:
        seed_threshold, foreground_threshold, min_size: as of :class:`ModelSpec`.
        object_diameter: median diameter of its training objects in pixels.
    """

    seed_threshold: float = 0.9
    foreground_threshold: float = 0.5
    min_size: int = 16
    object_diameter: float | None = None


@dataclass(frozen=True)
class ModelSpec:
    """How a network was made and how it is used. JSON-able by :meth:`to_dict`.

    Attributes:
        network: a name of :data:`spatialembed.models.NETWORKS`.
        network_options: options of :func:`spatialembed.models.build`, such as ``widths``.
        in_channels: channels of an image.
        class_names: one per seed map, in their order, all different; of several targets their
            names, as each has one seed map.
        n_sigma: bandwidths per pixel, 1 (circular margin) or one an axis (elliptical).
        dims: spatial axes of an image: 2, or of volumes 3.
        spacing: micrometres between the voxels of the training volumes along (z, y, x), or any
            numbers in their proportion; None of images, and where it was not known.
        zoom: magnification at which the network sees images; of volumes the planes alone.
        pitch: coordinate step per pixel along (x, y) or (x, y, z), of images as the network sees
            them.
        margin: radius in such pixels of a fixed bandwidth; None where it is learned.
        normalization: from an image as stored to the network's input.
        seed_threshold: least seed score that starts an object, in [0, 1].
        foreground_threshold: seed score above which a pixel may belong to one, in [0, 1].
        min_size: fewest pixels of an object, 1 or more.
        refine: whether, after clustering, each pixel goes to the object that it fits best.
        object_diameter: median diameter of the training objects in pixels, of several targets of
            those of the smallest; None if not known.
        pixel_size: micrometres that a pixel of the training images is wide; None of volumes, and
            where it was not known. It needs ``object_diameter``.
        takes_grey: whether images of one channel are taken, too, repeated in all.
        finds_size: whether images are shown at the size that the model finds their objects to have,
            where no diameter is given; it needs ``object_diameter``.
        targets: where every class is a target of its own, with offsets and bandwidths too, what
            holds for each in place of the model's own settings; their objects may overlap.
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
    dims: int = 2
    spacing: tuple[float, float, float] | None = None
    zoom: float = 1.0
    pitch: tuple[float, ...] = (PITCH, PITCH)
    margin: float | None = None
    normalization: Normalization = field(default_factory=Normalization)
    seed_threshold: float = 0.9
    foreground_threshold: float = 0.5
    min_size: int = 16
    refine: bool = False
    object_diameter: float | None = None
    pixel_size: float | None = None
    takes_grey: bool = False
    finds_size: bool = False
    targets: tuple[Target, ...] = ()
    trained_on: str = ""
    licence: str = ""
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.class_names, str):
            raise UserError(f"class_names is a list of names, not {self.class_names!r}")
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        if self.dims not in (2, 3):
            raise UserError(f"a model is of 2 or 3 axes, not {self.dims}")
        object.__setattr__(self, "pitch", per_axis(tuple(self.pitch), self.dims))
        if self.network not in NETWORKS:
            raise UserError(
                f"there is no network {self.network!r}; choose one of {', '.join(NETWORKS)}, "
                "or update spatialembed if the model comes from a newer version"
            )
        if not 1 <= len(set(self.class_names)) == len(self.class_names) <= MOST_CLASSES:
            raise UserError(
                f"a model needs classes of different names, up to {MOST_CLASSES}, not "
                f"{shown(self.class_names)}"
            )
        for name in ("seed_threshold", "foreground_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} must be in [0, 1], not {getattr(self, name)}")
        if self.n_sigma not in (1, self.dims):
            raise UserError(f"n_sigma must be 1 or {self.dims}, not {self.n_sigma}")
        for name, most in (("in_channels", MOST_CHANNELS), ("min_size", 2**31 - 1)):
            if not 1 <= getattr(self, name) <= most:
                raise UserError(f"{name} must lie between 1 and {most}, not {getattr(self, name)}")
        require_zoom(self.zoom, "zoom")
        for name in ("margin", "object_diameter"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{name} must be a positive number of pixels or None, not {value}")
        if self.pixel_size is not None and not (
            0 < self.pixel_size < math.inf and self.object_diameter and self.dims == 2
        ):
            raise UserError(
                "pixel_size is a number of micrometres above 0, of a model of images that has an "
                f"object_diameter, not {self.pixel_size}"
            )
        if self.finds_size and (self.object_diameter is None or self.dims == 3):
            raise UserError("a model that finds sizes is of images, and has an object_diameter")
        if self.targets and (len(self.targets) != len(self.class_names) or self.finds_size):
            raise UserError(
                f"a model of several targets has one for each of its {len(self.class_names)} "
                f"classes, not {len(self.targets)}, and finds no sizes"
            )
        self.each()
        if self.spacing is not None and not (
            len(self.spacing) == 3 and all(0 < step < math.inf for step in self.spacing)
        ):
            raise UserError(f"spacing is three numbers above 0, not {self.spacing}")
        self._check_normalization()
        self._check_notes()

    def _check_normalization(self) -> None:
        means = len(self.normalization.mean)
        if self.normalization.kind == "mean-std" and means != self.in_channels:
            raise UserError(
                f"normalization has means for {means} channels, the network takes "
                f"{self.in_channels}"
            )

    def _check_notes(self) -> None:
        """Those notes of the training that prediction goes by."""
        for name, hint in NOTES.items():
            if name in self.training:
                fitting(hint, self.training[name], name, "training")
        if self.training.get("symmetries", 1) not in (1, 2, 4, 8):
            raise UserError(f"symmetries are 1, 2, 4 or 8, not {self.training['symmetries']}")
        if not 0 <= self.training.get("holdout", 0) < 1:
            raise UserError(f"holdout lies between 0 and 1, not {self.training['holdout']}")
        if not all(0 < d < math.inf for d in self.training.get("diameters", ())):
            raise UserError(f"diameters are above 0, not {self.training['diameters']}")

    def each(self) -> list[ModelSpec]:
        """Of each target a model's description as if it were the only one; else this one."""
        if not self.targets:
            return [self]
        return [
            replace(
                self,
                class_names=(name,),
                targets=(),
                seed_threshold=own.seed_threshold,
                foreground_threshold=own.foreground_threshold,
                min_size=own.min_size,
            )
            for name, own in zip(self.class_names, self.targets, strict=True)
        ]

    def settled(self, each: Sequence[ModelSpec]) -> ModelSpec:
        """This description with the thresholds and minimum sizes of :meth:`each`, changed."""
        names = ("seed_threshold", "foreground_threshold", "min_size")
        values = [{name: getattr(one, name) for name in names} for one in each]
        if not self.targets:
            return replace(self, **values[0])
        targets = zip(self.targets, values, strict=True)
        return replace(self, targets=tuple(replace(own, **value) for own, value in targets))

    @property
    def largest_first(self) -> tuple[str, ...]:
        """Names of several targets, those of the largest training objects first; none of one."""
        sizes = [(-(own.object_diameter or 0), k) for k, own in enumerate(self.targets)]
        return tuple(self.class_names[k] for _, k in sorted(sizes))

    @property
    def channels(self) -> int:
        """Of the network's raw output."""
        seeds = 1 if self.targets else len(self.class_names)
        return max(1, len(self.targets)) * (self.dims + self.n_sigma + seeds)

    def build(self) -> nn.Module:
        """The network with fresh weights, drawn from torch's global generator.

        Raises:
            UserError: the network does not take ``network_options``, or would be too large.
        """
        return build(*self._network(), **self.network_options)

    def outline(self) -> nn.Module:
        """The network without weights, which takes no memory; raises as :meth:`build` does."""
        return outline(*self._network(), **self.network_options)

    def _network(self) -> tuple[str, int, int, int, int, int]:
        targets = max(1, len(self.targets))
        classes = 1 if self.targets else len(self.class_names)
        return self.network, self.in_channels, self.n_sigma, classes, self.dims, targets

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-able values; :meth:`from_dict` is the inverse."""
        values = {**asdict(self), "normalization": self.normalization.to_dict()}
        if not self.targets:  # which earlier versions do not know, nor need to
            del values["targets"]
        return values

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], where: str = "a model's description"
    ) -> ModelSpec:
        """Build from :meth:`to_dict`'s values, also after JSON; missing keys take defaults.

        Raises:
            UserError: no network, an unknown key, or a value of a wrong type or out of bounds.
        """
        return filled(cls, values, where)


def require_zoom(zoom: float, what: str) -> None:
    """Refuse a magnification at which images would fill the memory, or vanish.

    Raises:
        UserError: it begins with ``what``.
    """
    if not LEAST_ZOOM <= zoom <= MOST_ZOOM:
        raise UserError(f"{what} must lie between {LEAST_ZOOM} and {MOST_ZOOM}, not {zoom:g}")


def require_one_target(spec: ModelSpec, name: str, what: str) -> None:
    """Refuse a model of several targets, called ``name``, for ``what`` takes one alone.

    Raises:
        UserError: it has several.
    """
    if spec.targets:
        raise UserError(
            f"{name} finds {' and '.join(spec.class_names)}, and {what} is of one target; predict "
            "to a folder, evaluate and export to .onnx take several, or train one by --classes "
            f"{spec.class_names[0]}"
        )


def described(text: str, where: str, remedy: str) -> ModelSpec:
    """The description of a model in a file's metadata, as JSON, whose "format_version" is left out.

    Raises:
        UserError: no JSON, or none that describes a model; from ``where`` to ``remedy``.
    """
    if len(text) > LARGEST_TEXT:
        raise UserError(f"{where}: its description is larger than any; {remedy}")
    values = parse_json(text, f"{where}: its description", remedy)
    if isinstance(values, dict):
        values.pop("format_version", None)
    try:
        return ModelSpec.from_dict(values, f"{where}: its description")
    except UserError as error:
        raise UserError(f"{error}; {remedy}") from error
