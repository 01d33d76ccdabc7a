"""Training: one configuration, one plain loop. ``TrainConfig`` loads without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialembed.training.config import StageConfig, TrainConfig
    from spatialembed.training.loop import train

__all__ = ["StageConfig", "TrainConfig", "train"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "loop" if name == "train" else "config"
    return getattr(import_module(f"{__name__}.{home}"), name)
