"""Pictures as files and addresses, and several on one sheet, each under its title."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spatialembed.files.writing import atomic_write
from spatialembed.pictures.colors import RGB, Color

PAPER = (18, 20, 24)
INK = (232, 234, 237)
FAINT = (154, 160, 168)
GAP = 14
TITLE = 15
"""Size of the titles in pixels on tiles of 400 pixels or less; wider ones have larger titles."""
NARROW, BROAD = 320, 720
SMALL = 400_000
"""Bytes of PNG up to which a picture is embedded without loss."""


class Tile(NamedTuple):
    """One picture of a sheet."""

    title: str
    rgb: RGB
    key: Sequence[tuple[str, Color]] = ()
    """Words with the colour each explains, set to the right of the title."""


def panel(
    tiles: Sequence[Tile | tuple[str, RGB]], columns: int = 3, tile_width: int | None = None
) -> RGB:
    """A contact sheet: pictures in rows of ``columns``, titles above them.

    Pictures keep their proportions and are scaled to one width, each row as tall as its tallest.

    Args:
        tiles: :class:`Tile` or (title, (H, W, 3) uint8).
        columns: pictures in a row.
        tile_width: width of a picture on the sheet in pixels; None takes that of the widest
            picture, enlarged or shrunk to lie between 320 and 720.

    Raises:
        ValueError: no tile, fewer than one column, or a picture that is not RGB.
    """
    shown = [Tile(*tile) for tile in tiles]
    if not shown or columns < 1:
        raise ValueError("a panel takes at least one tile and one column")
    for tile in shown:
        if tile.rgb.ndim != 3 or tile.rgb.shape[2] != 3 or tile.rgb.dtype != np.uint8:
            raise ValueError(f"tile '{tile.title}' is not an (H, W, 3) uint8 picture")
    if tile_width is None:
        tile_width = comfortable(max(tile.rgb.shape[1] for tile in shown))
    title = _title_size(tile_width)
    strip = round(1.9 * title)
    pictures = [_scaled(tile.rgb, tile_width) for tile in shown]
    rows = [range(r, min(r + columns, len(shown))) for r in range(0, len(shown), columns)]
    heights = [max(pictures[i].height for i in row) for row in rows]
    width = min(columns, len(shown)) * (tile_width + GAP) + GAP
    sheet = Image.new("RGB", (width, sum(heights) + len(rows) * (strip + GAP // 2) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = GAP // 2
    for row, height in zip(rows, heights, strict=True):
        for place, i in enumerate(row):
            left = GAP + place * (tile_width + GAP)
            _write(draw, shown[i], left, top, tile_width)
            sheet.paste(pictures[i], (left, top + strip))
        top += strip + height + GAP // 2
    return np.asarray(sheet)


def save_picture(path: str | Path, rgb: RGB) -> None:
    """Write a picture whole or not at all, in the format of the suffix (PNG, JPEG, …).

    Raises:
        UserError: the folder cannot be made or the disk is full.
    """
    with atomic_write(path) as temporary:
        if temporary.suffix.lower() == ".png":
            temporary.write_bytes(_png(rgb))
        else:
            Image.fromarray(rgb).save(temporary)


def _png(rgb: RGB) -> bytes:
    """A picture as a PNG file; Pillow takes several times as long for one as large."""
    encoded = imagecodecs.png_encode(rgb, level=1, filter=imagecodecs.PNG.FILTER.UP)
    return bytes(encoded)


def data_address(rgb: RGB) -> str:
    """A picture as a data: address, PNG where that is small, else JPEG of high quality."""
    buffer, picture = io.BytesIO(), Image.fromarray(rgb)
    picture.save(buffer, "PNG")
    kind = "png"
    if buffer.tell() > SMALL:
        buffer, kind = io.BytesIO(), "jpeg"
        picture.save(buffer, "JPEG", quality=90, subsampling=0)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def font(size: int) -> Any:
    """The typeface that comes with pillow, so that a sheet looks the same on every machine."""
    return ImageFont.load_default(size)


def comfortable(width: int) -> int:
    """The width itself, a whole multiple of it when small, at most ``BROAD``."""
    return min(width * math.ceil(NARROW / width), BROAD)


def _scaled(rgb: RGB, width: int) -> Image.Image:
    picture = Image.fromarray(rgb)
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    enlarged = width > rgb.shape[1]
    how = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    return picture.resize((width, height), how)


def _title_size(tile_width: int) -> int:
    return round(TITLE * max(1.0, tile_width / 400))


def _write(draw: ImageDraw.ImageDraw, tile: Tile, left: int, top: int, room: int) -> None:
    """Title flush left, key flush right; the title gives way when they meet."""
    size = _title_size(room)
    large, small, chip = font(size), font(size - 2), 0.7 * size
    line, right = top + round(1.27 * size), float(left + room)
    for word, color in reversed(tile.key):
        right -= small.getlength(word)
        draw.text((right, line), word, FAINT, small, anchor="ls")
        right -= 1.5 * chip
        rim = FAINT if max(color) < 90 else None
        draw.rounded_rectangle((right, line - chip, right + chip, line), 3, fill=color, outline=rim)
        right -= chip
    title = tile.title
    while title and large.getlength(title) > right - left:
        title = title[:-2].rstrip() + "…" if len(title) > 2 else ""
    draw.text((left, line), title, INK, large, anchor="ls")
