"""Whether a network will run on the processor, known without torch, whose import takes a second."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def on_processor(device: str) -> bool:
    """Whether that device is the processor.

    Raises:
        UserError: no such device on this machine.
    """
    if device == "cpu" or (device == "auto" and not _may_have_card()):
        return True
    from spatialembed.inference.torch_network import pick_device

    return pick_device(device).type == "cpu"


def _may_have_card() -> bool:
    """Whether a driver of NVIDIA's or AMD's is here; without one torch finds no card."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
