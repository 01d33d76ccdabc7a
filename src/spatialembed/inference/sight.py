"""From an image to what a network says of it: normalise, show it as large as in training, run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float

from spatialembed.data.images.kinds import MOST_PIXELS
from spatialembed.data.images.pixel_size import pixel_size
from spatialembed.data.images.reading import stack_spacing
from spatialembed.data.images.spacing import one_an_axis
from spatialembed.data.images.windows import in_memory
from spatialembed.embedding import Array, of_targets
from spatialembed.errors import UserError
from spatialembed.inference.asked import asked_pixel_size, inverted, size_ratio
from spatialembed.inference.card_memory import image_within_memory
from spatialembed.inference.channels import fitting
from spatialembed.inference.image_like import ImageLike, to_array, to_name
from spatialembed.inference.network import CardNetwork, Network
from spatialembed.inference.resizing import (
    resized,
    resized_along_z,
    sampled,
    sampled_along_z,
)
from spatialembed.inference.symmetries import Symmetry, averaged, averaged_together
from spatialembed.inference.tiles import tiled
from spatialembed.inference.true_size import AS_IT_IS, Ratios, ratios_of, require_near
from spatialembed.inference.volume_tiles import resized_volume, tiled_volume
from spatialembed.inference.zoom import SQUARE, Enlarged, Part, Side
from spatialembed.kernels.foreground import as_float32
from spatialembed.models.input_warnings import tell
from spatialembed.models.normalization import (
    MOST_SIDE,
    PERCENTILE_CLIP,
    Normalization,
    every_level,
)

if TYPE_CHECKING:
    from spatialembed.models.normalization import Normalize
    from spatialembed.models.spec import ModelSpec


class Sight:
    """The part of a :class:`Model` that sees images; arguments and attributes are the model's."""

    def __init__(
        self,
        network: Network,
        spec: ModelSpec,
        name: str = "",
        symmetries: int = 1,
        diameter: float | None = None,
        invert: bool = False,
        pixel_size: float | None = None,
    ) -> None:
        self.network = network
        self.spec = spec
        self.name = name or spec.network
        self.symmetries = symmetries
        self.normalize: Normalize = spec.normalization
        self.size_ratio = size_ratio(self.name, spec, diameter)
        self.depth_ratio = 1.0
        self.invert = inverted(self.name, spec, invert)
        self.finds_size = spec.finds_size and diameter is None
        self.pixel_size = asked_pixel_size(self.name, spec, pixel_size)
        self.sized = diameter is not None
        self.weights = ""
        self.outputs = max(1, len(spec.targets))
        self.target: int | None = None
        self.smallest = ""
        self.asked: tuple[float | None, float | None, int | None] = (None, None, None)

    def seeing(self, diameter: float | None) -> Self:
        """The same model for images whose objects are ``diameter`` pixels wide."""
        other = copy(self)
        other.size_ratio = size_ratio(self.name, self.spec, diameter)
        other.finds_size, other.sized = False, True
        return other

    def at_true_size(
        self, image: ImageLike, name: str | None, spacing: Sequence[float] | None
    ) -> Self | None:
        """The same model that sees an image as large as those of training, by micrometres.

        None where not both are known, or a diameter was given; else as :meth:`Model.for_image`.
        """
        if self.sized:
            return None
        ratios = ratios_of(self.spec, self.known_spacing(image, spacing))
        if ratios is None or self.spec.object_diameter is None:
            return None
        require_near(ratios, self.name, self.spec, name or to_name(image))
        other = self.seeing(self.spec.object_diameter / ratios.planes)
        other.depth_ratio = ratios.depth
        return other

    def known_spacing(
        self, image: ImageLike, spacing: Sequence[float] | None
    ) -> Sequence[float] | None:
        """Micrometres of an image: as asked, given, or stated where the model has some, too."""
        if spacing is not None:
            spacing = one_an_axis(spacing, self.spec.dims)
        own = self.spec.pixel_size if self.spec.dims == 2 else self.spec.spacing
        if self.pixel_size is not None:
            return self.pixel_size, self.pixel_size
        if spacing is None and own is not None and isinstance(image, (str, os.PathLike)):
            return (pixel_size if self.spec.dims == 2 else stack_spacing)(Path(image))
        return spacing

    def shown_at(self, spacing: Sequence[float] | None) -> Ratios | None:
        """By how much an image is shown larger for its pixels; None where that is not known.

        Not at all where a diameter was given, or pixels are no squares.
        """
        if self.sized:
            return AS_IT_IS
        return ratios_of(self.spec, spacing) or (None if spacing is None else AS_IT_IS)

    def fixed(self, pixels: np.ndarray) -> Self:
        """The same model that normalises any part of an image (H, W, C) as it does the whole."""
        other = copy(self)
        if isinstance(self.normalize, Normalization):
            other.normalize = self.normalize.fixed(in_memory(self.name, pixels))
        return other

    @property
    def larger(self) -> float:
        """How many pixels an image is shown by for each that the spec's zoom alone gives."""
        return self.size_ratio**2 * self.depth_ratio

    @property
    def zoom(self) -> float:
        """Magnification at which the network sees images, but for whole numbers of lines."""
        return self.spec.zoom * self.size_ratio

    @property
    def square(self) -> int:
        """Of what the first line of a part is a multiple, so that the network's squares lie in it
        as in the whole: its own stride where parts are small, as of volumes.
        """
        known = getattr(self.network, "stride", SQUARE) if self.spec.dims == 3 else SQUARE
        return min(int(known), SQUARE)

    def enlarged(self, part: Part) -> Enlarged:
        """The lines that the network sees of a part of an image, or of planes."""
        return part.enlarged(self.zoom, self.square)

    def __repr__(self) -> str:
        classes = ", ".join(self.spec.class_names)
        return f"Model({self.name}, {self.spec.in_channels} channels, classes: {classes})"

    def raw(
        self, image: ImageLike, name: str | None = None, part: Part | None = None
    ) -> np.ndarray:
        """The network's output at the image's size, mean over the model's symmetries.

        A model that finds the size of objects does not do so here: ask what
        :meth:`Model.for_image` gives, and let that cluster too.

        Args:
            image: path, (H, W) or (H, W, C) array as stored on disk, or PIL image; of a model of
                volumes path or array (Z, H, W) or (Z, H, W, C). It is normalised here, never by
                the caller.
            name: what errors call the image; None for its path, if it has one.
            part: where the image lies in a larger one whose part it is; None for no such.

        Returns:
            (D + n_sigma + K, *S) float32: offsets x and y (and z), bandwidths, seed logits; of a
            model of several targets those of each, one after the other.

        Raises:
            UserError: the image cannot be read, its channels are not the model's, or it is too
                large for a GPU's memory.
        """
        return as_float32(self.output(image, name, part))

    def output(self, image: ImageLike, name: str | None = None, part: Part | None = None) -> Array:
        """:meth:`raw`, left where it was computed: of a network on a GPU a tensor there.

        That is float32 or, of one view in bf16, bfloat16; :meth:`Model.cluster` takes either.
        """
        pixels, own_name = to_array(image, self.spec.dims)
        name = name or own_name
        pixels = fitting(self.name, self.spec, pixels, name)
        if part is None:
            tell(self.spec.normalization, pixels, name)
        with image_within_memory(name):
            whole = self._views(pixels, part or Part.whole(pixels.shape[-3:-1]), name)
        return whole if self.target is None else of_targets(whole, self.outputs)[self.target]

    def _views(self, pixels: np.ndarray, place: Part, name: str) -> Array:
        """Mean over the model's symmetries; on a card those of a whole image all together."""
        n_sigma, count = self.spec.n_sigma, self.symmetries
        if count > 1 and place.is_whole and (card := self._card_for(place)):

            def at(how: Symmetry) -> Enlarged:
                return self.enlarged(place.turned(*how))

            seen = self._there(card, pixels, place)
            return averaged_together(card, seen, at, n_sigma, count, self.outputs)

        def forward(turned: np.ndarray, how: Symmetry) -> Array:
            return self._forward(turned, place.turned(*how), name)

        return averaged(forward, pixels, n_sigma, count, self.outputs)

    def _forward(self, pixels: np.ndarray, part: Part, name: str = "the image") -> Array:
        card = self._card_for(part)
        to = self.enlarged(part)
        if card:
            return sampled(card(self._there(card, pixels, part)), to)
        # What is too large for a card before or after is resized here.
        planes = self._planes(pixels, to, name)
        if planes.ndim == 3:
            return tiled(self.network, planes, to)
        deep = Side.whole(len(pixels), self.depth_ratio)
        seen = tiled_volume(self.network, resized_along_z(planes, deep), to)
        return sampled_along_z(seen, deep)

    def _card_for(self, part: Part) -> CardNetwork | None:
        """The network, if it is on a card that takes such a part at once."""
        if not isinstance(self.network, CardNetwork):
            return None
        sizes = part.size, self.enlarged(part).shape
        fits = all(height * width <= self.network.side**2 for height, width in sizes)
        return self.network if fits else None

    def _there(self, card: CardNetwork, pixels: np.ndarray, part: Part) -> Array:
        """:meth:`prepared` on the card, where pixels of few bits, a part of it, go as they are."""
        if pixels.dtype in (np.uint8, np.uint16):
            levels = card.levels(pixels)
            every = every_level(pixels.dtype, pixels.shape[2])
            sight = self._counted(card, levels, len(every)) or self.fixed(pixels)
            seen = card.looked_up(levels, sight._planes(every[:, None])[:, :, 0].T)
        else:
            seen = card.uploaded(self._planes(pixels))
        return resized(seen, self.enlarged(part))

    def _counted(self, card: CardNetwork, levels: Array, values: int) -> Self | None:
        """:meth:`fixed` by what is counted on a card, where percentiles of all pixels are taken."""
        normal = self.normalize
        if not isinstance(normal, Normalization) or normal.kind != "percentile":
            return None
        if max(levels.shape[:2]) > MOST_SIDE:
            return None
        other = copy(self)
        other.normalize = normal.counted(card.counted(levels, values))
        return other

    def prepared(self, pixels: np.ndarray, part: Part | None = None) -> Float[np.ndarray, "C *s"]:
        """What the network is given of (*S, C) pixels: normalised, and as large as it sees them.

        Args:
            pixels: of an image, or of the ``part`` of one.

        Raises:
            UserError: not numbers, or too many pixels.
        """
        to = self.enlarged(part or Part.whole(pixels.shape[-3:-1]))
        planes = self._planes(pixels, to)
        if planes.ndim == 3:
            prepared: np.ndarray = resized(planes, to)
            return prepared
        deep = Side.whole(len(pixels), self.depth_ratio)
        return resized_volume(resized_along_z(planes, deep), to)

    def _planes(
        self, pixels: np.ndarray, to: Enlarged | None = None, name: str = "the image"
    ) -> Float[np.ndarray, "C H W"]:
        """(*S, C) pixels normalised, channel by channel, with the model's channels.

        Raises:
            UserError: not numbers, or too many pixels once they are enlarged.
        """
        height, width = to.shape if to else (0, 0)
        if height * width > MOST_PIXELS:
            raise UserError(
                f"{name} would have {height} x {width} pixels at {self.zoom:.3g} times its size, "
                "too many to take whole; check the diameter that was given, or store it "
                "as OME-Zarr or tiled TIFF and predict it in tiles, with --out labels.zarr"
            )
        planes = np.ascontiguousarray(np.moveaxis(self.normalized(pixels), -1, 0))
        if len(planes) < self.spec.in_channels:  # grey, which the model takes
            planes = np.repeat(planes, self.spec.in_channels, 0)
        return planes

    def normalized(self, pixels: np.ndarray) -> Float[np.ndarray, "H W C"]:
        """What (H, W, C) pixels are to the network: normalised, and inverted if that was asked."""
        normalized = self.normalize(pixels)
        return np.clip(1 - normalized, *PERCENTILE_CLIP) if self.invert else normalized
