"""Pictures as PNG: libdeflate takes a tenth of the time that zlib does, for files of one size."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np

from spatialembed.pictures.colors import RGB

LEVEL = 2
"""Of libdeflate; at 4 files are one percent smaller, after half as much time again."""

UP = 2
"""PNG's filter that keeps what a row differs by from the one above."""


def png(rgb: RGB) -> bytes:
    """A picture (H, W, 3) as a PNG file."""
    height, width = rgb.shape[:2]
    rows = np.full((height, 1 + 3 * width), UP, np.uint8)
    pixels = rgb.reshape(height, 3 * width)
    rows[:1, 1:] = pixels[:1]
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = (b"IHDR", header), (b"IDAT", _deflated(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _deflated(rows: np.ndarray) -> bytes:
    encoded = imagecodecs.deflate_encode(rows, level=LEVEL)  # type: ignore[arg-type]  # any buffer
    return bytes(encoded)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
