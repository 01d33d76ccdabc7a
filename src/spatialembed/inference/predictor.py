"""From an image to its instances: normalise, run the network, cluster.

:class:`Model` is a network together with the :class:`ModelSpec` that says how it is used.
Prediction, evaluation and the validation inside training go through it, so they cannot disagree.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from jaxtyping import Float
from PIL import Image

from spatialembed.clustering import cluster
from spatialembed.data.image_io import pillow_array, read_image
from spatialembed.errors import UserError
from spatialembed.inference.augment import averaged
from spatialembed.inference.tiles import tiled
from spatialembed.inference.zoom import resized, sampled
from spatialembed.packaged import packaged
from spatialembed.refinement import refine

if TYPE_CHECKING:
    from torch import nn

    from spatialembed.instances import Instances
    from spatialembed.models.spec import ModelSpec

ImageLike: TypeAlias = "str | os.PathLike[str] | np.ndarray | Image.Image"
"""A file's path, an array (H, W) or (H, W, C) of any dtype as stored, or a PIL image."""

MOST_PIXELS = 2**28
"""Of an image as the network sees it."""

AUTHORS_SUFFIXES = (".pth", ".pt", ".tar")
"""Files of the original's and of EmbedSeg's training end in these."""


class Network(Protocol):
    """What a :class:`Model` runs: :class:`TorchNetwork` or :class:`OnnxNetwork`."""

    def __call__(self, image: Float[np.ndarray, "C H W"]) -> Float[np.ndarray, "M H W"]:
        """Raw output (2 + n_sigma + K, H, W) float32 of a normalised image of any size."""


