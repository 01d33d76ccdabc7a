"""Files that come with the package: recipes and trained models."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def packaged(folder: str, suffix: str) -> list[Path]:
    """Files of a folder that is packaged with the library; of a checkout, the one at its top."""
    package = Path(str(files("spatialembed")))
    inside = package / folder
    place = inside if inside.is_dir() else package.parents[1] / folder
    return sorted(place.glob(f"*{suffix}"))
