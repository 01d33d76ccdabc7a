"""Data sets on disk, whatever their layout: :func:`open_data` gives samples, without torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import check_data
    from .objects import ObjectIndex, object_index
    from .sample import DataSet, Sample, open_data

__all__ = ["DataSet", "ObjectIndex", "Sample", "check_data", "object_index", "open_data"]

_HOMES = {
    "DataSet": "sample",
    "Sample": "sample",
    "open_data": "sample",
    "check_data": "check",
    "ObjectIndex": "objects",
    "object_index": "objects",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
