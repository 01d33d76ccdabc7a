"""A view of an image as HTML: a picture, and over it the outline of every instance as SVG.

The outlines are what a visitor points at. They scale with the picture and need no library.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from PIL import Image

from spatialembed.formats.outlines import polygons
from spatialembed.instances import Instances
from spatialembed.pictures import colors_of_objects, data_address
from spatialembed.pictures.colors import RGB

MOST_SIDE = 1600
"""Pixels across that a picture is sent with; outlines stay sharp above it."""

STYLE = """
.stage { position: relative; line-height: 0; background: #1b1e23; border-radius: 8px; overflow: hidden }
.stage img { width: 100%; height: auto; display: block }
.stage.coarse img { image-rendering: pixelated }
.stage svg { position: absolute; inset: 0; width: 100%; height: 100% }
.stage path { fill: transparent; stroke: none; vector-effect: non-scaling-stroke }
.stage.instances path { fill: var(--c); fill-opacity: .35; stroke: var(--c); stroke-width: 1.5px }
.stage path:hover { stroke: #fff; stroke-width: 2.5px; fill-opacity: .15 }
.told { position: absolute; pointer-events: none; background: #000c; color: #fff; font: 13px/1.4 system-ui, sans-serif; padding: 4px 9px; border-radius: 5px; white-space: nowrap; display: none }
"""  # noqa: E501  # a rule of CSS a line

HOVER = """
element.addEventListener('mousemove', event => {
  const told = element.querySelector('.told'), path = event.target.closest('path');
  if (!told) return;
  told.style.display = path ? 'block' : 'none';
  if (!path) return;
  told.textContent = path.dataset.told;
  const stage = element.querySelector('.stage').getBoundingClientRect();
  const x = event.clientX - stage.left, y = event.clientY - stage.top;
  const left = x + 14 + told.offsetWidth > stage.width;
  told.style.left = (left ? x - 14 - told.offsetWidth : x + 14) + 'px';
  told.style.top = Math.min(y + 14, stage.height - told.offsetHeight) + 'px';
});
element.addEventListener('mouseleave', () => {
  const told = element.querySelector('.told');
  if (told) told.style.display = 'none';
});
"""


class Shown(NamedTuple):
    """How an instance is shown: its color, and what pointing at it tells."""

    color: str
    told: str


def stage(picture: RGB, found: Instances, view: str, objects: Sequence[Shown] | None = None) -> str:
    """A picture of a view with the outlines over it, as one piece of HTML.

    Args:
        picture: (s H, t W, 3) uint8 of an image (H, W), or a plane of a volume.
        found: its instances.
        view: what the picture shows; over "instances" the outlines are seen, not only felt.
        objects: how these are shown; None as those of an image: pointing at one tells its number,
            class, score and size.
    """
    objects = shown(found) if objects is None else objects
    height, width = found.label_map.shape
    coarse = " coarse" if max(picture.shape) <= MOST_SIDE // 2 else ""
    return (
        f'<div class="stage {escape(view)}{coarse}">'
        f'<img src="{data_address(_small(picture))}" alt="{escape(view)}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        f'{"".join(_paths(found, objects))}</svg><div class="told"></div></div>'
    )


def shown(
    found: Instances, rows: Sequence[int] | None = None, colors: RGB | None = None
) -> list[Shown]:
    """Instances of an image or volume as they are shown.

    Args:
        found: all of them.
        rows: those that are; None for all.
        colors: (N, 3) of these; None for those of an image.
    """
    unit = "voxels" if found.label_map.ndim == 3 else "pixels"
    rows = range(len(found)) if rows is None else rows
    colors = colors_of_objects(found.label_map)[1][1:] if colors is None else colors
    return [
        Shown(
            f"#{bytes(color).hex()}",
            f"{found.class_names[found.classes[k]]} {k + 1} · score {found.scores[k]:.3f} · "
            f"{found.areas[k]:,} {unit}",
        )
        for k, color in zip(rows, colors.tolist(), strict=True)
    ]


def _paths(found: Instances, objects: Sequence[Shown]) -> list[str]:
    return [
        f'<path fill-rule="evenodd" style="--c:{color}" data-told="{escape(told)}" '
        f'd="{_line(found, k)}"/>'
        for k, (color, told) in enumerate(objects)
    ]


def _line(found: Instances, k: int) -> str:
    rings = (ring for part in polygons(found, k) for ring in part)
    return "".join(f"M{' '.join(f'{x:g},{y:g}' for x, y in ring[:-1])}Z" for ring in rings)


def _small(picture: RGB) -> RGB:
    height, width = picture.shape[:2]
    shrink = MOST_SIDE / max(height, width)
    if shrink >= 1:
        return picture
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
