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

    Raises:
        UserError: what is wrong, to be put behind the file's name.
    """
    _require(isinstance(state, dict), "it is none of spatialembed's")
    for name, hint in HINTS.items():
        _require(name in state, f"it lacks {name}")
        fitting(hint, state[name], name, "it")
    filled(TrainConfig, parse_json(state["config"], "its config", "it is damaged"), "its config")
    step, plan = state["step"], state["plan"]
    is_inside = plan and min(plan) >= 1 and 0 <= step <= sum(plan)
    _require(is_inside, f"it is at step {step} of a plan of {plan[:10]} steps")
    try:
        torch.Generator().set_state(state["generators"]["cpu"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise UserError("its generators hold no state of torch's") from error
    _require_pace(state["pace"], len(plan))
    for split in ("train", "val"):
        _require_data(f"data.{split}", state["data"].get(split))
    for name, value in state["sums"].items():
        fitting(float, value, f"sums.{name}", "it")
    outline = _outline(state["spec"], "spec")
    _require_weights("network", state["network"], outline)
    if (best := state["best_model"]) is not None:
        spec = fitting(str, best.get("spec"), "best_model.spec", "it")
        _require_weights("best_model", best.get("weights"), _outline(spec, "best_model"))
    if (average := state["average"]) is not None:
        fitting(int, average.get("updates"), "average.updates", "it")
        _require_weights("average", average.get("network"), outline)
    if state["optimizer"] is not None:
        _require_optimizer(state["optimizer"], list(outline.parameters()))


def _require(fits: Any, told: str) -> None:
    if not fits:
        raise UserError(told)


def _outline(spec: str, name: str) -> nn.Module:
    return described(spec, f"its {name}", "it is damaged").outline()


def _require_pace(pace: dict[str, Any] | None, stages: int) -> None:
    if pace is not None:
        held = filled(Pace, pace, "its pace")
        fits = len(held.step) == stages and 0 <= held.stage < stages and held.step[held.stage] > 0
        _require(fits, f"its pace is of another plan than one of {stages} stages")


def _require_data(name: str, data: Any) -> None:
    found = fitting(dict[str, Any], data, name, "it")
    names, digests = fitting(str, found.get("names"), f"{name}.names", "it"), found.get("digests")
    is_number = isinstance(digests, Tensor) and digests.dtype == torch.int64
    _require(is_number, f"its {name} holds no digests")
    fits = digests.shape == (len(names.split(BETWEEN)),)
    _require(fits, f"its {name} does not hold a digest for each name")


def _require_weights(name: str, weights: Any, outline: nn.Module) -> None:
    is_tensors = isinstance(weights, dict) and all(isinstance(v, Tensor) for v in weights.values())
    _require(is_tensors and weights, f"its {name} holds no weights")
    unlike = unlike_weights(outline, {key: tuple(v.shape) for key, v in weights.items()})
    _require(unlike is None, f"its {name} is not that of the run: {unlike}")
    require_finite(f"its {name}", weights, "as if training had failed")


def _require_optimizer(optimizer: dict[str, Any], parameters: list[nn.Parameter]) -> None:
    moments: Any = optimizer.get("state")
    groups: Any = optimizer.get("param_groups")
    is_torchs = isinstance(moments, dict) and isinstance(groups, list) and len(groups) == 1
    _require(is_torchs and isinstance(groups[0], dict), "its optimizer is none that torch wrote")
    numbers = groups[0].get("params")
    fits = numbers == list(range(len(parameters))) and moments.keys() <= set(numbers)
    _require(fits, "its optimizer is of another network")
    for number, own in moments.items():
        for name in ("step", "exp_avg", "exp_avg_sq"):
            held: Any = own.get(name) if isinstance(own, dict) else None
            is_whole = isinstance(held, Tensor) and held.isfinite().all()
            _require(is_whole, f"its optimizer holds no {name} of parameter {number}")
            fits = name == "step" or held.shape == parameters[number].shape
            _require(fits, f"its optimizer holds another {name} of parameter {number}")
