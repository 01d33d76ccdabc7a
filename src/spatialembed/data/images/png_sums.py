"""The checksums of a PNG: Pillow stops at the last row it needs and never looks at the others."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from spatialembed.errors import UserError


def require_sums(path: Path) -> None:
    """Refuse a PNG of which a part is not as it was written.

    Args:
        path: a file that begins as a PNG.

    Raises:
        UserError: a checksum differs, or it ends before its end is marked.
    """
    content = memoryview(path.read_bytes())
    place, kind = 8, b""
    while kind != b"IEND":
        head = content[place : place + 8]
        if len(head) < 8:
            raise _damaged(path, "it ends too early")
        (length,), kind = struct.unpack(">I", head[:4]), bytes(head[4:])
        part, stated = content[place + 4 : place + 8 + length], content[place + 8 + length :][:4]
        if zlib.crc32(part).to_bytes(4, "big") != stated:
            raise _damaged(path, f"the checksum of its part {kind.decode('latin-1')!r} differs")
        place += 12 + length


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} cannot be read as an image ({reason}): it is damaged, replace it")
