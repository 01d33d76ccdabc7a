"""What a checkpoint must hold for a run to go on from it: looked at as it is read, not in use.

Torch's file says what it likes: any name may be missing, of another type, or of another network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spatialembed.errors import UserError
from spatialembed.files.described import filled, fitting, parse_json
from spatialembed.models.spec import described
from spatialembed.models.weights import require_finite, unlike_weights
from spatialembed.training.config import TrainConfig
from spatialembed.training.fingerprint import BETWEEN
from spatialembed.training.minutes import Pace

HINTS: dict[str, Any] = {
    "config": str,
    "step": int,
    "plan": list[int],
    "pace": dict[str, Any] | None,
    "spec": str,
    "data": dict[str, Any],
    "sums": dict[str, Any],
    "best": float,
    "best_model": dict[str, Any] | None,
    "generators": dict[str, Any],
    "network": dict[str, Any],
    "optimizer": dict[str, Any] | None,
    "average": dict[str, Any] | None,
}
"""What every checkpoint has."""


def require_sound(state: Any) -> None:
    """Refuse what is no checkpoint, or one that a run could not go on from.

    Args:
        state: as torch read it.

    Raises:
        UserError: what is wrong, to be put behind the file's name.
    """
    if not isinstance(state, dict):
        raise UserError("it is none of spatialembed's")
    for name, hint in HINTS.items():
        if name not in state:
            raise UserError(f"it lacks {name}")
        fitting(hint, state[name], name, "it")
    _require_options(state["config"])
    _require_place(state["step"], state["plan"])
    _require_generators(state["generators"])
    _require_pace(state["pace"], len(state["plan"]))
    _require_data(state["data"])
    for name, value in state["sums"].items():
        fitting(float, value, f"sums.{name}", "it")
    outline = _outline(state["spec"], "spec")
    _require_weights("network", state["network"], outline)
    if (best := state["best_model"]) is not None:
        spec = fitting(str, best.get("spec"), "best_model.spec", "it")
        _require_weights("best_model", best.get("weights"), _outline(spec, "best_model"))
    if state["average"] is not None:
        fitting(int, state["average"].get("updates"), "average.updates", "it")
        _require_weights("average", state["average"].get("network"), outline)
    if state["optimizer"] is not None:
        _require_optimizer(state["optimizer"], outline)


def _outline(spec: str, name: str) -> nn.Module:
    return described(spec, f"its {name}", "it is damaged").outline()


def _require_options(config: str) -> None:
    filled(TrainConfig, parse_json(config, "its config", "it is damaged"), "its config")


def _require_place(step: int, plan: list[int]) -> None:
    if not plan or min(plan) < 1 or not 0 <= step <= sum(plan):
        raise UserError(f"it is at step {step} of a plan of {plan[:10]} steps")


def _require_pace(pace: dict[str, Any] | None, stages: int) -> None:
    if pace is None:
        return
    held = filled(Pace, pace, "its pace")
    if len(held.step) != stages or not 0 <= held.stage < stages or not held.step[held.stage] > 0:
        raise UserError(f"its pace is of another plan than one of {stages} stages")


def _require_data(data: dict[str, Any]) -> None:
    for split in ("train", "val"):
        found = fitting(dict[str, Any], data.get(split), f"data.{split}", "it")
        names = fitting(str, found.get("names"), f"data.{split}.names", "it")
        digests = found.get("digests")
        if not isinstance(digests, Tensor) or digests.dtype != torch.int64:
            raise UserError(f"its data.{split} holds no digests")
        if digests.shape != (len(names.split(BETWEEN)),):
            raise UserError(f"its data.{split} does not hold a digest for each name")


def _require_generators(generators: dict[str, Any]) -> None:
    try:
        torch.Generator().set_state(generators["cpu"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise UserError("its generators hold no state of torch's") from error


def _require_weights(name: str, weights: Any, outline: nn.Module) -> None:
    is_tensors = isinstance(weights, dict) and all(isinstance(v, Tensor) for v in weights.values())
    if not is_tensors or not weights:
        raise UserError(f"its {name} holds no weights")
    shapes = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    if unlike := unlike_weights(outline, shapes):
        raise UserError(f"its {name} is not that of the run: {unlike}")
    require_finite(f"its {name}", weights, "as if training had failed")


def _require_optimizer(optimizer: dict[str, Any], outline: nn.Module) -> None:
    moments, groups = optimizer.get("state"), optimizer.get("param_groups")
    if not isinstance(moments, dict) or not isinstance(groups, list) or len(groups) != 1:
        raise UserError("its optimizer is none that torch wrote")
    if not all(
        isinstance(group, dict) and isinstance(group.get("params"), list) for group in groups
    ):
        raise UserError("its optimizer lacks its parameters")
    numbers = groups[0]["params"]
    parameters = list(outline.parameters())
    if numbers != list(range(len(parameters))):
        raise UserError("its optimizer is of another network")
    for number, own in moments.items():
        if number not in numbers or not isinstance(own, dict):
            raise UserError("its optimizer is of another network")
        for name in ("step", "exp_avg", "exp_avg_sq"):
            if not isinstance(own.get(name), Tensor) or not own[name].isfinite().all():
                raise UserError(f"its optimizer holds no {name} of parameter {number}")
            if name != "step" and own[name].shape != parameters[number].shape:
                raise UserError(f"its optimizer holds another {name} of parameter {number}")
