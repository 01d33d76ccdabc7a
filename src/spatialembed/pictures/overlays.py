"""Objects drawn over their image: what was found, and found against truth."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatialembed.kernels.painting import near_borders, tint
from spatialembed.metrics.overlaps import common_pixels, numbered, pixels_of, runs
from spatialembed.pictures.colors import RGB, Color, colors_of_objects, to_rgb

HIT: Color = (64, 200, 150)
MISSED: Color = (255, 163, 44)
EXTRA: Color = (240, 96, 190)
"""Told apart by colour-blind eyes too: bluish green, orange, pink; misses are hatched besides."""


class Judgement(NamedTuple):
    """Which objects agree at one IoU threshold, as ids of the two maps."""

    hit: NDArray[Any]
    """(M,) ids of found objects that match one of the truth."""
    missed: NDArray[Any]
    """(M,) ids of objects of the truth that nothing found matches."""
    extra: NDArray[Any]
    """(M,) ids of found objects that match none of the truth."""


def outlines(label_map: NDArray[Any], thickness: int = 1) -> NDArray[np.bool_]:
    """Pixels of objects that lie at most ``thickness`` pixels from another object or background.

    Distances are along rows and columns. The image's border is no outline.

    Args:
        label_map: (H, W) integer, 0 is background.
        thickness: width of the outline in pixels, at least 1.

    Returns:
        (H, W) bool.
    """
    return np.asarray(near_borders(label_map, thickness) & (label_map != 0))


def overlay(
    image: NDArray[Any],
    label_map: NDArray[Any],
    alpha: float = 0.4,
    outline: int | bool | None = None,
) -> RGB:
    """The image with every object tinted and outlined in a colour of its own.

    Objects near each other differ clearly in colour, however many there are.

    Args:
        image: (H, W) or (H, W, C), see :func:`~spatialembed.pictures.colors.to_rgb`.
        label_map: (H, W) integer, 0 is background.
        alpha: opacity of the tint, 0 (outline only) to 1.
        outline: its width in pixels, 0 or False for none; None grows it with the picture.

    Raises:
        ValueError: sizes differ, or ``alpha`` is outside of [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is between 0 and 1, not {alpha}")
    image, label_map = np.asarray(image), np.asarray(label_map)
    return tinted(_matching_rgb(image, label_map), *colors_of_objects(label_map), alpha, outline)


def tinted(
    rgb: RGB,
    ranks: NDArray[Any],
    colors: RGB,
    alpha: float = 0.4,
    outline: int | bool | None = None,
) -> RGB:
    """:func:`overlay` over a picture as it is, of objects 1 to N, in colors (N + 1, 3)."""
    width = _line_width(ranks) if outline is None else int(outline)
    return np.asarray(tint(rgb, ranks, near_borders(ranks, width), colors, np.float32(alpha)))


def projected(stack: NDArray[Any], label_map: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A stack and its objects as an image: brightest along z, and the first object along z.

    Args:
        stack: (Z, H, W, C).
        label_map: (Z, H, W) integer, 0 is background.

    Returns:
        (H, W, C) and (H, W).
    """
    return stack.max(0), first_along_z(label_map)


def first_along_z(label_map: NDArray[Any]) -> NDArray[Any]:
    """The first object (H, W) along z of a label map (Z, H, W)."""
    nearest = (label_map > 0).argmax(0)[None]
    return np.asarray(np.take_along_axis(label_map, nearest, 0)[0])


def judge(label_map: NDArray[Any], label_mask: NDArray[Any], threshold: float = 0.5) -> Judgement:
    """Match found objects with the truth at an IoU of ``threshold`` or more, for a picture.

    Each object's best partner counts, so below 0.5 this may match fewer than the optimal
    assignment of the metrics.

    Args:
        label_map: (*S) integer, found objects.
        label_mask: (*S) integer, the truth.
    """
    (f, t), lengths = runs(label_map, label_mask)
    (found, f), (truth, t) = numbered(f), numbered(t)
    i, j, common = common_pixels(f, t, lengths)
    size_i, size_j = pixels_of(f, lengths, len(found) + 1), pixels_of(t, lengths, len(truth) + 1)
    iou = common / (size_i[i + 1] + size_j[j + 1] - common)
    best_i, best_j = np.zeros(len(found)), np.zeros(len(truth))
    np.maximum.at(best_i, i, iou)
    np.maximum.at(best_j, j, iou)
    good = (iou >= threshold) & (iou == best_i[i]) & (iou == best_j[j])
    i, j = i[good], j[good]
    # at exactly one half two objects may tie for a partner: the first takes it
    i, first = np.unique(i, return_index=True)
    j, first = np.unique(j[first], return_index=True)
    hit, matched = found[i[first]], truth[j]
    return Judgement(
        hit,
        np.setdiff1d(truth, matched),
        np.setdiff1d(found, hit),
    )


def found_against_truth(
    image: NDArray[Any], label_map: NDArray[Any], label_mask: NDArray[Any]
) -> RGB:
    """Hits outlined in green, misses hatched in orange, extra finds tinted pink.

    Args:
        image: (H, W) or (H, W, C).
        label_map: (H, W) integer, found objects.
        label_mask: (H, W) integer, the truth.

    Raises:
        ValueError: sizes differ.
    """
    image, label_map, label_mask = (np.asarray(one) for one in (image, label_map, label_mask))
    rgb = _matching_rgb(image, label_map)
    _matching_rgb(image, label_mask)
    return against_truth(rgb, label_map, label_mask, judge(label_map, label_mask))


def against_truth(
    rgb: RGB, label_map: NDArray[Any], label_mask: NDArray[Any], verdict: Judgement
) -> RGB:
    """:func:`found_against_truth` over a picture as it is, by a verdict that is known.

    That of a volume holds for all that is cut of it.
    """
    return judged(rgb, *parted(label_map, label_mask, verdict))


def parted(
    label_map: NDArray[Any], label_mask: NDArray[Any], verdict: Judgement
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Labels (*S) of what was hit and of what was missed, and of what was found beside."""
    return (
        np.where(np.isin(label_map, verdict.hit), label_map, 0),
        np.where(np.isin(label_mask, verdict.missed), label_mask, 0),
        np.where(np.isin(label_map, verdict.extra), label_map, 0),
    )


def judged(
    rgb: RGB,
    hit: NDArray[Any],
    missed: NDArray[Any],
    extra: NDArray[Any],
    line: int | None = None,
    fill: float = 1,
) -> RGB:
    """What is :func:`parted`, each (H, W), over a picture as it is.

    Args:
        rgb: (H, W, 3).
        hit, missed, extra: labels.
        line: width of outlines in pixels; None grows it with the picture.
        fill: of tints and hatches, 0 (outlines alone) to 1.
    """
    rgb = (rgb * 0.8).astype(np.uint8)
    width = line or _line_width(hit)
    rows, columns = np.ogrid[: hit.shape[0], : hit.shape[1]]
    hatch = (rows + columns) % (5 * width) < 2 * width
    missing = np.maximum(_opacity(missed, 0.2 * fill, width), 0.7 * fill * hatch * (missed != 0))
    rgb = _paint(rgb, MISSED, missing)
    # Over the hatch, which would hide how what was missed has been cut.
    rgb = _paint(rgb, HIT, _opacity(hit, 0.1 * fill, width))
    return _paint(rgb, EXTRA, _opacity(extra, 0.25 * fill, width))


def verdict_key(verdict: Judgement) -> list[tuple[str, Color]]:
    """Counts and colours of a :func:`found_against_truth` picture, for a tile's key."""
    return [
        (f"{len(verdict.hit)} hit", HIT),
        (f"{len(verdict.missed)} missed", MISSED),
        (f"{len(verdict.extra)} extra", EXTRA),
    ]


def _matching_rgb(image: NDArray[Any], label_map: NDArray[Any]) -> RGB:
    if image.shape[:2] != label_map.shape:
        raise ValueError(
            f"an image of {image.shape[:2]} pixels has no label map of {label_map.shape}"
        )
    return to_rgb(image)


def _line_width(label_map: NDArray[Any]) -> int:
    return max(1, round(int(min(label_map.shape)) / 500))


def _opacity(label_map: NDArray[Any], alpha: float, width: int) -> NDArray[np.float32]:
    opacity = np.where(label_map != 0, np.float32(alpha), np.float32(0))
    if width:
        opacity[outlines(label_map, width)] = 1
    return opacity


def _paint(rgb: RGB, color: Color, opacity: NDArray[Any]) -> RGB:
    share = opacity[..., None].astype(np.float32)
    mixed = rgb * (1 - share) + np.asarray(color, np.float32) * share
    return (mixed + 0.5).astype(np.uint8)
