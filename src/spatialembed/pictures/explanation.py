"""One sheet that shows how the objects of an image came about, for training and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialembed.embedding import (
    PITCH,
    Embedded,
    Pitch,
    clamped,
    embed,
    per_axis,
    pixel_coordinates,
    sigma_to_margin,
    sigmoid,
)
from spatialembed.pictures.colors import RGB, colors_of_objects, to_rgb
from spatialembed.pictures.fields import bandwidth_ellipses, offset_wheel, seed_picture
from spatialembed.pictures.overlays import found_against_truth, judge, overlay, verdict_key
from spatialembed.pictures.panels import Tile, panel

if TYPE_CHECKING:
    from spatialembed.instances import Instances

FOREGROUND = 0.5
SEED_KEY = tuple(
    (f"{score:g}", tuple(seed_picture(np.full((1, 1), score))[0, 0].tolist()))
    for score in (0.0, 0.5, 0.9, 1.0)
)


def explain(
    image: NDArray[Any],
    output: NDArray[Any],
    found: Instances,
    label_mask: NDArray[Any] | None = None,
    n_sigma: int = 1,
    pitch: Pitch = PITCH,
    margin: float | None = None,
    columns: int = 3,
) -> RGB:
    """A sheet of the image, objects found, truth, offsets, bandwidths and the seed map.

    Args:
        image: (H, W) or (H, W, C) of any type, as a person knows it (not normalised).
        output: (C, H, W) raw output of the network, values that are not finite allowed.
        found: what :func:`spatialembed.clustering.cluster` made of ``output``.
        label_mask: (H, W) integer truth; None leaves the comparison out.
        n_sigma: bandwidth channels, 1 or 2.
        pitch: coordinate step per pixel, one for both axes or (x, y).
        margin: radius in pixels of a fixed bandwidth, None where it is learned.
        columns: pictures in a row.
    """
    output = np.nan_to_num(np.asarray(output, np.float32), nan=0, posinf=100, neginf=-100)
    steps = per_axis(pitch, 2)
    embedded = embed(output, n_sigma, steps, margin)
    scores = sigmoid(embedded.seed)
    score = scores.max(axis=0)
    offset = embedded.position - pixel_coordinates(score.shape, steps, like=output)
    offset_pixels = offset / np.array(steps, np.float32)[:, None, None]
    tiles = [
        Tile("image", to_rgb(image)),
        Tile(f"{len(found)} found", overlay(image, found.label_map)),
    ]
    if label_mask is not None:
        compared = found_against_truth(image, found.label_map, label_mask)
        key = verdict_key(judge(found.label_map, label_mask))
        tiles.append(Tile("against truth", compared, key))
    centers, margins = _ellipses(embedded, scores, found, steps)
    colors = colors_of_objects(found.label_map)[1][1:]
    tiles += [
        Tile("offsets", offset_wheel(offset_pixels, where=score > FOREGROUND)),
        Tile("centers and margins", bandwidth_ellipses(image, centers, margins, colors)),
        Tile("seed map", seed_picture(score), SEED_KEY),
    ]
    return panel(tiles, columns)


def found_seeds(
    scores: NDArray[Any], label_map: NDArray[Any], classes: NDArray[Any]
) -> NDArray[np.intp]:
    """The pixel each instance grew from, which clustering does not store.

    A seed is its instance's pixel of the highest score, the first one in a tie: all pixels of the
    instance were still free when clustering took the best of the free ones (METHOD, section 3).

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


def _ellipses(
    embedded: Embedded, scores: NDArray[Any], found: Instances, steps: tuple[float, ...]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Centers and half axes (N, 2) in pixels, order x, y, as clustering used them."""
    seeds = found_seeds(scores, found.label_map, found.classes)
    centers = embedded.position.reshape(2, -1)[:, seeds].T / np.array(steps)
    sigma = clamped(embedded.sigma).reshape(len(embedded.sigma), -1)[:, seeds].T
    sigma = np.broadcast_to(sigma, centers.shape)
    margins = np.stack([sigma_to_margin(sigma[:, d], steps[d]) for d in (0, 1)], axis=1)
    return centers, margins
