"""From an image to its instances: normalise, run the network, cluster.

:class:`Model` is a network together with the :class:`ModelSpec` that says how it is used.
Prediction, evaluation and the validation inside training go through it, so they cannot disagree.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from spatialembed.clustering import cluster_foreground
from spatialembed.data.images.kinds import MOST_PIXELS
from spatialembed.errors import UserError
from spatialembed.inference.asked import inverted, size_ratio
from spatialembed.inference.channels import fitting
from spatialembed.inference.image_like import ImageLike, to_array
from spatialembed.inference.network import Network
from spatialembed.inference.own_size import SEED, typical_diameter
from spatialembed.inference.symmetries import Symmetry, averaged
from spatialembed.inference.tiles import tiled
from spatialembed.inference.zoom import Part, resized, sampled
from spatialembed.kernels.foreground import take_foreground
from spatialembed.models.input_warnings import tell
from spatialembed.models.normalization import PERCENTILE_CLIP
from spatialembed.pictures import Explanation
from spatialembed.refinement import refine, refine_foreground

if TYPE_CHECKING:
    from spatialembed.instances import Instances
    from spatialembed.models.normalization import Normalize
    from spatialembed.models.spec import ModelSpec


class Model:
    """A network and how it is used.

    Args:
        network: from a normalised image to its raw output.
        spec: channels, classes, pitch, normalisation and thresholds of the network.
        name: what reports call the model; :func:`spatialembed.load` gives it its path.
        symmetries: over how many symmetries of an image its raw output is averaged: 1, 2
            (mirrored), 4 (turned) or 8 (both); as many times slower.
        diameter: how wide objects are in the images to come, in pixels; they are then shown to
            the network as large as those it was trained on. None: as those are.
        invert: show images to the network with dark and bright exchanged: 1 minus what the
            normalisation gives.

    Attributes:
        normalize: from stored pixels to what the network sees; the spec's, unless the pixels are
            part of a larger image, by which they are to be normalised.
        size_ratio: width of the training objects over that of the objects to come.
        weights: a digest of the file it was loaded from; empty where there is none.

    Raises:
        UserError: a diameter that is no positive number, or of a model that does not say how wide
            its training objects were; to invert where a normalisation has no black and white.
    """

    def __init__(
        self,
        network: Network,
        spec: ModelSpec,
        name: str = "",
        symmetries: int = 1,
        diameter: float | None = None,
        invert: bool = False,
    ) -> None:
        self.network = network
        self.spec = spec
        self.name = name or spec.network
        self.symmetries = symmetries
        self.normalize: Normalize = spec.normalization
        self.size_ratio = size_ratio(self.name, spec, diameter)
        self.invert = inverted(self.name, spec, invert)
        self.finds_size = spec.finds_size and diameter is None
        self.weights = ""

    def seeing(self, diameter: float | None) -> Model:
        """The same model for images whose objects are ``diameter`` pixels wide."""
        other = copy(self)
        other.size_ratio = size_ratio(self.name, self.spec, diameter)
        other.finds_size = False
        return other

    def for_image(self, image: ImageLike, name: str | None = None) -> Model:
        """The model at the size of an image's objects, where it finds that by itself; else this.

        Raises:
            UserError: the image cannot be read, or its channels are not the model's.
        """
        if not self.finds_size:
            return self
        pixels, own_name = to_array(image)
        fitted = fitting(self.name, self.spec, pixels, name or own_name)
        return self.seeing(self.own_diameter(fitted))

    def own_diameter(self, pixels: np.ndarray) -> float:
        """Median diameter of the objects of (H, W, C) pixels, by what is found at several sizes."""

        def look(window: np.ndarray, diameter: float) -> Instances:
            sized = self.seeing(diameter)
            # One view: a size needs no more, and views of what is of another size disagree.
            return sized.cluster(sized._forward(window, Part.whole(window.shape[:2])), SEED)

        assert self.spec.object_diameter is not None  # as the spec requires
        return typical_diameter(pixels, self.spec.object_diameter, self.spec.zoom, look)

    @property
    def zoom(self) -> float:
        """Magnification at which the network sees images, but for whole numbers of lines."""
        return self.spec.zoom * self.size_ratio

    def geometry(self, whole: tuple[int, int]) -> dict[str, Any]:
        """Of an image of shape ``whole``, or a part of it: n_sigma; pitch along (x, y); margin.

        By how much it is truly enlarged: to whole numbers of lines, which is not quite the zoom.
        """
        spec, ratios = self.spec, Part.whole(whole).ratios(self.zoom)
        pitch = tuple(step * ratio for step, ratio in zip(spec.pitch, ratios, strict=True))
        margin = spec.margin and spec.margin / (min(pitch) / min(spec.pitch))
        return {"n_sigma": spec.n_sigma, "pitch": pitch, "margin": margin}

    def __repr__(self) -> str:
        classes = ", ".join(self.spec.class_names)
        return f"Model({self.name}, {self.spec.in_channels} channels, classes: {classes})"

    def raw(
        self, image: ImageLike, name: str | None = None, part: Part | None = None
    ) -> np.ndarray:
        """The network's output at the image's size, mean over the model's symmetries.

        Args:
            image: path, (H, W) or (H, W, C) array as stored on disk, or PIL image; it is
                normalised here, never by the caller.
            name: what errors call the image; None for its path, if it has one.
            part: where the image lies in a larger one whose part it is; None for no such.

        Returns:
            (2 + n_sigma + K, H, W) float32: offsets x and y, bandwidths, seed logits.

        Raises:
            UserError: the image cannot be read, or its channels are not the model's.
        """
        pixels, own_name = to_array(image)
        pixels = fitting(self.name, self.spec, pixels, name or own_name)
        if part is None:
            tell(self.spec.normalization, pixels, name or own_name)
        place = part or Part.whole(pixels.shape[:2])

        def forward(turned: np.ndarray, how: Symmetry) -> np.ndarray:
            return self._forward(turned, place.turned(*how))

        return averaged(forward, pixels, self.spec.n_sigma, self.symmetries)

    def _forward(self, pixels: np.ndarray, part: Part) -> np.ndarray:
        output = tiled(self.network, self.prepared(pixels, part))
        return sampled(output, part.enlarged(self.zoom))

    def prepared(self, pixels: np.ndarray, part: Part | None = None) -> Float[np.ndarray, "C h w"]:
        """What the network is given of (H, W, C) pixels: normalised, and as large as it sees them.

        Args:
            pixels: of an image, or of the ``part`` of one.

        Raises:
            UserError: not numbers, or too many pixels.
        """
        normalized = np.ascontiguousarray(self.normalized(pixels).transpose(2, 0, 1))
        if len(normalized) < self.spec.in_channels:  # grey, which the model takes
            normalized = np.repeat(normalized, self.spec.in_channels, 0)
        to = (part or Part.whole(pixels.shape[:2])).enlarged(self.zoom)
        height, width = to.shape
        if height * width > MOST_PIXELS:
            raise UserError(
                f"at {self.zoom:.3g} times its size the image would have {height} x {width} "
                "pixels, too many to take whole; check the diameter that was given, or store it "
                "as OME-Zarr or tiled TIFF and predict it in tiles, with --out labels.zarr"
            )
        return resized(normalized, to)

    def normalized(self, pixels: np.ndarray) -> Float[np.ndarray, "H W C"]:
        """What (H, W, C) pixels are to the network: normalised, and inverted if that was asked."""
        normalized = self.normalize(pixels)
        return np.clip(1 - normalized, *PERCENTILE_CLIP) if self.invert else normalized

    def cluster(
        self,
        output: np.ndarray,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        refined: bool = True,
        whole: tuple[int, int] | None = None,
    ) -> Instances:
        """Instances of a raw output, refined if the model says so.

        A setting that is None is the one stored with the model.

        Args:
            output: (2 + n_sigma + K, H, W), as :meth:`raw` gives it.
            seed_threshold: least seed score that starts an object, in [0, 1].
            foreground_threshold: seed score above which a pixel may belong to one, in [0, 1].
            min_size: fewest pixels of an object.
            refined: False to leave :meth:`refined` to the caller.
            whole: height and width of the image that the output's is a part of; None for its own.

        Raises:
            UserError: a setting out of its range.
        """
        spec, whole = self.spec, whole or output.shape[1:]
        seed, foreground, size = self.settings(seed_threshold, foreground_threshold, min_size)
        taken = take_foreground(output, threshold=foreground, **self.geometry(whole))
        found = cluster_foreground(taken, seed, size, spec.class_names)
        return refine_foreground(found, taken, size) if refined and spec.refine else found

    def refined(
        self,
        found: Instances,
        output: np.ndarray,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        whole: tuple[int, int] | None = None,
    ) -> Instances:
        """:func:`spatialembed.refinement.refine` with the model's settings."""
        _, foreground, size = self.settings(None, foreground_threshold, min_size)
        geometry = self.geometry(whole or output.shape[1:])
        return refine(found, output, foreground_threshold=foreground, min_size=size, **geometry)

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
        spec, size = self.spec, max(1, round(self.spec.min_size / self.size_ratio**2))
        seed = spec.seed_threshold if seed_threshold is None else seed_threshold
        foreground = spec.foreground_threshold
        foreground = foreground if foreground_threshold is None else foreground_threshold
        size = size if min_size is None else min_size
        for name, value in (("seed", seed), ("foreground", foreground)):
            if not 0 <= value <= 1:
                raise UserError(f"the {name} threshold lies between 0 and 1, not {value}")
        if size < 0:
            raise UserError(f"the minimum size is a number of pixels, not {size}")
        return seed, foreground, size

    def used(
        self,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> dict[str, Any]:
        """What results are made with, for JSON: settings, symmetries, diameter, weights, invert."""
        names = "seed_threshold", "foreground_threshold", "min_size"
        values = self.settings(seed_threshold, foreground_threshold, min_size)
        known = self.spec.object_diameter
        diameter = "own" if self.finds_size else known and round(known / self.size_ratio, 2)
        others = {"symmetries": self.symmetries, "diameter": diameter, "weights": self.weights}
        others["invert"] = self.invert or None  # as results of earlier versions, which lack it
        return dict(zip(names, values, strict=True)) | others

    def predict(
        self,
        image: ImageLike,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        name: str | None = None,
        part: Part | None = None,
    ) -> Instances:
        """Instances of an image: :meth:`raw`, then :meth:`cluster`, whose arguments these are.

        Raises:
            UserError: the image cannot be read, or its channels are not the model's.
        """
        sized = self.for_image(image, name)
        output = sized.raw(image, name, part)
        whole = None if part is None else part.shape
        return sized.cluster(output, seed_threshold, foreground_threshold, min_size, whole=whole)

    def explanation(self, image: np.ndarray, output: np.ndarray, found: Instances) -> Explanation:
        """Pictures of how :meth:`cluster` came to what it found in a raw output of an image."""
        return Explanation(image, output, found, **self.geometry(output.shape[1:]))
