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
    embedding_space,
    offset_wheel,
    seed_picture,
    with_ellipses,
)
from spatialembed.pictures.overlays import against_truth, judge, tinted, verdict_key
from spatialembed.pictures.panels import Tile, comfortable, panel
from spatialembed.pictures.planes import stretched

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

    Attributes:
        ratios: how many times as many rows and columns pictures have as the image.
        enlarged: how many times as large a picture's pixel is drawn that is told of in numbers.
        where: in a volume, as titles say it; empty for an image.
    """

    ratios = (1.0, 1.0)
    enlarged = 1
    where = ""

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

    def drawn(self, plane: NDArray[Any]) -> NDArray[Any]:
        """(H, W, ...) at the size of pictures."""
        return stretched(plane, self.ratios)

    @cached_property
    def rgb(self) -> RGB:
        """The image as a picture, at its own size."""
        return to_rgb(self.image)

    @cached_property
    def colors(self) -> RGB:
        """(N, 3) of the objects."""
        return colors_of_objects(self.found.label_map)[1][1:]

    def _image(self) -> RGB:
        return self.drawn(self.rgb)

    def _instances(self) -> RGB:
        colors = np.concatenate([np.zeros((1, 3), np.uint8), self.colors])
        return tinted(self._image(), self.drawn(self.found.label_map), colors)

    def _offsets(self) -> RGB:
        grid = pixel_coordinates(self._score.shape, self._steps, like=self._score)
        offset = (self._embedded.position - grid) / np.array(self._steps, np.float32)[:, None, None]
        seen = np.stack([self.drawn(d) for d in self._longer(offset, 0)]) / self.enlarged
        return offset_wheel(seen, where=self.drawn(self._score > FOREGROUND))

    def _margins(self) -> RGB:
        return with_ellipses((self._image() * 0.6).astype(np.uint8), *self._drawn_ellipses())

    def _seeds(self) -> RGB:
        return self.drawn(seed_picture(self._score))

    def _embeddings(self) -> RGB:
        label_map = self.found.label_map
        where = (self._score > FOREGROUND) | (label_map > 0)
        position = self._embedded.position[:, where] / np.array(self._steps)[:, None]
        height, width = self.drawn(self._score).shape
        seen = self._longer(position, 0.5)
        return embedding_space(seen, label_map[where], (height, width), *self._drawn_ellipses())

    def _longer(self, along: NDArray[Any], center: float) -> NDArray[Any]:
        """Lengths or positions (2, ...), order x, y, at the size of pictures.

        Args:
            along: at the image's size.
            center: of pixel 0 from the image's edge: .5 of positions, 0 of lengths.
        """
        seen = along.copy()
        for d, ratio in enumerate(reversed(self.ratios)):
            if ratio != 1:
                seen[d] = (along[d] + center) * ratio - center
        return seen

    def _drawn_ellipses(self) -> tuple[NDArray[Any], NDArray[Any], RGB]:
        centers, margins = self._ellipses
        return self._longer(centers.T, 0.5).T, self._longer(margins.T, 0).T, self.colors

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
    tiles["instances"] = tiles["instances"]._replace(title=f"{len(found)} found{explanation.where}")
    tiles["seeds"] = tiles["seeds"]._replace(key=SEED_KEY)
    width = comfortable(explanation.drawn(found.label_map).shape[1])
    if label_mask is None:
        return panel(list(tiles.values()), columns, width)
    verdict = judge(found.label_map, label_mask)
    rgb, labels, mask = map(explanation.drawn, (explanation.rgb, found.label_map, label_mask))
    title = "truth in this plane" if explanation.where else "against truth"
    truth = Tile(title, against_truth(rgb, labels, mask, verdict), verdict_key(verdict))
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
