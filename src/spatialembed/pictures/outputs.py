"""The network's output as pictures: offsets, bandwidths, seed map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from spatialembed.pictures.colors import RGB, distinct_colors, oklch, to_rgb
from spatialembed.pictures.panels import BROAD, font

BACKDROP = (27, 30, 35)
LOST = 150
"""Grey of pixels that belong to no object."""
SEED_STOPS = ((0.0, 0.16, 0.03, 265), (0.5, 0.50, 0.13, 300), (0.8, 0.72, 0.16, 30),
              (0.92, 0.83, 0.15, 75), (1.0, 0.96, 0.08, 105))  # fmt: skip
"""Seed score, then OKLCH lightness, chroma, hue: lightness alone already tells the score."""


def offset_wheel(
    offset: NDArray[Any],
    radius: float | None = None,
    where: NDArray[np.bool_] | None = None,
    legend: bool = True,
) -> RGB:
    """Where each pixel points: direction as hue, length as strength of colour, no offset white.

    Args:
        offset: (2, H, W) offsets in pixels, order x, y. NaN and infinities count as 0.
        radius: length in pixels that has full colour; None takes it from the offsets.
        where: (H, W) bool, the pixels to show (the foreground); the rest is a dark backdrop.
        legend: draw the wheel in the lower right corner: a pixel that points to the right has
            the colour of the wheel's right edge; the number is its radius.

    Raises:
        ValueError: not two channels.
    """
    if offset.ndim != 3 or offset.shape[0] != 2:
        raise ValueError(f"offsets are (2, H, W), not {offset.shape}")
    offset = np.nan_to_num(offset.astype(np.float32), nan=0, posinf=0, neginf=0)
    if radius is None:
        length = np.hypot(*offset) if where is None else np.hypot(*offset)[where]
        radius = max(1.0, math.ceil(np.percentile(length, 98))) if length.size else 1.0
    rgb = _wheel_colors(offset / radius)
    if where is not None:
        rgb[~where] = BACKDROP
    return _with_wheel(rgb, radius) if legend else rgb


def bandwidth_ellipses(
    image: NDArray[Any],
    centers: NDArray[Any],
    margins: NDArray[Any],
    colors: RGB | None = None,
) -> RGB:
    """The margin of every object: all that is embedded within an ellipse belongs to its centre.

    Args:
        image: (H, W) or (H, W, C), drawn darker underneath.
        centers: (N, 2) positions in pixels, order x, y.
        margins: (N, 2) half axes in pixels, order x, y, or (N, 1) radii, as given by
            :func:`spatialembed.embedding.sigma_to_margin`.
        colors: (N, 3) uint8, or None for distinct ones.

    Objects with a value that is not finite are left out.
    """
    return with_ellipses((to_rgb(image) * 0.6).astype(np.uint8), centers, margins, colors)


def with_ellipses(
    rgb: RGB, centers: NDArray[Any], margins: NDArray[Any], colors: RGB | None
) -> RGB:
    """:func:`bandwidth_ellipses` over a picture as it is."""
    height, width = rgb.shape[:2]
    centers = np.asarray(centers, np.float64).reshape(-1, 2)
    margins = np.broadcast_to(np.asarray(margins, np.float64), centers.shape)
    colors = distinct_colors(len(centers)) if colors is None else colors
    fine = 4 if height * width <= 2**19 else 2  # drawn larger, then averaged: smooth lines
    line = max(1.0, min(height, width) / 350)
    canvas = Image.fromarray(rgb).resize((width * fine, height * fine), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    for center, margin, color in zip(centers, margins, colors.tolist(), strict=True):
        if not (np.isfinite(center).all() and np.isfinite(margin).all()):
            continue
        margin = np.minimum(margin, 2 * (height + width))  # larger is off the picture anyway
        if np.any(center + margin < 0) or np.any(center - margin > (width, height)):
            continue
        ink = tuple(color)
        _ellipse(draw, center, margin, fine, outline=ink, width=round(1.3 * line * fine))
        _ellipse(draw, center, np.minimum(margin / 2, 1.2 * line), fine, fill=ink)
    return np.asarray(canvas.reduce(fine))


def embedding_space(
    position: NDArray[Any],
    label: NDArray[Any],
    shape: tuple[int, int],
    centers: NDArray[Any],
    margins: NDArray[Any],
    colors: RGB,
) -> RGB:
    """Where pixels land when each has moved by its offset, and the margin of every object.

    Pixels have the colour of their object, and are brighter where more of them land on one place;
    grey ones belong to none. A good network gathers each object's inside its margin.

    Args:
        position: (2, P) embeddings in pixels, order x, y, such as those of the foreground.
        label: (P,) integer, 0 for a pixel of no object, k + 1 for one of row k below.
        shape: height and width of the image.
        centers: (N, 2) positions in pixels, order x, y.
        margins: (N, 2) half axes in pixels, order x, y.
        colors: (N, 3) uint8.

    Returns:
        (s H, s W, 3), enlarged by a whole number s so that small images show single pixels.
    """
    scale = max(1, min(4, BROAD // max(shape)))
    height, width = (scale * side for side in shape)
    placed = np.full(position.shape, -1.0)
    finite = np.isfinite(position)
    placed[finite] = position[finite]
    x, y = np.floor((placed + 0.5) * scale).clip(-1, 2**31)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    at = (y[inside] * width + x[inside]).astype(np.intp)
    of_label = np.concatenate([np.full((1, 3), LOST, np.uint8), colors])
    count = np.bincount(at, minlength=height * width)
    landed = np.flatnonzero(count)
    rgb = np.tile(np.array(BACKDROP, np.float32), (height * width, 1))
    for channel in range(3):
        total = np.bincount(at, of_label[label[inside], channel], minlength=height * width)
        rgb[landed, channel] = total[landed] / count[landed]
    if len(landed):
        many = max(2.0, float(np.percentile(count[landed], 95)))
        rgb[landed] *= 0.4 + 0.6 * np.minimum(1, np.log(count[landed]) / np.log(many))[:, None]
    picture = rgb.astype(np.uint8).reshape(height, width, 3)
    return with_ellipses(picture, (centers + 0.5) * scale - 0.5, margins * scale, colors)


def seed_picture(seed: NDArray[Any]) -> RGB:
    """A seed map: dark where there is no object, bright yellow where an object's centre is sure.

    Args:
        seed: (H, W) seed scores in [0, 1] (not logits); NaN counts as 0.
    """
    score = np.clip(np.nan_to_num(seed.astype(np.float32), nan=0), 0, 1)
    at, *channels = np.array(SEED_STOPS).T
    channels[2] = np.unwrap(channels[2], period=360)
    steps = np.linspace(0, 1, 256)
    table = oklch(*(np.interp(steps, at, channel) for channel in channels))
    return np.asarray(table[(score * 255 + 0.5).astype(np.intp)])


def _wheel_colors(unit: NDArray[Any]) -> RGB:
    """(2, H, W) offsets over the radius to colours; y points down, as in the image."""
    strength = np.minimum(np.hypot(*unit), 1)
    hue = np.degrees(np.arctan2(unit[1], unit[0]))
    return oklch(0.97 - 0.23 * strength, 0.132 * strength, hue)


def _with_wheel(rgb: RGB, radius: float) -> RGB:
    """Draw the colour wheel and its radius into the lower right corner, if there is room."""
    height, width = rgb.shape[:2]
    size = min(140, max(28, min(height, width) // 7))
    if min(height, width) < 2 * size:
        return rgb
    pad = max(3, size // 8)
    wide = size + 2 * pad
    text = font(max(9, size // 4))
    tall = wide + text.size * 1.1
    box = Image.new("RGB", (4 * wide, round(4 * tall)), BACKDROP)
    axis = (np.arange(4 * size) + 0.5) / (2 * size) - 1
    unit = np.stack(np.meshgrid(axis, axis))
    inside = Image.fromarray((np.hypot(*unit) <= 1).astype(np.uint8) * 255)
    box.paste(Image.fromarray(_wheel_colors(unit)), (4 * pad, 4 * pad), inside)
    small = box.reduce(4)
    ImageDraw.Draw(small).text(
        (wide / 2, small.height - pad * 0.6), f"{radius:g} px", (225, 228, 232), text, anchor="ms"
    )
    canvas = Image.fromarray(rgb)
    canvas.paste(small, (width - small.width, height - small.height))
    return np.asarray(canvas)


def _ellipse(
    draw: ImageDraw.ImageDraw,
    center: NDArray[Any],
    half: NDArray[Any],
    fine: int,
    **style: Any,
) -> None:
    # the center of pixel 0 lies half a pixel from the picture's edge; pillow paints the box's
    # last row and column too, and cuts fractions off
    low = np.round((center - half + 0.5) * fine)
    high = np.maximum(np.round((center + half + 0.5) * fine - 1), low)
    draw.ellipse((*low.tolist(), *high.tolist()), **style)
