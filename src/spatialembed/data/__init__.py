"""Data sets on disk, whatever their layout: :func:`open_data` gives samples, without torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialembed.data.checks.check import check_data
    from spatialembed.data.data_set import DataSet
    from spatialembed.data.index import ObjectIndex, object_index
    from spatialembed.data.open import open_data
    from spatialembed.data.sample import Sample

__all__ = ["DataSet", "ObjectIndex", "Sample", "check_data", "object_index", "open_data"]

_HOMES = {
    "DataSet": "data_set",
    "Sample": "sample",
    "open_data": "open",
    "check_data": "checks.check",
    "ObjectIndex": "index",
    "object_index": "index",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
