"""Checkpoints: all that a run needs, besides its data, to go on exactly where it was.

Crops need no state (each is a function of the seed and its number), so a checkpoint is weights,
optimizer, average, the torch generators that dropout draws from, and the step; then the model that
is the best so far, what the model is described by, the plan, and what the data looked like.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from spatialembed.errors import UserError
from spatialembed.files.described import filled
from spatialembed.files.writing import atomic_write
from spatialembed.models.torch_file import read_pickled
from spatialembed.training.checkpoint_fields import require_sound
from spatialembed.training.config import TrainConfig

FORMAT = 2
OWN = ("data", "out", "resume", "device", "devices", "workers")
"""Options that a resumed run takes from its own command, all others from the checkpoint."""


def checkpoint_path(out: Path) -> Path:
    """Where a run keeps its checkpoint."""
    return out / "checkpoint.pt"


def save_checkpoint(out: Path, config: TrainConfig, state: dict[str, Any]) -> None:
    """Write the checkpoint of a run, in place of the one before only once it is whole.

    Raises:
        UserError: it could not be written; the one before is kept.
    """
    generators = {"cpu": torch.get_rng_state()}
    # Asking whether CUDA is available, or for its state, would start it in a run of the CPU.
    if torch.cuda.is_initialized():
        generators["cuda"] = torch.cuda.get_rng_state()
    whole = {"format": FORMAT, "config": _as_json(config), "generators": generators, **state}
    with atomic_write(checkpoint_path(out)) as temporary:
        try:
            torch.save(whole, temporary)
        except RuntimeError as error:  # torch's own writer on a full disk
            raise OSError(None, str(error).splitlines()[0]) from error


def load_checkpoint(out: Path) -> dict[str, Any]:
    """The state given to :func:`save_checkpoint`, on the CPU.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it is of another version.
    """
    path = checkpoint_path(out)
    if not path.is_file():
        raise UserError(f"{path} does not exist: nothing to resume; start without --resume")
    refusal = f"{path} is damaged and cannot be resumed"
    remedy = f"start anew with --init {out / 'model.safetensors'} if that exists, and another --out"
    state = read_pickled(path, refusal, (), remedy)
    version = state.get("format") if isinstance(state, dict) else None
    if type(version) is int and version > FORMAT:
        raise UserError(f"{path} was written by a newer version of spatialembed; update it")
    if type(version) is int and version < FORMAT:
        raise UserError(
            f"{path} was written by an older version of spatialembed; finish the run with that, "
            f"or start another with --init {out / 'model.safetensors'}"
        )
    if version == FORMAT and isinstance(state.get("config"), str):  # an option that is no more
        state["config"] = re.sub(r'"nodes": \d+, ', "", state["config"])
    try:
        require_sound(state)
    except UserError as error:
        raise UserError(f"{refusal}: {error}; {remedy}") from error
    return dict(state)


def resumed_config(state: dict[str, Any], config: TrainConfig) -> TrainConfig:
    """The options a run was started with, and those of its own from the command that resumes it.

    Raises:
        UserError: the command asks for something else (an option neither as it was nor default).
    """
    default, now = json.loads(_as_json(TrainConfig())), json.loads(_as_json(config))
    then = default | json.loads(state["config"])  # options that are newer than the run
    asked = [name for name in now if name not in OWN and now[name] != default[name]]
    differing = [name for name in asked if now[name] != then[name]]
    if differing:
        changes = ", ".join(f"{name} was {then[name]}" for name in sorted(differing))
        raise UserError(
            f"the run in {config.out} was started with other options ({changes}); leave them "
            "away, or start another run with --init"
        )
    own = {name: getattr(config, name) for name in OWN}
    return filled(TrainConfig, then | own, "its config")


def restore_generators(state: dict[str, Any]) -> None:
    """Set torch's generators as they were when the checkpoint was written."""
    torch.set_rng_state(state["generators"]["cpu"])
    if "cuda" in state["generators"] and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(state["generators"]["cuda"])


def _as_json(config: TrainConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True, default=str)
