"""Names of files: which are hidden, and which are the same."""

from __future__ import annotations

import os
import unicodedata

HIDDEN = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "thumbs.db")
"""What archives, file servers and Windows leave in folders, in lower case."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is no data: ``.x``, ``__MACOSX``, …."""
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in HIDDEN


def composed(name: str) -> str:
    """A name with its accents composed (NFC), in which names are compared: a Mac's are not."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def stem(name: str) -> str:
    """A file's name without its suffix, composed; x of x.ome.tif and x.ome.zarr, as of x.tif."""
    found = os.path.splitext(name)[0]
    return composed(found[:-4] if found.lower().endswith(".ome") else found)


def file_in_json(name: str) -> str:
    """A file's name as a json has it, relative and composed, with ``/`` between its parts."""
    name = composed(name.replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or name
