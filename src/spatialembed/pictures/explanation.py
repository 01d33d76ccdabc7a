"""How the objects of an image came about: single pictures, or all of them on one sheet."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.embedding import (
    PITCH,
    Pitch,
    clamped,
    embed,
    per_axis,
    pixel_coordinates,
    sigma_to_margin,
    sigmoid,
)
from spatialembed.pictures.colors import RGB, colors_of_objects, to_rgb
from spatialembed.pictures.outputs import (
    bandwidth_ellipses,
    embedding_space,
    offset_wheel,
    seed_picture,
)
from spatialembed.pictures.overlays import found_against_truth, judge, overlay, verdict_key
from spatialembed.pictures.panels import Tile, comfortable, panel

if TYPE_CHECKING:
    from spatialembed.instances import Instances

FOREGROUND = 0.5
SEED_KEY = tuple(
    (f"{score:g}", tuple(seed_picture(np.full((1, 1), score))[0, 0].tolist()))
    for score in (0.0, 0.5, 0.9, 1.0)
)


VIEWS = {
    "image": "image",
    "instances": "instances",
    "offsets": "offsets",
    "margins": "centers and margins",
    "seeds": "seed map",
    "embeddings": "where pixels land",
}
"""Pictures of an :class:`Explanation` and their titles."""


class Explanation:
    """How the objects of an image came about, as pictures.

    Args:
        image: (H, W) or (H, W, C) of any type, as a person knows it (not normalised).
        output: (C, H, W) raw output of the network, values that are not finite allowed.
        found: what :func:`spatialembed.clustering.cluster` made of ``output``.
        n_sigma: bandwidth channels, 1 or 2.
        pitch: coordinate step per pixel, one for both axes or (x, y).
        margin: radius in pixels of a fixed bandwidth, None where it is learned.
    """

    def __init__(
        self,
        image: NDArray[Any],
        output: NDArray[Any],
        found: Instances,
        n_sigma: int = 1,
        pitch: Pitch = PITCH,
        margin: float | None = None,
    ) -> None:
        # A sigmoid of ±100 is 0 or 1 in float32: infinities keep their meaning.
        output = np.nan_to_num(np.asarray(output, np.float32), nan=0, posinf=100, neginf=-100)
        self.image = image
        self.found = found
        self._steps = per_axis(pitch, 2)
        self._embedded = embed(output, n_sigma, self._steps, margin)
        self._scores = sigmoid(self._embedded.seed)
        self._score = self._scores.max(axis=0)

    def picture(self, view: str) -> RGB:
        """One of :data:`VIEWS`, (H, W, 3) or, of embeddings, a whole multiple of that."""
        drawn: RGB = getattr(self, f"_{view}")()
        return drawn

    def _image(self) -> RGB:
        return to_rgb(self.image)

    def _instances(self) -> RGB:
        return overlay(self.image, self.found.label_map)

    def _offsets(self) -> RGB:
        grid = pixel_coordinates(self._score.shape, self._steps, like=self._score)
        offset = (self._embedded.position - grid) / np.array(self._steps, np.float32)[:, None, None]
        return offset_wheel(offset, where=self._score > FOREGROUND)

    def _margins(self) -> RGB:
        return bandwidth_ellipses(self.image, *self._ellipses, self._colors)

    def _seeds(self) -> RGB:
        return seed_picture(self._score)

    def _embeddings(self) -> RGB:
        label_map = self.found.label_map
        where = (self._score > FOREGROUND) | (label_map > 0)
        position = self._embedded.position[:, where] / np.array(self._steps)[:, None]
        return embedding_space(
            position, label_map[where], self._score.shape, *self._ellipses, self._colors
        )

    @cached_property
    def _colors(self) -> RGB:
        return colors_of_objects(self.found.label_map)[1][1:]

    @cached_property
    def _ellipses(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Centers and half axes (N, 2) in pixels, order x, y, as clustering used them."""
        seeds = found_seeds(self._scores, self.found.label_map, self.found.classes)
        centers = self._embedded.position.reshape(2, -1)[:, seeds].T / np.array(self._steps)
        sigma = clamped(self._embedded.sigma).reshape(len(self._embedded.sigma), -1)[:, seeds].T
        sigma = np.broadcast_to(sigma, centers.shape)
        margins = [sigma_to_margin(sigma[:, d], self._steps[d]) for d in (0, 1)]
        return centers, np.stack(margins, axis=1)


def explain(
    explanation: Explanation, label_mask: NDArray[Any] | None = None, columns: int = 3
) -> RGB:
    """A sheet of all views of an explanation, and of what was found against truth.

    Args:
        explanation: of an image.
        label_mask: (H, W) integer truth; None leaves the comparison out.
        columns: pictures in a row.
    """
    tiles = {view: Tile(title, explanation.picture(view)) for view, title in VIEWS.items()}
    found = explanation.found
    tiles["instances"] = tiles["instances"]._replace(title=f"{len(found)} found")
    tiles["seeds"] = tiles["seeds"]._replace(key=SEED_KEY)
    width = comfortable(found.label_map.shape[1])
    if label_mask is None:
        return panel(list(tiles.values()), columns, width)
    compared = found_against_truth(explanation.image, found.label_map, label_mask)
    key = verdict_key(judge(found.label_map, label_mask))
    truth = Tile("against truth", compared, key)
    del tiles["image"]  # the comparison shows it
    return panel([tiles.pop("instances"), truth, *tiles.values()], columns, width)


def found_seeds(
    scores: NDArray[Any], label_map: NDArray[Any], classes: NDArray[Any]
) -> NDArray[np.intp]:
    """The pixel each instance grew from, which clustering does not store.

    A seed is its instance's pixel of the highest score, the first one in a tie: all pixels of the
    instance were still free when clustering took the best of the free ones.

    Args:
        scores: (K, H, W) seed scores.
        label_map: (H, W) integer, each of 1 to N on at least one pixel.
        classes: (N,) class of each instance.

    Returns:
        (N,) flat pixel indices.
    """
    flat = label_map.ravel()
    pixels = np.flatnonzero(flat)
    label = flat[pixels].astype(np.intp)
    score = scores.reshape(len(scores), -1)[np.asarray(classes, np.intp)[label - 1], pixels]
    order = np.lexsort((pixels, -score, label))
    return np.asarray(pixels[order[np.unique(label[order], return_index=True)[1]]])
