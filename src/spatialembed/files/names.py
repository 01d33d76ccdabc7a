"""Names of files: which are hidden, and which are the same."""

from __future__ import annotations

import os
import unicodedata

HIDDEN = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "thumbs.db")
"""What archives, file servers and Windows leave in folders, in lower case."""

SETTINGS_FILE = "settings.json"
"""What the results of a folder were made with."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is no data: ``.x``, ``__MACOSX``, …."""
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in HIDDEN


def composed(name: str) -> str:
    """A name with its accents composed (NFC), in which names are compared: a Mac's are not."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def loosely(name: str) -> str:
    """A file's name as two are compared by where case may differ: composed, the suffix lower."""
    start, suffix = os.path.splitext(composed(name))
    return start + suffix.lower()


def stem(name: str, *endings: str) -> str:
    """A file's name without its suffix and the first of ``endings`` that it has, composed.

    Of x.ome.tif and x.ome_masks.tif it is x, as of x.tif.
    """
    found = _without_ome(os.path.splitext(name)[0])
    ending = next((ending for ending in endings if found.endswith(ending)), "")
    return composed(_without_ome(found.removesuffix(ending)))


def _without_ome(name: str) -> str:
    return name[:-4] if name.lower().endswith(".ome") else name


def file_in_json(name: str) -> str:
    """A file's name as a json has it, relative and composed, with ``/`` between its parts."""
    name = composed(name.replace("\\", "/"))
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or name


def is_settings(content: object) -> bool:
    """Whether the content of a file called :data:`SETTINGS_FILE` is that of results."""
    keys = content.keys() if isinstance(content, dict) else set()
    return "model" in keys and bool({"seed_threshold", "targets"} & keys)
