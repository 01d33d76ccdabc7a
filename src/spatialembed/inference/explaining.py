"""How a model's raw output is read: its geometry, and pictures of what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialembed.inference.sight import Sight
from spatialembed.inference.zoom import Part, Side
from spatialembed.pictures import Explanation, VolumeExplanation, explain, fullest
from spatialembed.pictures.colors import RGB

if TYPE_CHECKING:
    from spatialembed.instances import Instances


class Explaining(Sight):
    """The part of a :class:`Model` that reads raw outputs."""

    def geometry(self, whole: tuple[int, ...]) -> dict[str, Any]:
        """Of an image of shape ``whole``, or a part of it: n_sigma; pitch along (x, y); margin.

        By how much it is truly enlarged: to whole numbers of lines, which is not quite the zoom.
        Of a volume its planes are; the pitch has a z.
        """
        height, width = whole[-2:]
        spec, planes = self.spec, Part.whole((height, width))
        ratios = (*planes.ratios(self.zoom), Side.whole(whole[0], self.depth_ratio).zoom)
        pitch = tuple(step * ratio for step, ratio in zip(spec.pitch, ratios, strict=False))
        margin = spec.margin and spec.margin / (min(pitch) / min(spec.pitch))
        return {"n_sigma": spec.n_sigma, "pitch": pitch, "margin": margin}

    def explanation(self, image: np.ndarray, output: np.ndarray, found: Instances) -> Explanation:
        """Pictures of how :meth:`cluster` came to what it found in a raw output of an image."""
        return Explanation(image, output, found, **self.geometry(output.shape[1:]))

    def volume_explanation(
        self,
        image: np.ndarray,
        output: np.ndarray,
        found: Instances,
        spacing: Sequence[float] | None = None,
    ) -> VolumeExplanation:
        """:meth:`explanation` of a volume.

        Args:
            image: (Z, H, W, C).
            output: its raw output.
            found: what was found in it.
            spacing: between its voxels along (z, y, x); None for that of training.
        """
        geometry = self.geometry(output.shape[1:])
        spacing = spacing or self.spec.spacing
        return VolumeExplanation(image, output, found, spacing=spacing, **geometry)


def sheet_of(
    model: Explaining, image: np.ndarray, output: np.ndarray, found: Instances, truth: np.ndarray
) -> RGB:
    """A sheet of :func:`~spatialembed.pictures.explain`; of a volume, of its fullest plane.

    Args:
        model: at the size of the image's objects.
        image: (*S, C).
        output: its raw output.
        found: what was found in it.
        truth: (*S) its label mask.
    """
    if truth.ndim == 2:
        return explain(model.explanation(image, output, found), truth)
    plane = fullest(truth if truth.any() else found.label_map)
    seen = model.volume_explanation(image, output, found).at(plane)
    return explain(seen, plane.of(truth))
