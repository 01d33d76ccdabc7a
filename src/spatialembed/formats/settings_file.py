"""What the results of a folder were made with, kept beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spatialembed.errors import UserError
from spatialembed.files.described import read_json

SETTINGS_FILE = "settings.json"
"""What the results of a folder were made with."""


def settings_in(folder: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    """What the results of a folder were made with; ``otherwise`` where it says nothing."""
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return otherwise
    remedy = "remove the results that are there, or choose another --out"
    content = read_json(path, remedy)
    if not isinstance(content, dict):
        raise UserError(f"{path} does not say what the results there were made with; {remedy}")
    return content
