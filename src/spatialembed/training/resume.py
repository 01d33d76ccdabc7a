"""Checkpoints: all that a run needs to go on exactly where it was.

Crops need no state (each is a function of the seed and its number), so a checkpoint is weights,
optimizer, average, the torch generators that dropout draws from, and the step.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from spatialembed.errors import UserError, atomic_write
from spatialembed.training.config import TrainConfig

FORMAT = 1
MAY_DIFFER = ("data", "out", "init", "resume", "device", "workers", "licence")
"""Options in which a resumed run may differ from the one that was stopped."""


def checkpoint_path(out: Path) -> Path:
    """Where a run keeps its checkpoint."""
    return out / "checkpoint.pt"


def save_checkpoint(out: Path, config: TrainConfig, state: dict[str, Any]) -> None:
    """Write the checkpoint of a run, in place of the one before only once it is whole.

    Raises:
        UserError: it could not be written; the one before is kept.
    """
    generators = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        generators["cuda"] = torch.cuda.get_rng_state()
    whole = {"format": FORMAT, "config": _comparable(config), "generators": generators, **state}
    with atomic_write(checkpoint_path(out)) as temporary:
        try:
            torch.save(whole, temporary)
        except RuntimeError as error:  # torch's own writer on a full disk
            raise OSError(None, str(error).splitlines()[0]) from error


def load_checkpoint(out: Path, config: TrainConfig, device: torch.device) -> dict[str, Any]:
    """The state given to :func:`save_checkpoint`; sets torch's generators as they were.

    Raises:
        UserError: there is no checkpoint, it is damaged or from a newer version, or the run was
            started with other options.
    """
    path = checkpoint_path(out)
    if not path.is_file():
        raise UserError(f"{path} does not exist: nothing to resume; start without --resume")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        version = state["format"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path} is damaged and cannot be resumed; start anew with --init "
            f"{out / 'model.safetensors'} if that exists"
        ) from error
    if version > FORMAT:
        raise UserError(f"{path} was written by a newer version of spatialembed; update it")
    _check_options(path, json.loads(state["config"]), json.loads(_comparable(config)))
    torch.set_rng_state(state["generators"]["cpu"].cpu())
    if "cuda" in state["generators"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["generators"]["cuda"].cpu())
    return dict(state)


def _comparable(config: TrainConfig) -> str:
    options = {name: value for name, value in asdict(config).items() if name not in MAY_DIFFER}
    return json.dumps(options, sort_keys=True, default=str)


def _check_options(path: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    differing = sorted(name for name in now if then.get(name) != now[name])
    if differing:
        changes = ", ".join(f"{name} was {then.get(name)}" for name in differing)
        raise UserError(
            f"{path} is of a run with other options ({changes}); resume with the same, "
            "or start another run with --init"
        )
