"""From an image to its instances: normalise, run the network, cluster.

:class:`Model` is a network together with the :class:`ModelSpec` that says how it is used.
Prediction, evaluation and the validation inside training go through it, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from spatialembed.clustering import cluster_foreground
from spatialembed.embedding import Array, of_targets, raw_output
from spatialembed.errors import UserError, require_number
from spatialembed.inference.card_memory import image_within_memory
from spatialembed.inference.channels import fitting
from spatialembed.inference.image_like import ImageLike, to_array, to_name
from spatialembed.inference.other_voxels import tell_other_voxels
from spatialembed.inference.own_size import SEED, typical_diameter
from spatialembed.inference.target_models import OfTargets
from spatialembed.inference.zoom import Part
from spatialembed.kernels.foreground import take_foreground
from spatialembed.refinement import refine, refine_foreground

if TYPE_CHECKING:
    from spatialembed.instances import Instances


T = TypeVar("T")


class Model(OfTargets):
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
        pixel_size: micrometres that pixels of the images to come are wide, whatever their files
            state; None for that. Where no diameter is given and the spec has a pixel size, images
            are shown to the network as large as those of training by both.

    Attributes:
        normalize: from stored pixels to what the network sees; the spec's, unless the pixels are
            part of a larger image, by which they are to be normalised.
        size_ratio: width of the training objects over that of the objects to come.
        depth_ratio: planes of a volume that the network sees over those that it has.
        sized: whether it is settled how large images are shown.
        outputs: targets of the network.
        target: which of several this model is of alone, from 0, as :meth:`each` has it; else None.
        smallest: name of the smallest ones of these, whose diameter the spec has; else empty.
        asked: what clustering takes for settings that it is not given, as :meth:`asking` has it.
        weights: a digest of the file it was loaded from; empty where there is none.

    Raises:
        UserError: a diameter that is no positive number, or of a model that does not say how wide
            its training objects were; to invert where a normalisation has no black and white;
            a pixel size that is no positive number, or of a model of volumes.
    """

    def asking(
        self,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> Model:
        """The same model, which clusters with these settings instead of those stored with it.

        Raises:
            UserError: a setting out of its range.
        """
        other = copy(self)
        other.asked = (seed_threshold, foreground_threshold, min_size)
        for model in other.each():
            model.settings()
        return other

    def for_image(
        self,
        image: ImageLike,
        name: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> Model:
        """The model at the size of an image's objects, where it knows or finds that; else this.

        It knows it by micrometres, where no diameter was given: by the spec's and the image's.

        Args:
            image: as for :meth:`raw`.
            name: what errors call the image.
            spacing: micrometres between its pixels along (y, x), or voxels along (z, y, x); None
                for what the file says, if it is one.

        Raises:
            UserError: the image cannot be read, its channels are not the model's, or its pixels
                are far larger or smaller than those of training.
        """
        if self.sized:
            return self
        if (known := self.at_true_size(image, name, spacing)) is not None:
            return known
        if not self.finds_size:
            return self
        pixels, own_name = to_array(image)
        fitted = fitting(self.name, self.spec, pixels, name or own_name)
        return self.seeing(self.own_diameter(fitted, name or own_name))

    def own_diameter(self, pixels: np.ndarray, name: str) -> float:
        """Median diameter of the objects of (H, W, C) pixels, by what is found at several sizes.

        Warns, by the name of the image, where these disagree.
        """

        def look(window: np.ndarray, diameter: float) -> Instances:
            sized = self.seeing(diameter)
            # One view: a size needs no more, and views of what is of another size disagree.
            return sized.cluster(sized._forward(window, Part.whole(window.shape[:2])), SEED)

        assert self.spec.object_diameter is not None  # as the spec requires
        return typical_diameter(pixels, self.spec.object_diameter, self.spec.zoom, look, name)

    def cluster(
        self,
        output: Array,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        refined: bool = True,
        whole: tuple[int, ...] | None = None,
    ) -> Instances:
        """Instances of a raw output, refined if the model says so.

        A setting that is None is that of :meth:`asking`, or the one stored with the model.

        Args:
            output: (D + n_sigma + K, *S), as :meth:`raw` or :meth:`output` gives it.
            seed_threshold: least seed score that starts an object, in [0, 1].
            foreground_threshold: seed score above which a pixel may belong to one, in [0, 1].
            min_size: fewest pixels of an object.
            refined: False to leave :meth:`refined` to the caller.
            whole: height and width of the image that the output's is a part of; None for its own.

        Raises:
            UserError: a setting out of its range.
        """
        output = raw_output(output)
        spec, whole = self.spec, whole or output.shape[1:]
        seed, foreground, size = self.settings(seed_threshold, foreground_threshold, min_size)
        taken = take_foreground(output, threshold=foreground, **self.geometry(whole))
        found = cluster_foreground(taken, seed, size, spec.class_names)
        refines = refined and spec.refine
        return refine_foreground(found, taken, size, in_place=True) if refines else found

    def refined(
        self,
        found: Instances,
        output: Array,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        whole: tuple[int, ...] | None = None,
    ) -> Instances:
        """:func:`spatialembed.refinement.refine` with the model's settings."""
        _, foreground, size = self.settings(None, foreground_threshold, min_size)
        output = raw_output(output)
        geometry = self.geometry(whole or output.shape[1:])
        return refine(found, output, foreground_threshold=foreground, min_size=size, **geometry)

    def settings(
        self,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> tuple[float, float, int]:
        """Seed threshold, foreground threshold and minimum size: given, asked, or the model's.

        Raises:
            UserError: a setting out of its range, or a model of several targets, which have
                each their own.
        """
        self.require_one()
        spec, size = self.spec, max(1, round(self.spec.min_size / self.larger))
        asked_seed, asked_foreground, asked_size = self.asked
        seed = _first(seed_threshold, asked_seed, spec.seed_threshold)
        foreground = _first(foreground_threshold, asked_foreground, spec.foreground_threshold)
        size = _first(min_size, asked_size, size)
        size = int(require_number(size, "the minimum size", whole=True))
        seed = require_number(seed, "the seed threshold")
        foreground = require_number(foreground, "the foreground threshold")
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
        if self.spec.targets:
            given = (seed_threshold, foreground_threshold, min_size)
            return {"targets": {m.spec.class_names[0]: m.used(*given) for m in self.each()}}
        names = "seed_threshold", "foreground_threshold", "min_size"
        values = self.settings(seed_threshold, foreground_threshold, min_size)
        known = self.spec.object_diameter
        diameter = "own" if self.finds_size else known and round(known / self.size_ratio, 2)
        wide = "diameter"
        if self.smallest not in ("", self.spec.class_names[0]):
            wide += f" of {self.smallest}"
        others = {"symmetries": self.symmetries, wide: diameter, "weights": self.weights}
        # As results of earlier versions, which lack them.
        others |= {"invert": self.invert or None, "pixel_size": self.pixel_size}
        return dict(zip(names, values, strict=True)) | others

    def predict(
        self,
        image: ImageLike,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        name: str | None = None,
        part: Part | None = None,
        spacing: Sequence[float] | None = None,
    ) -> Instances:
        """Instances of an image: :meth:`raw`, then :meth:`cluster`, whose arguments these are.

        Both are those of the model that :meth:`for_image` gives by the ``spacing``: another one if
        it finds sizes or knows them. Warns where objects look otherwise than in training for
        the image's pixels or voxels alone.

        Raises:
            UserError: the image cannot be read, its channels are not the model's, it is too
                large for a GPU's memory, or the model is of several targets.
        """
        self.require_one()
        with image_within_memory(name or "the image"):
            sized = self.for_image(image, name, spacing)
            tell_other_voxels(self.known_spacing(image, spacing), sized, name or to_name(image))
            output = sized.output(image, name, part)
            given = (seed_threshold, foreground_threshold, min_size)
            return sized.cluster(output, *given, whole=None if part is None else part.shape)

    def predict_targets(
        self,
        image: ImageLike,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
        name: str | None = None,
        spacing: Sequence[float] | None = None,
    ) -> dict[str, Instances]:
        """Instances of each target by its name, from one pass of the network; as :meth:`predict`.

        Objects of several targets may overlap; that of the largest comes first. Of a model of one
        target the name is that of its class, or of its classes joined by "+".

        Raises:
            UserError: as :meth:`predict`, but for several targets.
        """
        with image_within_memory(name or "the image"):
            sized = self.for_image(image, name, spacing)
            tell_other_voxels(self.known_spacing(image, spacing), sized, name or to_name(image))
            given = (seed_threshold, foreground_threshold, min_size)
            return sized.cluster_targets(sized.output(image, name), *given)

    def cluster_targets(
        self,
        output: Array,
        seed_threshold: float | None = None,
        foreground_threshold: float | None = None,
        min_size: int | None = None,
    ) -> dict[str, Instances]:
        """Instances of each target of a raw output, as :meth:`cluster` finds those of one."""
        given = (seed_threshold, foreground_threshold, min_size)
        if not self.spec.targets:
            return {"+".join(self.spec.class_names): self.cluster(output, *given)}
        each = of_targets(raw_output(output), self.outputs)
        own = dict(zip(self.spec.class_names, each, strict=True))
        return {n: self.of(n).cluster(own[n], *given) for n in self.spec.largest_first}


def _first(given: T | None, asked: T | None, own: T) -> T:
    """The first that is not None."""
    if given is not None:
        return given
    return own if asked is None else asked