class Model:
    """A network and how it is used.

    Args:
        network: from a normalised image to its raw output.
        spec: channels, classes, pitch, normalisation and thresholds of the network.
        name: what reports call the model; :func:`load` gives it its path.
        symmetries: over how many symmetries of an image its raw output is averaged: 1, 2
            (mirrored), 4 (turned) or 8 (both); as many times slower.
        diameter: how wide objects are in the images to come, in pixels; they are then shown to
            the network as large as those it was trained on. None: as those are.

    Attributes:
        size_ratio: width of the training objects over that of the objects to come.

    Raises:
        UserError: a diameter that is no positive number, or of a model that does not say how wide
            its training objects were.
    """

    def __init__(
        self,
        network: Network,
        spec: ModelSpec,
        name: str = "",
        symmetries: int = 1,
        diameter: float | None = None,
    ) -> None:
        self.network = network
        self.spec = spec
        self.name = name or spec.network
        self.symmetries = symmetries
        self.size_ratio = self._size_ratio(diameter)

    def _size_ratio(self, diameter: float | None) -> float:
        if diameter is None:
            return 1.0
        if not 0 < diameter < math.inf:
            raise UserError(f"the diameter of objects is a number of pixels, not {diameter}")
        if self.spec.object_diameter is None:
            raise UserError(
                f"{self.name} does not say how wide its objects were, so that it cannot follow a "
                "diameter"
            )
        return self.spec.object_diameter / diameter

    @property
    def zoom(self) -> float:
        """Magnification at which the network sees images."""
        return self.spec.zoom * self.size_ratio

    @property
    def pitch(self) -> tuple[float, float]:
        """Coordinate step per pixel of an image along (x, y)."""
        x, y = self.spec.pitch
        return x * self.zoom, y * self.zoom

    @property
    def margin(self) -> float | None:
        """Radius in pixels of an image of a fixed bandwidth; None where it is learned."""
        return None if self.spec.margin is None else self.spec.margin / self.zoom

    def __repr__(self) -> str:
        classes = ", ".join(self.spec.class_names)
        return f"Model({self.name}, {self.spec.in_channels} channels, classes: {classes})"

    def raw(self, image: ImageLike, name: str | None = None) -> np.ndarray:
        """The network's output at the image's size, mean over the model's symmetries.

        Args:
            image: path, (H, W) or (H, W, C) array as stored on disk, or PIL image; it is
                normalised here, never by the caller.
            name: what errors call the image; None for its path, if it has one.

        Returns:
            (2 + n_sigma + K, H, W) float32: offsets x and y, bandwidths, seed logits.

        Raises:
            UserError: the image cannot be read, or its channels are not the model's.
        """
        pixels, own_name = to_array(image)
        pixels = self._fitting(pixels, name or own_name)
        return averaged(self._forward, pixels, self.spec.n_sigma, self.symmetries)

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        return sampled(tiled(self.network, self.prepared(pixels)), pixels.shape[:2])

    def prepared(self, pixels: np.ndarray) -> Float[np.ndarray, "C h w"]:
        """What the network is given of (H, W, C) pixels: normalised, and as large as it sees them.

        Raises:
            UserError: not numbers, or too many pixels.
        """
        normalized = np.ascontiguousarray(self.spec.normalization(pixels).transpose(2, 0, 1))
        height, width = (max(1, round(side * self.zoom)) for side in pixels.shape[:2])
        if height * width > MOST_PIXELS:
            raise UserError(
                f"at {self.zoom:.3g} times its size the image would have {height} x {width} "
                "pixels, too many for memory; check the diameter that was given, or cut the image"
            )
        return resized(normalized, (height, width))

    def cluster(
        self,
        output: np.ndarray,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> Instances:
        """Instances of a raw output, refined if the model says so.

        A setting that is None is the one stored with the model.

        Args:
            output: (2 + n_sigma + K, H, W), as :meth:`raw` gives it.
            seed_threshold: least seed score that starts an object, in [0, 1].
            foreground_threshold: seed score above which a pixel may belong to one, in [0, 1].
            min_size: fewest pixels of an object.

        Raises:
            UserError: a setting out of its range.
        """
        found = self.clustered(output, seed_threshold, foreground_threshold, min_size)
        if not self.spec.refine:
            return found
        return self.refined(found, output, foreground_threshold, min_size)

    def clustered(
        self,
        output: np.ndarray,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> Instances:
        """:meth:`cluster` before it refines; the arguments are the same."""
        spec = self.spec
        seed, foreground, size = self.settings(seed_threshold, foreground_threshold, min_size)
        return cluster(
            output,
            n_sigma=spec.n_sigma,
            seed_threshold=seed,
            foreground_threshold=foreground,
            min_size=size,
            pitch=self.pitch,
            margin=self.margin,
            class_names=spec.class_names,
        )

    def refined(
        self,
        found: Instances,
        output: np.ndarray,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> Instances:
        """:func:`spatialembed.refinement.refine` with the model's settings."""
        _, foreground, size = self.settings(None, foreground_threshold, min_size)
        return refine(
            found,
            output,
            n_sigma=self.spec.n_sigma,
            foreground_threshold=foreground,
            min_size=size,
            pitch=self.pitch,
            margin=self.margin,
        )

    def settings(
        self,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> tuple[float, float, int]:
        """Seed threshold, foreground threshold and minimum size: what is given, or the model's.

        Raises:
            UserError: a setting out of its range.
        """
        seed = _default(seed_threshold, self.spec.seed_threshold)
        foreground = _default(foreground_threshold, self.spec.foreground_threshold)
        size = _default(min_size, max(1, round(self.spec.min_size / self.size_ratio**2)))
        for name, value in (("seed", seed), ("foreground", foreground)):
            if not 0 <= value <= 1:
                raise UserError(f"the {name} threshold lies between 0 and 1, not {value}")
        if size < 0:
            raise UserError(f"the minimum size is a number of pixels, not {size}")
        return seed, foreground, size

    def predict(
        self,
        image: ImageLike,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        name: str | None = None,
    ) -> Instances:
        """Instances of an image: :meth:`raw`, then :meth:`cluster`, whose arguments these are.

        Raises:
            UserError: the image cannot be read, or its channels are not the model's.
        """
        return self.cluster(self.raw(image, name), seed_threshold, foreground_threshold, min_size)

    def _fitting(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Pixels with the model's channels: of a grey image stored in color, one of them."""
        if self.spec.in_channels == 1 and _is_grey(pixels):
            pixels = pixels[..., :1]
        if pixels.shape[2] != self.spec.in_channels:
            raise UserError(
                f"the model expects {_channels(self.spec.in_channels)}, {name} has "
                f"{pixels.shape[2]}: convert the image or train a model for such images"
            )
        if pixels.size == 0:
            raise UserError(f"{name} has no pixels: its shape is {pixels.shape}")
        return pixels


def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    precision: Literal["float32", "bf16"] | None = None,
    symmetries: bool = False,
    diameter: float | None = None,
) -> Model:
    """A trained model, ready to predict.

    Args:
        path: the name of a shipped model ("nuclei"), a run folder, a model file, an exported
            ``.onnx``, or an authors' ``.pth`` (of the original's training or of EmbedSeg's, with
            its two JSON files beside it).
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", …
        precision: "float32" or "bf16"; None is float32, or what the model was exported in.
        symmetries: predict with test-time augmentation, over the symmetries that the model was
            trained with: more accurate, up to 8 times slower.
        diameter: how wide objects are in the images to come, in pixels, where that is not as in
            the model's training images.

    Raises:
        UserError: there is no model there, it is damaged or from a newer version, the device
            is not available, an exported model has another precision, or a diameter cannot be
            followed.
    """
    given, path = path, _shipped(path)
    network, spec = (
        _exported(path, device, precision)
        if path.suffix.lower() == ".onnx"
        else _in_torch(path, device, precision or "float32")
    )
    count = int(spec.training.get("symmetries", 1)) if symmetries else 1
    return Model(network, spec, str(given), count, diameter)


def shipped_models() -> dict[str, Path]:
    """Files of the models that come with the package, by name."""
    return {path.stem: path for path in packaged("shipped", ".safetensors")}


def _shipped(path: str | os.PathLike[str]) -> Path:
    """A path, or that of the shipped model of this name; a file or a run of that name goes first.

    Raises:
        UserError: a name that is neither.
    """
    from spatialembed.models.checkpoint import MODEL_FILE

    given, shipped = Path(path), shipped_models()
    if given.is_file() or (given / MODEL_FILE).is_file():
        return given
    is_name = given.name == str(path) and not given.suffix
    if is_name and not given.exists() and str(path) not in shipped:
        raise UserError(
            f"there is no model at {path}; name a run folder, a model file or a shipped model: "
            f"{', '.join(shipped) or 'none is'}"
        )
    return shipped.get(str(path), given)


def _exported(path: Path, device: str, precision: str | None) -> tuple[Network, ModelSpec]:
    from spatialembed.inference.onnx_network import OnnxNetwork

    if device not in ("auto", "cpu"):
        raise UserError(f"an exported model runs on the processor; leave out --device {device}")
    network = OnnxNetwork(path)
    if precision not in (None, network.precision):
        raise UserError(
            f"{path} was exported in {network.precision}; leave out --precision {precision}, or "
            "export the model in it"
        )
    return network, network.spec


def _in_torch(
    path: Path, device: str, precision: Literal["float32", "bf16"]
) -> tuple[Network, ModelSpec]:
    from spatialembed.inference.torch_network import TorchNetwork, pick_device
    from spatialembed.models.folding import folded

    module, spec = load_network(path)
    network = TorchNetwork(folded(module).to(pick_device(device)), precision)
    if precision == "bf16":
        network.module.bfloat16()
    return network, spec


def load_network(path: str | os.PathLike[str]) -> tuple[nn.Module, ModelSpec]:
    """The network of a path that :func:`load` takes, as it was trained, on the CPU; its spec.

    Raises:
        UserError: there is no model there, it is damaged or from a newer version.
    """
    from spatialembed.models.checkpoint import load_authors_model, load_model

    path = _shipped(path)
    if path.suffix.lower() == ".onnx":
        raise UserError(f"{path} is an exported model; name the run folder it was exported from")
    from_authors = path.suffix.lower() in AUTHORS_SUFFIXES
    return load_authors_model(path) if from_authors else load_model(path)


def to_array(image: ImageLike) -> tuple[np.ndarray, str]:
    """Pixels (H, W, C) in their stored dtype, and the name errors call the image by.

    Raises:
        UserError: the file cannot be read, or an array is not (H, W) or (H, W, C) numbers.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image)), str(image)
    if isinstance(image, Image.Image):
        return pillow_array(image), getattr(image, "filename", "") or "the image"
    array = np.asarray(image)
    if array.ndim not in (2, 3) or array.dtype.kind not in "buif":
        raise UserError(
            f"an image is an array (H, W) or (H, W, C) of numbers, "
            f"not {array.dtype} of shape {array.shape}"
        )
    return (array[..., None] if array.ndim == 2 else array), "the image"


def _is_grey(pixels: np.ndarray) -> bool:
    """Whether (H, W, C) pixels are RGB or RGBA whose colors are equal everywhere."""
    if pixels.shape[2] not in (3, 4):
        return False
    return bool((pixels[..., 1:3] == pixels[..., :1]).all())


def _default(given: Any, stored: Any) -> Any:
    return stored if given is None else given


def _channels(count: int) -> str:
    return f"{count} channel" if count == 1 else f"{count} channels"
