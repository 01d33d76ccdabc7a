"""Arrays of a numpy file that is a pickle, without running anything that it names.

A pickle says what to import and call. Here it is given numpy's own array, type and number, and for
whatever else it names something that does nothing: a value that is not looked at.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from spatialembed.errors import UserError

_ARRAYS = {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (
        ("multiarray", "_reconstruct"),
        ("multiarray", "scalar"),
        ("numeric", "_frombuffer"),
    )
} | {("numpy", "ndarray"), ("numpy", "dtype")}
"""What is given as it is named; it makes arrays, types and numbers and nothing else."""


class _Nothing:
    """In the place of what a pickle names."""

    def __init__(self, *given: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def append(self, value: object) -> None:
        """As of a list."""

    def __setitem__(self, key: object, value: object) -> None:
        pass


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ARRAYS:  # numpy before version 2 called its core so
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        return _Nothing


def read_pickled(path: Path, remedy: str) -> Any:
    """What a numpy file of one object holds; numbers, texts, lists, mappings and arrays of it.

    Args:
        path: the file.
        remedy: what to do where it cannot be read; ends the sentence.

    Raises:
        UserError: it is none, or damaged.
    """
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            _, _, dtype = header(file)
            if not dtype.hasobject:
                raise ValueError("it holds an array alone")
            held = _Arrays(file).load()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    except Exception as error:  # a damaged pickle may raise whatever its bytes say
        raise UserError(f"{path} cannot be read ({str(error)[:100]}); {remedy}") from error
    return held.item() if isinstance(held, np.ndarray) and held.size == 1 else held
