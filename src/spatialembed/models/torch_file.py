"""Files that torch wrote, read without running what they say, and only when they are whole.

Torch writes a checksum with every tensor and never looks at it again; here it is looked at.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from spatialembed.errors import UserError

_ASKS = re.compile(r"(?:GLOBAL|[Rr]educe for unrecognized function) ([\w.]+)")
_REFUSED = "weights_only"
"""Stands in torch's advice wherever it refused to run something, and nowhere else."""


def read_pickled(path: Path, refusal: str, allowed: Sequence[Any], remedy: str) -> Any:
    """Tensors and plain values of a file of ``torch.save``, on the CPU; no code is run.

    It may hold types that are ``allowed``, as ``torch.serialization.safe_globals`` takes them.

    Raises:
        UserError: there is no such file, it is damaged, or it asks for code to be run; from
            ``refusal`` to ``remedy``.
    """
    import torch

    if fault := _damage(path):
        raise UserError(f"{refusal}: {fault}; {remedy}")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(allowed)):
            warnings.simplefilter("ignore")  # of how torch stored what is old
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can end in anything
        raise UserError(f"{refusal}: {_reason(str(error), remedy)}") from error


def _damage(path: Path) -> str | None:
    """What torch would not see: records whose checksum differs, or that grow when unpacked."""
    try:
        if not is_zipfile(path):
            return None
        with ZipFile(path) as records:
            if sum(record.file_size for record in records.infolist()) > path.stat().st_size:
                return "it grows when it is unpacked, which no such file does"
            damaged = records.testzip()
    except (BadZipFile, NotImplementedError, OSError, RuntimeError, ValueError, EOFError):
        return "it is damaged"
    return None if damaged is None else f"its part {damaged} is damaged"


def _reason(text: str, remedy: str) -> str:
    asked = _ASKS.search(text)
    if "TorchScript" in text:
        what = "it is a TorchScript program"
    elif asked:
        what = f"it asks for {asked[1]}, which is code and not weights,"
    elif _REFUSED in text and "operand" not in text:
        what = "it holds more than weights"
    else:
        return f"it is damaged or was not made by torch, and nothing in it was run; {remedy}"
    return (
        f"{what} and none of it was run; give a file of weights alone, as "
        "torch.save(network.state_dict(), ...) writes"
    )
