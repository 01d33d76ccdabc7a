"""What the results of a folder were made with, kept beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spatialembed.errors import UserError
from spatialembed.files.described import read_json
from spatialembed.files.names import SETTINGS_FILE, is_settings

TOLD = 5
"""Settings that differ that a sentence names: models differ in all at once."""


def differences(before: Any, now: dict[str, Any], of: str = "") -> list[str]:
    """Which settings differ from those before, and what they were and are; of targets by name."""
    told = []
    known = before if isinstance(before, dict) else {}
    for key, value in now.items():
        if isinstance(value, dict):
            told += differences(known.get(key), value, f" of {key}")
        elif value != known.get(key):
            told.append(f"{key}{of} {known.get(key)} (now {value})")
    return told


def in_short(told: Sequence[str]) -> str:
    """Settings that differ in words, the first :data:`TOLD` by name."""
    more = len(told) - TOLD
    return ", ".join(told[:TOLD]) + (f" and {more} more" if more > 0 else "")


def settings_in(folder: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    """What the results of a folder were made with; ``otherwise`` where it says nothing.

    Raises:
        UserError: a file of another program has that name, or it is damaged.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return otherwise
    another = "choose another --out"
    remedy = f"remove the results that are there, or {another}"
    content = read_json(path, remedy)
    if not isinstance(content, dict):
        raise UserError(f"{path} does not say what the results there were made with; {remedy}")
    if not is_settings(content):
        raise UserError(f"{path}, where settings would go, is no result of predict; {another}")
    return content
