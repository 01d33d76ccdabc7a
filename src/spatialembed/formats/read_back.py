"""What prediction wrote of itself and reads again: settings of a folder, rows of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spatialembed.errors import UserError
from spatialembed.files.described import fitting, read_json

SETTINGS_FILE = "settings.json"
"""What the results of a folder were made with."""

ROWS = {"height": int, "width": int, "categories": dict[str, Any], "rows": list[dict[str, Any]]}
"""What is kept of an image for the COCO results."""

LARGEST_ROWS = 2_000_000_000
"""Bytes of that."""


def settings_of(folder: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    """What the results of a folder were made with.

    Args:
        folder: of the results.
        otherwise: what holds where it says nothing.

    Raises:
        UserError: its file cannot be read, or is none of such settings.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return otherwise
    remedy = "remove the results that are there, or choose another --out"
    content = read_json(path, remedy)
    if not isinstance(content, dict):
        raise UserError(f"{path} does not say what the results there were made with; {remedy}")
    return content


def rows_of(path: Path) -> dict[str, Any]:
    """An image's part of the COCO results, as :class:`Results` wrote it."""
    remedy = "remove it and run the same command again"
    content = read_json(path, remedy, LARGEST_ROWS)
    try:
        for name, hint in ROWS.items():
            fitting(hint, content[name], name, str(path))
        known = set(content["categories"].values())
        if not all(row["category_id"] in known for row in content["rows"]):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not hold an image's COCO results; {remedy}") from error
    return dict(content)
